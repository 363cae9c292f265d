// Answers, on any thread and at once, whether a request would be served in time.
//
// What it does: keeps what the loop last published (who runs, who waits, what steps cost), adds what was submitted
// since, and asks the policy (sched/admission_control.h). What it does not: decide what a client is told, or hold
// anything up: a step takes up to seconds, an answer here tens of microseconds, or milliseconds with a thousand
// requests waiting.
//
// Threads: Publish, Ended, Open and Close on the loop thread; Decide and Submitted on any. One mutex, held to copy and
// to decide.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "sched/admission_control.h"
#include "sched/answer_lengths.h"
#include "sched/cost_model.h"
#include "sched/fair_queue.h"
#include "sched/step_budget.h"

namespace tenfold::engine {

// What a client asks of the engine, all its choices together.
struct Demand {
  uint64_t tenant = 0;       // whose fair share it is
  uint64_t fingerprint = 0;  // the same when the same request is asked again
  int64_t prompt_tokens = 0;
  int64_t max_new_tokens = 0;  // of each choice
  int64_t choices = 1;
  int64_t deadline_us = -1;  // by NowUs(); < 0: none
};

// Times in microseconds from now; -1 where nothing is known yet, because no step has been timed.
struct Prediction {
  bool in_time = true;
  bool ever = true;  // false: it would be late on an idle machine too
  int64_t first_token_us = -1;
  int64_t done_us = -1;
  int64_t retry_after_us = 0;  // not in time: ask again after so long
};

class AdmissionDesk {
 public:
  // A sequence as the loop sees it.
  struct Entry {
    int64_t id = 0;
    uint64_t tenant = 0;
    int64_t computed = 0;   // tokens in its pages
    int64_t known = 0;      // prompt and what was drawn
    int64_t generated = 0;  // of known
    int64_t limit = 0;      // most that it may generate
    int64_t deadline_us = -1;
  };

  // A model is there, served like this; nothing is until then and after Close().
  // Its prompt_room is the desk's own: the budget at the prices that were published last.
  void Open(const sched::Service& service, const sched::StepBudget& budget = {});
  void Close();
  // running: in the order of their admission; order: those that wait, whose entries are `waiting`, in any order.
  // last_taken: the newest id among all that the loop has seen.
  void Publish(std::vector<Entry> running, std::vector<Entry> waiting, const sched::FairQueue& order,
               const sched::CostModel& costs, int64_t last_taken);
  // A request ended by itself, or at its deadline.
  struct Outcome {
    int64_t predicted_us = -1;  // what Decide said; < 0: nothing
    int64_t actual_us = 0;      // from Decide to the end
    int64_t prompt_tokens = 0;
    int64_t cached_tokens = 0;  // of the prompt
    int64_t generated = 0;      // 0: its length says nothing
    bool cut = false;           // by its limit
  };
  void Ended(const Outcome& outcome);

  Prediction Decide(const Demand& demand, int64_t now_us);
  // The loop will see this request later; until then it counts here.
  void Submitted(const Entry& entry);

 private:
  sched::Backlog Now(uint64_t tenant, double work) const;
  void MakePlace(uint64_t tenant, const sched::FairQueue& order, sched::Backlog* backlog) const;
  int64_t Uncached(int64_t prompt_tokens) const;
  sched::Admitted ToAdmitted(const Entry& entry) const;

  mutable std::mutex mutex_;
  bool open_ = false;
  int64_t max_running_ = 1;
  sched::AdmissionControl control_{{}};
  sched::AnswerLengths lengths_;
  sched::CostModel costs_;
  double cached_share_ = 0;  // of the prompts' tokens of late
  sched::FairQueue order_;   // of waiting_ and submitted_
  std::vector<Entry> running_, waiting_, submitted_;
};

}  // namespace tenfold::engine
