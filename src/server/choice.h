// One choice of an answer: the engine's tokens in, pieces of the message with their log-probabilities out.
//
// What it does not: submit, cancel or write; generation.cc does. The way of a token is chat::AnswerStream, which makes
// events of it, then ToPieces, which says what each adds to the message. Log-probabilities go with the next piece that
// comes out, whatever it adds: a choice's list holds every token, those of reasoning and of markup too.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer_writer.h"
#include "chat/answer_stream.h"
#include "engine/engine.h"
#include "server/model_gate.h"
#include "server/prepare.h"
#include "tokenizer/stream_decoder.h"

namespace tenfold::server {

// I/O thread only.
class Choice {
 public:
  struct Piece {
    api::Delta delta;
    std::vector<api::TokenInfo> tokens;  // those whose text is in delta; only where log-probabilities are asked for
  };

  // `call_salt` makes the ids of tool calls unlike those of other choices.
  Choice(ModelPtr model, const api::GenerationOptions& options, std::shared_ptr<const PreparedPrompt> prompt,
         const chat::AnswerSyntax& syntax, uint64_t call_salt);

  // The prompt's tokens from the second on, where they are scored; before the first Push.
  void AddScores(std::vector<engine::Token>&& tokens);
  // What became certain: often nothing. An echoed prompt comes first of all. Needs !stopped() and !finished().
  std::vector<Piece> Push(engine::Token&& token);
  // No more tokens come: what is left of the text. Afterwards finished(), and the reason is known.
  std::vector<Piece> Finish(const engine::Finish& finish);
  // Adds a piece to the whole answer, for a request that does not stream.
  void Keep(Piece&& piece);

  bool stopped() const { return output_.stopped(); }  // the answer is complete: the engine has no more to do
  bool finished() const { return !answer_.finish_reason.empty(); }
  int64_t prompt_tokens() const { return static_cast<int64_t>(prompt_->ids.size()); }
  int64_t generated_tokens() const { return generated_tokens_; }
  int64_t cached_tokens() const { return cached_tokens_; }  // of the prompt; once a token has come
  int64_t last_token_us() const { return last_token_us_; }
  const engine::Timings& timings() const { return timings_; }  // once finished
  const api::ChoiceAnswer& answer() const { return answer_; }  // what was kept, and the reason
  const std::string& finish_reason() const { return answer_.finish_reason; }

  engine::RequestId request_id = 0;  // set by who submits it

 private:
  std::vector<Piece> ToPieces(chat::OutputEvents&& events);
  void Echo(std::vector<Piece>& pieces);
  api::TokenInfo Describe(const engine::Token& token, tokenizer::StreamDecoder& places);

  ModelPtr model_;
  std::shared_ptr<const PreparedPrompt> prompt_;
  chat::AnswerStream output_;
  const uint64_t call_salt_;
  bool has_calls_ = false;
  const bool with_logprobs_;
  bool echo_;                        // the prompt is still to come
  tokenizer::StreamDecoder places_;  // again, for where in the text each token lies: stop strings hold text back
  std::vector<engine::Token> scores_;
  std::vector<api::TokenInfo> pending_;  // drawn, but their text is not out yet
  api::ChoiceAnswer answer_;
  engine::Timings timings_;
  int64_t generated_tokens_ = 0;
  int64_t cached_tokens_ = 0;
  int64_t last_token_us_ = 0;
};

}  // namespace tenfold::server
