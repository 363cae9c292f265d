// Is A faster than B? Compared pair by pair, so that what disturbs both runs of a pair (a neighbour, a clock) cancels.
//
// The median of the ratios, with the interval of the sign test: no assumption on how the noise is distributed but that
// pairs are independent. A few bad pairs move neither much, which a t-test on a shared machine cannot say.
#pragma once

#include <cstddef>
#include <span>

#include "base/result.h"

namespace tenfold::stats {

struct PairedRatio {
  size_t pairs = 0;
  double median = 0;  // of a[i] / b[i]
  // The true median ratio lies in [low, high] with probability `coverage` or more: order statistics of the ratios, the
  // tightest pair of them with at least the coverage asked for. With too few pairs for that (below 6 for 95 %), they
  // are the smallest and the largest ratio and `coverage` says how little that is.
  double low = 0;
  double high = 0;
  double coverage = 0;  // 1 - 2 * P(Binomial(pairs, 1/2) < rank of low)

  // The interval excludes 1: a is larger, or smaller, than b beyond the noise.
  bool differs() const { return low > 1 || high < 1; }
};

// a[i] and b[i] are one pair: measured next to each other, in turns. Errors: kInvalidArgument when the lengths differ,
// there is no pair, or a value is not positive and finite (a failed run has no time: leave its pair out).
// wanted_coverage in (0, 1).
Result<PairedRatio> ComparePairs(std::span<const double> a, std::span<const double> b, double wanted_coverage = 0.95);

}  // namespace tenfold::stats
