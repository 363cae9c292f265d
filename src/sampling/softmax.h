// The passes over a whole vocabulary that sampling is made of: the peak, and sums of exponentials relative to it.
//
// Four lanes of SSE2, which every x86-64 has, so results are the same on every machine. All sums are in double. Any
// thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tenfold::sampling {

// The largest logit. NaN never is.
struct Peak {
  int32_t token = -1;         // the lowest id that has it; -1: nothing is above -inf
  float logit = 0;            // finite, unless has_infinity
  bool has_infinity = false;  // the peak is +inf
};
Peak FindPeak(std::span<const float> logits);

// out[i] = exp((x[i] - peak) * scale) for x[i] <= peak, peak finite, scale > 0. 0 where the argument is below -87 or
// x[i] is NaN. Relative error <= 2e-7 + 1.2e-7 * |argument| (the argument itself is rounded to float). out may be x's
// data.
void ExpRelative(std::span<const float> x, float peak, float scale, float* out);

// Sum of exp((x - peak) * scale) over all x, as above.
double ExpSum(std::span<const float> x, float peak, float scale);

// The first index at which the running sum of weights (>= 0) exceeds `target` (>= 0), never one of weight 0; the last
// one with a weight if rounding leaves the target beyond the sum; -1 if no weight is positive.
int64_t PickByWeight(std::span<const float> weights, double target);

// One token with probability exp((logit - peak) * scale) / sum, for u in [0, 1). Two passes over the logits.
// block_sums: scratch, kept by the caller between calls.
int32_t PickFromAll(std::span<const float> logits, float peak, float scale, double u, std::vector<double>& block_sums);

}  // namespace tenfold::sampling
