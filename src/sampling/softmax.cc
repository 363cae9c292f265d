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

// e^z = 2^n * e^r with n = round(z / ln 2), |r| <= ln 2 / 2; e^r by its Taylor series to r^7, whose rest is below 6e-9.
// ln 2 in two parts, the first short enough that n times it is exact.
__m128 Exp4(__m128 z) {
  const __m128 in_range = _mm_cmpge_ps(z, _mm_set1_ps(-87.0F));  // false for NaN
  const __m128 safe = _mm_and_ps(z, in_range);
  const __m128i n = _mm_cvtps_epi32(_mm_mul_ps(safe, _mm_set1_ps(1.44269504F)));
  const __m128 nf = _mm_cvtepi32_ps(n);
  __m128 r = _mm_sub_ps(safe, _mm_mul_ps(nf, _mm_set1_ps(0.693359375F)));
  r = _mm_sub_ps(r, _mm_mul_ps(nf, _mm_set1_ps(-2.12194440e-4F)));
  __m128 sum = _mm_set1_ps(1.0F / 5040);
  for (const float c : {1.0F / 720, 1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F, 1.0F, 1.0F}) {
    sum = _mm_add_ps(_mm_mul_ps(sum, r), _mm_set1_ps(c));
  }
  const __m128i power = _mm_slli_epi32(_mm_add_epi32(n, _mm_set1_epi32(127)), 23);
  return _mm_and_ps(_mm_mul_ps(sum, _mm_castsi128_ps(power)), in_range);
}

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
  const __m128 peaks = _mm_set1_ps(peak);
  const __m128 scales = _mm_set1_ps(scale);
  const auto exp4 = [&](__m128 four) { return Exp4(_mm_mul_ps(_mm_sub_ps(four, peaks), scales)); };
  size_t i = 0;
  for (; i + 4 <= x.size(); i += 4) _mm_storeu_ps(out + i, exp4(_mm_loadu_ps(x.data() + i)));
  if (i == x.size()) return;
  alignas(16) float rest[4] = {peak, peak, peak, peak};
  std::copy(x.begin() + static_cast<std::ptrdiff_t>(i), x.end(), rest);
  _mm_store_ps(rest, exp4(_mm_load_ps(rest)));
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
