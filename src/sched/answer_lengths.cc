#include "sched/answer_lengths.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace tenfold::sched {

void AnswerLengths::Observe(int64_t tokens, bool cut) {
  window_.push_back({tokens, cut});
  if (std::ssize(window_) > kWindow) window_.pop_front();
}

int64_t AnswerLengths::Left(int64_t generated, int64_t limit) const {
  const int64_t most = std::max<int64_t>(0, limit - generated);
  std::vector<int64_t> longer;
  for (const Answer& answer : window_) {
    // One that was cut is at least as long as this one may become, or says nothing about it.
    if (answer.tokens > generated) longer.push_back(answer.cut ? std::numeric_limits<int64_t>::max() : answer.tokens);
  }
  if (std::ssize(longer) < kEnough) return most;
  const auto rank = static_cast<size_t>(std::ceil(quantile_ * static_cast<double>(longer.size()))) - 1;
  std::nth_element(longer.begin(), longer.begin() + static_cast<ptrdiff_t>(rank), longer.end());
  return std::min(most, longer[rank] - generated);
}

}  // namespace tenfold::sched
