// When the requests that are there will be answered: the scheduler's policy replayed in large strides.
//
// Between two events (a prompt is done, an answer is done) every step looks alike, so its predicted time is multiplied
// instead of added up: a replay costs about two strides for each sequence, some microseconds in all, and may be made
// for every request that arrives. What it does not: pages (a preempted sequence's recomputation), cancellations, and
// requests that nobody told it of. A pure function.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sched/cost_model.h"

namespace tenfold::sched {

// One sequence, as much of it as matters to time.
struct Work {
  int64_t context = 0;      // tokens computed
  int64_t prompt_left = 0;  // tokens to compute before its next answer token beyond the one of an ordinary step
  int64_t answer_left = 0;  // answer tokens still expected, >= 0; 0 with a prompt: done when the prompt is
  double arrives_ms = 0;    // from now, >= 0; of those that wait: not served before
};

struct Service {
  int64_t max_running = 10;
  int64_t max_step_tokens = 512;
  // Prompt tokens in a step with these answers' rows, the first of them at first_position (step_budget.h); empty: all
  // that max_step_tokens leaves.
  std::function<int64_t(const StepCost& streams, int64_t first_position)> prompt_room{};
};

// Milliseconds of a step of this cost; the cost model's PredictMs.
using StepTime = std::function<double(const StepCost& cost)>;

struct Forecast {
  std::vector<double> first_token_ms;  // from now; as many as there are sequences, the running ones first
  std::vector<double> done_ms;
};

// running: oldest first. waiting: in the order in which they will be served; one that has yet to arrive holds up nobody
// behind it.
Forecast Replay(std::span<const Work> running, std::span<const Work> waiting, const Service& service,
                const StepTime& step_ms);

}  // namespace tenfold::sched
