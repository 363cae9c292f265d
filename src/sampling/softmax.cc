#include "sampling/softmax.h"

#include <emmintrin.h>

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace tenfold::sampling {
namespace {

constexpr size_t kBlock = 1024;  // floats: a block of exponentials stays in the first-level cache

// The largest of `x`, -inf if there is none. MAXPS gives its second operand when one is NaN, so NaN never gets in.
float MaxOf(std::span<const float> x) {
  const float lowest = -std::numeric_limits<float>::infinity();
  __m128 best[4] = {_mm_set1_ps(lowest), _mm_set1_ps(lowest), _mm_set1_ps(lowest), _mm_set1_ps(lowest)};
  size_t i = 0;
  for (; i + 16 <= x.size(); i += 16) {
    for (int j = 0; j < 4; ++j) best[j] = _mm_max_ps(_mm_loadu_ps(x.data() + i + 4 * j), best[j]);
  }
  alignas(16) float lanes[4];
  _mm_store_ps(lanes, _mm_max_ps(_mm_max_ps(best[0], best[1]), _mm_max_ps(best[2], best[3])));
  float max = *std::max_element(lanes, lanes + 4);
  for (; i < x.size(); ++i) max = x[i] > max ? x[i] : max;
  return max;
}

// e^z for 32 floats. 2^n * e^r with n = round(z / ln 2), |r| <= ln 2 / 2; e^r by its Taylor series to r^7, whose rest
// is below 6e-9. ln 2 in two parts, the first short enough that n times it is exact. Eight vectors abreast: one is a
// chain of some thirty dependent operations. Cycles a float on Zen 4: one by one 6.3 (its coefficients in a loop that
// GCC kept) or 4.3, four abreast 3.5, eight 3.1.
constexpr int kAbreast = 8;
struct Exp {
  __m128 v[kAbreast];

  template <class Fn>
  __attribute__((always_inline)) void Each(Fn&& fn) {
#pragma GCC unroll 8
    for (int j = 0; j < kAbreast; ++j) v[j] = fn(v[j], j);
  }

  __attribute__((always_inline)) void Apply() {
    __m128 in_range[kAbreast], r[kAbreast];
    __m128i n[kAbreast];
    Each([&](__m128 z, int j) {
      in_range[j] = _mm_cmpge_ps(z, _mm_set1_ps(-87.0F));  // false for NaN
      const __m128 safe = _mm_and_ps(z, in_range[j]);
      n[j] = _mm_cvtps_epi32(_mm_mul_ps(safe, _mm_set1_ps(1.44269504F)));
      const __m128 nf = _mm_cvtepi32_ps(n[j]);
      r[j] = _mm_sub_ps(safe, _mm_mul_ps(nf, _mm_set1_ps(0.693359375F)));
      r[j] = _mm_sub_ps(r[j], _mm_mul_ps(nf, _mm_set1_ps(-2.12194440e-4F)));
      return _mm_set1_ps(1.0F / 5040);
    });
    const auto times_r_plus = [&](float c) {
      Each([&](__m128 sum, int j) { return _mm_add_ps(_mm_mul_ps(sum, r[j]), _mm_set1_ps(c)); });
    };
    times_r_plus(1.0F / 720);
    times_r_plus(1.0F / 120);
    times_r_plus(1.0F / 24);
    times_r_plus(1.0F / 6);
    times_r_plus(0.5F);
    times_r_plus(1.0F);
    times_r_plus(1.0F);
    Each([&](__m128 sum, int j) {
      const __m128i power = _mm_slli_epi32(_mm_add_epi32(n[j], _mm_set1_epi32(127)), 23);
      return _mm_and_ps(_mm_mul_ps(sum, _mm_castsi128_ps(power)), in_range[j]);
    });
  }
};

double Sum(std::span<const float> x) {
  __m128d sums[2] = {_mm_setzero_pd(), _mm_setzero_pd()};
  size_t i = 0;
  for (; i + 4 <= x.size(); i += 4) {
    const __m128 four = _mm_loadu_ps(x.data() + i);
    sums[0] = _mm_add_pd(sums[0], _mm_cvtps_pd(four));
    sums[1] = _mm_add_pd(sums[1], _mm_cvtps_pd(_mm_movehl_ps(four, four)));
  }
  alignas(16) double lanes[2];
  _mm_store_pd(lanes, _mm_add_pd(sums[0], sums[1]));
  double sum = lanes[0] + lanes[1];
  for (; i < x.size(); ++i) sum += static_cast<double>(x[i]);
  return sum;
}

// Calls fn(block of x) for consecutive blocks.
template <class Fn>
void ForEachBlock(std::span<const float> x, Fn&& fn) {
  for (size_t at = 0; at < x.size(); at += kBlock) fn(x.subspan(at, std::min(kBlock, x.size() - at)));
}

}  // namespace

Peak FindPeak(std::span<const float> logits) {
  Peak peak;
  float max = -std::numeric_limits<float>::infinity();
  std::span<const float> home;  // the first block that has the maximum
  ForEachBlock(logits, [&](std::span<const float> block) {
    if (const float block_max = MaxOf(block); block_max > max) {
      max = block_max;
      home = block;
    }
  });
  if (home.empty()) return peak;
  const auto first = std::find(home.begin(), home.end(), max);
  peak.token = static_cast<int32_t>(&*first - logits.data());
  peak.logit = max;
  peak.has_infinity = max == std::numeric_limits<float>::infinity();
  return peak;
}

void ExpRelative(std::span<const float> x, float peak, float scale, float* out) {
  constexpr size_t kFloats = 4 * kAbreast;
  const __m128 peaks = _mm_set1_ps(peak);
  const __m128 scales = _mm_set1_ps(scale);
  const auto exp_of = [&](const float* from, float* to) {
    Exp e;
    e.Each([&](__m128, int j) { return _mm_mul_ps(_mm_sub_ps(_mm_loadu_ps(from + 4 * j), peaks), scales); });
    e.Apply();
    for (int j = 0; j < kAbreast; ++j) _mm_storeu_ps(to + 4 * j, e.v[j]);
  };
  size_t i = 0;
  for (; i + kFloats <= x.size(); i += kFloats) exp_of(x.data() + i, out + i);
  if (i == x.size()) return;
  float rest[kFloats];
  std::fill(std::copy(x.begin() + static_cast<std::ptrdiff_t>(i), x.end(), rest), rest + kFloats, peak);
  exp_of(rest, rest);
  std::copy_n(rest, x.size() - i, out + i);
}

double ExpSum(std::span<const float> x, float peak, float scale) {
  alignas(16) float weights[kBlock];
  double sum = 0;
  ForEachBlock(x, [&](std::span<const float> block) {
    ExpRelative(block, peak, scale, weights);
    sum += Sum({weights, block.size()});
  });
  return sum;
}

int64_t PickByWeight(std::span<const float> weights, double target) {
  double sum = 0;
  int64_t last = -1;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!(weights[i] > 0)) continue;
    sum += static_cast<double>(weights[i]);
    last = static_cast<int64_t>(i);
    if (sum > target) break;
  }
  return last;
}

int32_t PickFromAll(std::span<const float> logits, float peak, float scale, double u, std::vector<double>& block_sums) {
  alignas(16) float weights[kBlock];
  block_sums.clear();
  double total = 0;
  ForEachBlock(logits, [&](std::span<const float> block) {
    ExpRelative(block, peak, scale, weights);
    block_sums.push_back(Sum({weights, block.size()}));
    total += block_sums.back();
  });
  double target = u * total;
  double target_within = 0;
  size_t chosen = 0;
  for (size_t b = 0; b < block_sums.size(); ++b) {
    if (block_sums[b] <= 0) continue;
    chosen = b;  // the last block with any weight, if rounding leaves the target beyond the total
    target_within = target;
    if (target < block_sums[b]) break;
    target -= block_sums[b];
  }
  const size_t begin = chosen * kBlock;
  const auto block = logits.subspan(begin, std::min(kBlock, logits.size() - begin));
  ExpRelative(block, peak, scale, weights);
  const int64_t within = PickByWeight({weights, block.size()}, target_within);
  TENFOLD_CHECK(within >= 0, "the peak's own weight is one");
  return static_cast<int32_t>(static_cast<int64_t>(begin) + within);
}

}  // namespace tenfold::sampling
