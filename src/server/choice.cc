#include "server/choice.h"

#include <iterator>
#include <utility>

#include "base/clock.h"

namespace tenfold::server {

Choice::Choice(ModelPtr model, const api::GenerationOptions& options, const PreparedPrompt& prompt)
    : model_(std::move(model)),
      output_(*model_->tokenizer, options.stop, prompt.at_text_start),
      with_logprobs_(options.n_top >= 0),
      drop_space_(prompt.at_text_start && model_->tokenizer->adds_space_prefix()) {}

api::Delta Choice::ToDelta(std::string text) { return {.content = std::move(text)}; }

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

Choice::Piece Choice::Push(engine::Token&& token) {
  ++generated_tokens_;
  last_token_us_ = NowUs();
  if (with_logprobs_) pending_.push_back(Describe(token));
  Piece piece{ToDelta(output_.Push(token.id)), {}};
  if (!piece.delta.empty()) piece.tokens = std::exchange(pending_, {});
  return piece;
}

Choice::Piece Choice::Finish(const engine::Finish& finish) {
  timings_ = finish.timings;
  answer_.finish_reason = stopped() || finish.reason == engine::FinishReason::kStop ? "stop" : "length";
  if (stopped()) return {};  // what is pending is the stop string's own tokens
  return {ToDelta(output_.Finish()), std::exchange(pending_, {})};
}

void Choice::Keep(Piece&& piece) {
  answer_.message.Append(std::move(piece.delta));
  std::move(piece.tokens.begin(), piece.tokens.end(), std::back_inserter(answer_.tokens));
}

}  // namespace tenfold::server
