#include "server/choice.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "base/clock.h"

namespace tenfold::server {

Choice::Choice(ModelPtr model, const api::GenerationOptions& options, const PreparedPrompt& prompt,
               const chat::AnswerSyntax& syntax, uint64_t call_salt)
    : model_(std::move(model)),
      output_(*model_->tokenizer, options.stop, prompt.at_text_start, syntax),
      call_salt_(call_salt),
      with_logprobs_(options.n_top >= 0),
      drop_space_(prompt.at_text_start && model_->tokenizer->adds_space_prefix()) {}

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

api::TokenInfo Choice::Describe(const engine::Token& token) {
  const tokenizer::Tokenizer& t = *model_->tokenizer;
  api::TokenInfo info{token.id, t.TokenBytes(token.id, true), token.logprob, 0, {}};
  const std::string text = t.TokenBytes(token.id, false);
  for (unsigned char byte : text) info.text_chars += (byte & 0xC0) != 0x80;  // leads, not continuations
  if (drop_space_ && !text.empty()) {
    drop_space_ = false;
    if (text.front() == ' ') --info.text_chars;
  }
  for (const sampling::TokenLogprob& top : token.top) {
    info.top.push_back({top.token, t.TokenBytes(top.token, true), top.logprob});
  }
  return info;
}

std::vector<Choice::Piece> Choice::Push(engine::Token&& token) {
  ++generated_tokens_;
  last_token_us_ = NowUs();
  if (with_logprobs_) pending_.push_back(Describe(token));
  return ToPieces(output_.Push(token.id));
}

std::vector<Choice::Piece> Choice::Finish(const engine::Finish& finish) {
  timings_ = finish.timings;
  const bool cut = stopped();
  std::vector<Piece> pieces;
  if (!cut) pieces = ToPieces(output_.Finish());
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
