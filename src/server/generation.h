// One /v1/chat/completions or /v1/completions request, from body to last byte.
//
// Its life: parse (pool) → wait for the model (gate) → prompts to tokens (pool) → engine, one request a choice → text,
// chunk by chunk. Between the hops everything runs on the I/O thread. A client that goes away ends all choices at once,
// in whatever phase the request is; so does a choice that fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer_writer.h"
#include "server/choice.h"
#include "server/exchange.h"
#include "server/prepare.h"
#include "server/service.h"

namespace tenfold::server {

// I/O thread only.
class Generation : public std::enable_shared_from_this<Generation> {
 public:
  // Registers in service.generations and answers `exchange`, now or later.
  static void Start(Service& service, std::shared_ptr<Exchange> exchange, api::Shape shape);

  Generation(Service& service, std::shared_ptr<Exchange> exchange, api::Shape shape, uint64_t key);

  void OnScores(size_t choice, std::vector<engine::Token>&& tokens);
  void OnToken(size_t choice, engine::Token&& token);
  void OnFinish(size_t choice, const engine::Finish& finish);
  // Ends the answer with this error and stops the work: the server is shutting down.
  void Abort(const api::ApiError& error);
  // The choices that the engine has not finished.
  void AddSlots(std::vector<SlotState>* out) const;

 private:
  enum class Phase { kPreparing, kHeld, kSubmitted, kDone };

  void Begin();
  void OnParsed(api::Parsed<GenerationBody> parsed);
  void OnModel(api::Parsed<ModelPtr> model);
  void OnPrepared(api::Parsed<Prepared> prepared);
  void Submit(Prepared&& prepared);
  Status SubmitChoice(const PreparedPrompt& prompt, const GrammarPtr& grammar, int64_t index, uint64_t seed);
  bool HoldLogprobs(size_t entries);
  void OnGone();
  void OnDeadline();
  void Stop();  // of a request that nobody waits for any more, in whatever phase it is
  void OnLate();

  api::AnswerHead Head();
  void BeginStream();
  void Emit(size_t choice, std::vector<Choice::Piece>&& pieces);
  void EmitFinish(size_t choice);
  void EmitEnd();
  void RestartPing();
  void Fail(const api::ApiError& error);  // as an HTTP error, or as an event where the stream has begun
  void CancelChoices();
  void Leave();  // out of service.generations

  api::Usage Usage() const;
  engine::Timings SlowestTimings() const;
  void Observe(const engine::Timings& timings);
  void LogLine(std::string_view outcome, const engine::Timings& timings) const;

  Service& service_;
  std::shared_ptr<Exchange> exchange_;
  const api::Shape shape_;
  const uint64_t key_;
  Phase phase_ = Phase::kPreparing;

  std::shared_ptr<const GenerationBody> body_;
  size_t body_bytes_ = 0;
  ModelPtr model_;
  uint64_t tenant_ = 0;
  uint64_t fingerprint_ = 0;   // of the body
  int64_t deadline_us_ = -1;   // when the answer must be complete; < 0: whenever
  int64_t predicted_us_ = -1;  // when it was predicted to be, from submission; < 0: not
  int64_t submitted_us_ = 0;
  ModelGate::Ticket ticket_ = 0;
  int64_t held_since_us_ = 0;
  int64_t load_us_ = 0;  // how long the request waited for the model

  std::vector<Choice> choices_;  // prompt-major: n of the first prompt, n of the second, ...
  size_t running_ = 0;           // choices the engine has not finished
  std::optional<api::AnswerWriter> writer_;
  Timer ping_;
  Timer deadline_;
  Timer late_;                    // rings at the deadline
  int64_t prompt_tokens_ = 0;     // of all prompts, each once
  int64_t generated_tokens_ = 0;  // of all choices
  size_t held_logprobs_ = 0;      // tokens and alternatives that no chunk has carried away yet
};

}  // namespace tenfold::server
