// Fitting scales to values, for the test quantiser: what every format's encoder shares. Private to tensor/.
//
// Scales are rounded up, never down, so that no finite value is clipped and the error of an element is at most half a
// step of its own sub-block: a bound that tests can state.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "tensor/fp16.h"

namespace tenfold::tensor {

// The smallest half >= x (x >= 0), or the largest finite half: an infinite scale would turn zeros into NaN.
inline uint16_t HalfAtLeast(float x) {
  constexpr uint16_t kLargestFinite = 0x7BFF;
  if (!(x < 65504.0f)) return kLargestFinite;
  const uint16_t nearest = FloatToHalf(x);
  return HalfToFloat(nearest) < x ? static_cast<uint16_t>(nearest + 1) : nearest;
}

inline void StoreHalf(uint16_t h, uint8_t* dst) { std::memcpy(dst, &h, sizeof h); }

// x / step to the nearest integer in [lo, hi]; 0 within bounds when step is 0 (then x is 0 as well).
inline int NearestQuant(float x, float step, int lo, int hi) {
  const float q = step > 0 ? x / step : 0.0f;
  if (!(q > static_cast<float>(lo))) return lo;
  if (q >= static_cast<float>(hi)) return hi;
  return static_cast<int>(std::lround(q));
}

// The smallest integer multiple of `unit` that reaches x, at most `limit`.
inline int QuantAtLeast(float x, float unit, int limit) {
  if (!(unit > 0)) return 0;
  const float q = std::ceil(x / unit);
  return q < static_cast<float>(limit) ? static_cast<int>(q) : limit;
}

inline float AbsMax(const float* x, int n) {
  float max = 0;
  for (int i = 0; i < n; ++i) max = std::max(max, std::fabs(x[i]));
  return max;
}

// How far below zero the values reach, >= 0.
inline float Depth(const float* x, int n) { return std::max(0.0f, -*std::min_element(x, x + n)); }

}  // namespace tenfold::tensor
