#include "sched/step_budget.h"

#include <algorithm>

namespace tenfold::sched {
namespace {

// However tight the time is: fewer would hardly be cheaper, and a prompt must get on even where predictions are wrong.
constexpr int64_t kLeastPromptTokens = 4;
// A mixed step keeps within its slowdown although it takes so many times the usual error longer than predicted. What it
// is measured by is the streams' usual step: when the machine is slow for a moment, prompts pay for it first.
constexpr double kErrors = 3;
constexpr double kMostError = 0.1;  // more is believed to be the machine's

}  // namespace

int64_t PromptTokensBeside(const CostModel& costs, const StepBudget& budget, int64_t max_step_tokens,
                           const StepCost& streams, int64_t first_position) {
  const int64_t most = max_step_tokens - streams.decode_rows;
  if (costs.observations() == 0) return most;
  double budget_ms = budget.prompt_step_ms;
  if (streams.decode_rows > 0) {
    const double usual_ms = costs.PredictMs(streams) / std::max(1.0, costs.slowness());
    const double margin = 1 + kErrors * std::min(kMostError, costs.relative_error());
    budget_ms = std::max(budget.mixed_floor_ms, budget.mixed_slowdown * usual_ms / margin);
  }
  const int64_t within = costs.PromptTokensWithin(budget_ms, streams, first_position, most);
  return std::min(most, std::max(within, kLeastPromptTokens));
}

}  // namespace tenfold::sched
