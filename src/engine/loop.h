// The loop thread's own state: the sequences of one loaded model, advanced one step at a time.
//
// What it does: plan -> forward -> sample -> emit. What it does not: wait, lock, load; engine.cc does.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "engine/engine.h"
#include "engine/loader.h"
#include "platform/thread_pool.h"
#include "sched/scheduler.h"

namespace tenfold::engine {

// Counters that only grow; the engine adds them to the snapshot.
struct LoopCounters {
  uint64_t steps = 0;
  uint64_t prompt_tokens = 0;  // computed
  uint64_t cached_tokens = 0;  // prompt tokens whose pages were there already
  uint64_t generated_tokens = 0;
  uint64_t busy_slots = 0;
  uint64_t preemptions = 0;
  uint64_t evictions = 0;  // of pages that nobody held
  uint64_t cancelled = 0;
  double prompt_seconds = 0;
  double generate_seconds = 0;
};

// Not thread safe: lives on the loop thread.
class Loop {
 public:
  // desk: is told who is there and what steps cost; outlives the loop.
  Loop(const Options& options, LoadedModel loaded, platform::ThreadPool& pool, AdmissionDesk& desk);

  // The request has been validated by Engine::Submit; one that can never fit the page pool finishes at once with
  // kFailed.
  void Add(RequestId id, Request request, int64_t submitted_us);
  void Cancel(RequestId id, bool complete = false);
  // Ends every request.
  void FinishAll(FinishReason reason, const Error& error);
  bool empty() const { return scheduler_.empty(); }

  // Tells the desk who is there; after each step the loop does so itself. last_taken: the newest id it was given.
  void PublishBacklog();
  // One step. Needs !empty().
  StepStats RunStep(LoopCounters& counters);

  const LoadedModel& loaded() const { return loaded_; }
  const sched::Scheduler& scheduler() const { return scheduler_; }
  std::string CheckIntegrity() const;

 private:
  // Whose logits a row of them is: those that follow the token at `position`.
  struct LogitsRow {
    sched::SeqId seq = 0;
    int64_t position = 0;
  };
  struct Sequence {
    Request request;
    std::vector<tokenizer::TokenId> tokens;  // prompt, then what was drawn
    int64_t prompt_tokens = 0;
    int64_t max_new_tokens = 0;
    int64_t prompt_counted = 0;  // prompt tokens already counted, as computed or cached (recomputation counts once)
    int64_t cached_tokens = 0;
    sampling::Sampler sampler;
    std::optional<grammar::Matcher> matcher{};  // has taken every token drawn; recomputation leaves it alone
    std::vector<Token> scored{};                // prompt tokens of this step
    int64_t submitted_us = 0;
    int64_t first_planned_us = -1;
    int64_t first_token_us = -1;
    int64_t last_token_us = -1;
  };

  AdmissionDesk::Entry EntryOf(sched::SeqId seq) const;
  void Forward(const sched::StepPlan& plan);
  Result<sampling::Sample> Evaluate(int64_t logits_row);
  static Result<sampling::Sample> DrawOne(Sequence& sequence, std::span<const float> logits);
  void EmitAll(std::vector<Result<sampling::Sample>>& samples, LoopCounters& counters, int64_t now_us);
  void EmitScore(sched::SeqId seq, Result<sampling::Sample> sample, bool last);
  void Emit(sched::SeqId seq, Result<sampling::Sample> sample, int64_t now_us);
  void FinishOne(std::map<sched::SeqId, Sequence>::iterator it, FinishReason reason, Error error, bool complete = true);
  void Account(const sched::StepPlan& plan, const StepStats& stats, LoopCounters& counters);

  LoadedModel loaded_;
  platform::ThreadPool& pool_;
  sched::Scheduler scheduler_;
  AdmissionDesk& desk_;
  RequestId last_taken_ = 0;
  std::map<sched::SeqId, Sequence> sequences_;
  std::vector<model::StepRow> rows_;  // reused between steps
  std::vector<LogitsRow> wanted_;     // the logits of this step, in row order
};

}  // namespace tenfold::engine
