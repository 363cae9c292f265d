// One choice of an answer: the engine's tokens in, pieces of the message with their log-probabilities out.
//
// What it does not: submit, cancel or write; generation.cc does. The way of a token is decoder and stop strings
// (chat::OutputStream), then ToDelta, which says which part of the message a text belongs to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer_writer.h"
#include "chat/output_stream.h"
#include "engine/engine.h"
#include "server/model_gate.h"
#include "server/prepare.h"

namespace tenfold::server {

// I/O thread only.
class Choice {
 public:
  // What became certain: often nothing.
  struct Piece {
    api::Delta delta;
    std::vector<api::TokenInfo> tokens;  // those whose text is in delta; only where log-probabilities are asked for
  };

  Choice(ModelPtr model, const api::GenerationOptions& options, const PreparedPrompt& prompt);

  // Needs !stopped() and !finished().
  Piece Push(engine::Token&& token);
  // No more tokens come: what is left of the text. Afterwards finished(), and the reason is known.
  Piece Finish(const engine::Finish& finish);
  // Adds a piece to the whole answer, for a request that does not stream.
  void Keep(Piece&& piece);

  bool stopped() const { return output_.stopped(); }  // a stop string appeared: the engine has no more to do
  bool finished() const { return !answer_.finish_reason.empty(); }
  int64_t generated_tokens() const { return generated_tokens_; }
  int64_t last_token_us() const { return last_token_us_; }
  const engine::Timings& timings() const { return timings_; }  // once finished
  const api::ChoiceAnswer& answer() const { return answer_; }  // what was kept, and the reason
  const std::string& finish_reason() const { return answer_.finish_reason; }

  engine::RequestId request_id = 0;  // set by who submits it

 private:
  api::Delta ToDelta(std::string text);
  api::TokenInfo Describe(const engine::Token& token);

  ModelPtr model_;
  chat::OutputStream output_;
  const bool with_logprobs_;
  bool drop_space_;  // the next text's leading space is not in the text (SPM at the start of a text)
  std::vector<api::TokenInfo> pending_;  // drawn, but their text is not out yet
  api::ChoiceAnswer answer_;
  engine::Timings timings_;
  int64_t generated_tokens_ = 0;
  int64_t last_token_us_ = 0;
};

}  // namespace tenfold::server
