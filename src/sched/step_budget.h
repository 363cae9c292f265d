// How many prompt tokens a step may hold, by the time that it may take. Pure; the scheduler asks for every step and the
// forecast when it replays them.
#pragma once

#include <cstdint>

#include "sched/cost_model.h"

namespace tenfold::sched {

// Time, once the cost model has seen how long steps take; before that only tokens count.
struct StepBudget {
  double mixed_slowdown = 2.5;   // a step may take so many times what its streams alone would, for the prompts' sake,
  double mixed_floor_ms = 40;    // or this: a pause that nobody who reads along can see
  double prompt_step_ms = 2000;  // a step without streams: how long an arrival or a cancellation may have to wait
};

// How many prompt tokens a step with these streams has room for, the first of them at first_position: so many that the
// step is predicted to stay within its time, at most what max_step_tokens leaves, and never less than 4 of those.
int64_t PromptTokensBeside(const CostModel& costs, const StepBudget& budget, int64_t max_step_tokens,
                           const StepCost& streams, int64_t first_position);

}  // namespace tenfold::sched
