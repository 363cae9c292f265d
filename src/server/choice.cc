#include "server/choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "base/clock.h"

namespace tenfold::server {

namespace {

int64_t Characters(std::string_view utf8) {
  return std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

}  // namespace

Choice::Choice(ModelPtr model, const api::GenerationOptions& options, std::shared_ptr<const PreparedPrompt> prompt,
               const chat::AnswerSyntax& syntax, uint64_t call_salt)
    : model_(std::move(model)),
      prompt_(std::move(prompt)),
      output_(*model_->tokenizer, options.stop, prompt_->at_text_start, syntax),
      call_salt_(call_salt),
      with_logprobs_(options.n_top >= 0),
      echo_(options.echo),
      places_(*model_->tokenizer, /*render_special=*/false, prompt_->at_text_start) {}

std::vector<Choice::Piece> Choice::ToPieces(chat::OutputEvents&& events) {
  using Kind = chat::OutputEvent::Kind;
  std::vector<Piece> pieces;
  for (chat::OutputEvent& event : events) {
    api::Delta delta;
    switch (event.kind) {
      case Kind::kContent:
        delta.content = std::move(event.text);
        break;
      case Kind::kReasoning:
        delta.reasoning = std::move(event.text);
        break;
      case Kind::kCallBegin:
        has_calls_ = true;
        delta.tool_calls.push_back({.index = event.call,
                                    .id = fmt::format("call_{:016x}{:04x}", call_salt_, event.call),
                                    .name = std::move(event.text)});
        break;
      case Kind::kCallArguments:
        delta.tool_calls.push_back({.index = event.call, .arguments = std::move(event.text)});
        break;
      case Kind::kCallEnd:
        continue;
    }
    pieces.push_back({std::move(delta), std::exchange(pending_, {})});
  }
  return pieces;
}

api::TokenInfo Choice::Describe(const engine::Token& token, tokenizer::StreamDecoder& places) {
  const tokenizer::Tokenizer& t = *model_->tokenizer;
  api::TokenInfo info{token.id, t.TokenBytes(token.id, true), token.logprob, Characters(places.Push(token.id)), {}};
  for (const sampling::TokenLogprob& top : token.top) {
    info.top.push_back({top.token, t.TokenBytes(top.token, true), top.logprob});
  }
  return info;
}

void Choice::AddScores(std::vector<engine::Token>&& tokens) {
  std::move(tokens.begin(), tokens.end(), std::back_inserter(scores_));
}

// The prompt, before anything else. Its tokens share out its text as the encoder did: the BOS that it put in front has
// none of it, nor has the space that SPM adds where a text begins, which is again behind every control token.
void Choice::Echo(std::vector<Piece>& pieces) {
  if (!std::exchange(echo_, false)) return;
  Piece& piece = pieces.emplace_back();
  piece.delta.content = prompt_->echo;
  if (!with_logprobs_) return;
  const tokenizer::Tokenizer& t = *model_->tokenizer;
  const tokenizer::TokenId first = prompt_->ids.front();
  const bool added_bos = prompt_->from_text && t.adds_bos() && first == t.bos();
  std::optional<tokenizer::StreamDecoder> places;
  places.emplace(t, /*render_special=*/!added_bos, /*at_text_start=*/true);
  piece.tokens.push_back(Describe({.id = first, .logprob = 0, .top = {}}, *places));
  piece.tokens.back().follows_nothing = true;
  if (added_bos) places.emplace(t, /*render_special=*/true, /*at_text_start=*/true);
  for (const engine::Token& score : scores_) {
    piece.tokens.push_back(Describe(score, *places));
    if (prompt_->from_text && t.IsControl(score.id)) places.emplace(t, true, /*at_text_start=*/true);
  }
  scores_.clear();
}

std::vector<Choice::Piece> Choice::Push(engine::Token&& token) {
  ++generated_tokens_;
  cached_tokens_ = token.cached_tokens;
  last_token_us_ = NowUs();
  std::vector<Piece> pieces;
  Echo(pieces);
  if (with_logprobs_) pending_.push_back(Describe(token, places_));
  std::vector<Piece> drawn = ToPieces(output_.Push(token.id));
  std::move(drawn.begin(), drawn.end(), std::back_inserter(pieces));
  return pieces;
}

std::vector<Choice::Piece> Choice::Finish(const engine::Finish& finish) {
  timings_ = finish.timings;
  const bool cut = stopped();
  std::vector<Piece> pieces;
  Echo(pieces);
  if (!cut) {
    std::vector<Piece> rest = ToPieces(output_.Finish());
    std::move(rest.begin(), rest.end(), std::back_inserter(pieces));
  }
  // What is pending of an answer that was cut is the stop string's own tokens.
  if (!cut && !pending_.empty()) pieces.push_back({{}, std::exchange(pending_, {})});
  const bool ended = cut || finish.reason == engine::FinishReason::kStop;
  answer_.finish_reason = !ended ? "length" : has_calls_ ? "tool_calls" : "stop";
  return pieces;
}

void Choice::Keep(Piece&& piece) {
  answer_.message.Append(std::move(piece.delta));
  std::move(piece.tokens.begin(), piece.tokens.end(), std::back_inserter(answer_.tokens));
}

}  // namespace tenfold::server
