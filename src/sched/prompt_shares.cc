#include "sched/prompt_shares.h"

#include <algorithm>
#include <numeric>

namespace tenfold::sched {

std::vector<int64_t> SharePromptTokens(std::span<const PromptDemand> demands, int64_t budget) {
  std::vector<int64_t> shares(demands.size(), 0);
  if (demands.empty()) return shares;
  shares[0] = std::min(demands[0].tokens, budget - budget / 2);
  budget -= shares[0];
  std::vector<size_t> order(demands.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return demands[a].rank < demands[b].rank; });
  for (const size_t i : order) {
    const int64_t more = std::min(demands[i].tokens - shares[i], budget);
    shares[i] += more;
    budget -= more;
  }
  return shares;
}

}  // namespace tenfold::sched
