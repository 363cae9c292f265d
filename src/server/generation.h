// One /v1/chat/completions or /v1/completions request, from body to last byte.
//
// Its life: parse (pool) → wait for the model (gate) → prompt to tokens (pool) → engine → text, chunk by chunk. Between
// the hops everything runs on the I/O thread. A client that goes away ends it at once in whatever phase it is.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "api/answer_writer.h"
#include "api/generation_request.h"
#include "chat/output_stream.h"
#include "server/exchange.h"
#include "server/service.h"

namespace tenfold::server {

// A validated body of either route.
struct GenerationBody {
  api::GenerationOptions options;
  std::variant<std::vector<api::ChatMessage>, std::string, std::vector<int32_t>> prompt;
};

// A prompt as the engine takes it.
struct PreparedPrompt {
  std::vector<tokenizer::TokenId> ids;
  bool at_text_start = false;  // nothing but control tokens: the answer begins a text
};

// Pure, any thread.
api::Parsed<GenerationBody> ParseBody(api::Shape shape, std::string_view body);
api::Parsed<PreparedPrompt> PreparePrompt(const tokenizer::Tokenizer& tokenizer, const GenerationBody& body);

// I/O thread only.
class Generation : public std::enable_shared_from_this<Generation> {
 public:
  // Registers in service.generations and answers `exchange`, now or later.
  static void Start(Service& service, std::shared_ptr<Exchange> exchange, api::Shape shape);

  Generation(Service& service, std::shared_ptr<Exchange> exchange, api::Shape shape, uint64_t key);

  void OnToken(engine::Token&& token);
  void OnFinish(engine::Finish&& finish);
  // Ends the answer with this error and stops the work: the server is shutting down.
  void Abort(const api::ApiError& error);

 private:
  enum class Phase { kPreparing, kHeld, kSubmitted, kDone };

  void Begin();
  void OnParsed(api::Parsed<GenerationBody> parsed);
  void OnModel(api::Parsed<ModelPtr> model);
  void OnPrompt(api::Parsed<PreparedPrompt> prompt);
  void Submit(PreparedPrompt prompt);
  void OnGone();

  void BeginStream();
  void Emit(std::string_view text);
  void EmitFinish(std::string_view reason, const engine::Finish& finish);
  void RestartPing();
  void Fail(const api::ApiError& error);  // as an HTTP error, or as an event where the stream has begun
  void Leave();                           // out of service.generations
  void LogLine(std::string_view outcome, const engine::Timings& timings) const;
  std::string PieceOf(tokenizer::TokenId id) const;

  Service& service_;
  std::shared_ptr<Exchange> exchange_;
  const api::Shape shape_;
  const uint64_t key_;
  Phase phase_ = Phase::kPreparing;

  std::shared_ptr<const GenerationBody> body_;
  size_t body_bytes_ = 0;
  ModelPtr model_;
  ModelGate::Ticket ticket_ = 0;
  int64_t held_since_us_ = 0;
  int64_t load_us_ = 0;  // how long the request waited for the model

  std::optional<engine::RequestId> request_id_;
  std::optional<chat::OutputStream> output_;
  std::optional<api::AnswerWriter> writer_;
  Timer ping_;
  bool stopped_ = false;  // a stop string appeared
  int64_t prompt_tokens_ = 0;
  int64_t generated_tokens_ = 0;
  int64_t last_token_us_ = 0;
  std::string text_;                     // of an answer that does not stream
  std::vector<api::TokenInfo> tokens_;   // with log-probabilities, of text_
  std::vector<api::TokenInfo> pending_;  // drawn, but their text is not out yet
};

}  // namespace tenfold::server
