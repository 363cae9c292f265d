// How the prompt tokens of one step are shared between the prompts that are being computed. Pure; the scheduler uses it
// for every step and the forecast when it replays them.
//
// Shortest remaining first makes the mean time to a first token smallest, and alone it would let a long prompt wait for
// ever behind short ones that keep coming. So half of each step is the oldest prompt's: it takes at most about twice as
// long as alone, whatever else arrives, and whoever waits in the middle becomes the oldest in the end.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tenfold::sched {

struct PromptDemand {
  int64_t tokens = 0;  // that it could use in this step, >= 0
  int64_t rank = 0;    // what decides who is short: tokens until its logits, or those of one who waits for its pages
};

// demands: oldest first. Shares in the same order; their sum is the smaller of budget (>= 0) and all demands. The
// oldest gets its demand or at least half of the budget, rounded up; equal ranks go in order of age.
std::vector<int64_t> SharePromptTokens(std::span<const PromptDemand> demands, int64_t budget);

}  // namespace tenfold::sched
