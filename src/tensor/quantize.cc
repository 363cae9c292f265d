// Floats to blocks, for tests and tools.
//
// Scales are rounded up, never down, so that no finite value is clipped and the error of an element is at most half a
// step of its own sub-block: a bound that tests can state. Real quantisers search for scales that lose less; this one
// does not, because nothing a user runs is quantised here.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "tensor/dequantize.h"
#include "tensor/fp16.h"
#include "tensor/k_scales.h"

namespace tenfold::tensor {
namespace {

// The smallest half >= x (x >= 0), or the largest finite half: an infinite scale would turn zeros into NaN.
uint16_t HalfAtLeast(float x) {
  constexpr uint16_t kLargestFinite = 0x7BFF;
  if (!(x < 65504.0f)) return kLargestFinite;
  const uint16_t nearest = FloatToHalf(x);
  return HalfToFloat(nearest) < x ? static_cast<uint16_t>(nearest + 1) : nearest;
}

void StoreHalf(uint16_t h, uint8_t* dst) { std::memcpy(dst, &h, sizeof h); }

// x / step to the nearest integer in [lo, hi]; 0 within bounds when step is 0 (then x is 0 as well).
int NearestQuant(float x, float step, int lo, int hi) {
  const float q = step > 0 ? x / step : 0.0f;
  if (!(q > static_cast<float>(lo))) return lo;
  if (q >= static_cast<float>(hi)) return hi;
  return static_cast<int>(std::lround(q));
}

// The smallest integer multiple of `unit` that reaches x, at most `limit`.
int QuantAtLeast(float x, float unit, int limit) {
  if (!(unit > 0)) return 0;
  const float q = std::ceil(x / unit);
  return q < static_cast<float>(limit) ? static_cast<int>(q) : limit;
}

float AbsMax(const float* x, int n) {
  float max = 0;
  for (int i = 0; i < n; ++i) max = std::max(max, std::fabs(x[i]));
  return max;
}

// src: (32); block: 34 bytes.
void QuantizeQ8_0(const float* src, uint8_t* block) {
  const uint16_t half = HalfAtLeast(AbsMax(src, 32) / 127.0f);
  const float d = HalfToFloat(half);
  StoreHalf(half, block);
  for (int i = 0; i < 32; ++i) block[2 + i] = static_cast<uint8_t>(NearestQuant(src[i], d, -127, 127));
}

// src: (256); block: 144 bytes.
void QuantizeQ4K(const float* src, uint8_t* block) {
  float lowest[8];  // how far below zero each sub-block reaches, >= 0
  for (int j = 0; j < 8; ++j) lowest[j] = std::max(0.0f, -*std::min_element(src + 32 * j, src + 32 * j + 32));
  const uint16_t dmin_half = HalfAtLeast(*std::max_element(lowest, lowest + 8) / 63.0f);
  const float dmin = HalfToFloat(dmin_half);

  KScale scales[8];
  float steps[8];
  for (int j = 0; j < 8; ++j) {
    scales[j].min = static_cast<uint8_t>(QuantAtLeast(lowest[j], dmin, 63));
    const float highest = *std::max_element(src + 32 * j, src + 32 * j + 32);
    steps[j] = std::max(0.0f, highest + dmin * static_cast<float>(scales[j].min)) / 15.0f;
  }
  const uint16_t d_half = HalfAtLeast(*std::max_element(steps, steps + 8) / 63.0f);
  const float d = HalfToFloat(d_half);
  for (int j = 0; j < 8; ++j) scales[j].scale = static_cast<uint8_t>(QuantAtLeast(steps[j], d, 63));

  StoreHalf(d_half, block);
  StoreHalf(dmin_half, block + 2);
  PackKScales(scales, block + 4);
  std::memset(block + 16, 0, 128);
  for (int j = 0; j < 8; ++j) {
    const float step = d * static_cast<float>(scales[j].scale);
    const float offset = dmin * static_cast<float>(scales[j].min);
    for (int l = 0; l < 32; ++l) {
      const int q = NearestQuant(src[32 * j + l] + offset, step, 0, 15);
      block[16 + 32 * (j / 2) + l] |= static_cast<uint8_t>(q << (4 * (j & 1)));
    }
  }
}

// src: (256); block: 210 bytes.
void QuantizeQ6K(const float* src, uint8_t* block) {
  float steps[16];
  for (int j = 0; j < 16; ++j) steps[j] = AbsMax(src + 16 * j, 16) / 31.0f;
  const uint16_t d_half = HalfAtLeast(*std::max_element(steps, steps + 16) / 127.0f);
  const float d = HalfToFloat(d_half);
  std::memset(block, 0, 192);
  StoreHalf(d_half, block + 208);
  for (int j = 0; j < 16; ++j) block[192 + j] = static_cast<uint8_t>(QuantAtLeast(steps[j], d, 127));
  for (int elem = 0; elem < 256; ++elem) {
    const float step = d * static_cast<float>(block[192 + elem / 16]);
    const int q = NearestQuant(src[elem], step, -32, 31) + 32;
    const int half = elem / 128;
    const int quarter = elem % 128 / 32;
    const int l = elem % 32;
    block[64 * half + 32 * (quarter & 1) + l] |= static_cast<uint8_t>((q & 15) << (4 * (quarter / 2)));
    block[128 + 32 * half + l] |= static_cast<uint8_t>((q >> 4) << (2 * quarter));
  }
}

}  // namespace

void QuantizeRow(DType type, const float* src, size_t elems, uint8_t* dst) {
  const DTypeTraits traits = TraitsOf(type);
  const size_t bytes = RowBytes(type, elems);
  const size_t blocks = elems / traits.block_elems;
  switch (type) {
    case DType::kF32:
      std::memcpy(dst, src, bytes);
      return;
    case DType::kF16:
      for (size_t i = 0; i < elems; ++i) StoreHalf(FloatToHalf(src[i]), dst + 2 * i);
      return;
    case DType::kQ8_0:
      for (size_t b = 0; b < blocks; ++b) QuantizeQ8_0(src + b * traits.block_elems, dst + b * traits.block_bytes);
      return;
    case DType::kQ4_K:
      for (size_t b = 0; b < blocks; ++b) QuantizeQ4K(src + b * traits.block_elems, dst + b * traits.block_bytes);
      return;
    case DType::kQ6_K:
      for (size_t b = 0; b < blocks; ++b) QuantizeQ6K(src + b * traits.block_elems, dst + b * traits.block_bytes);
      return;
    default:
      TENFOLD_CHECK(false, "QuantizeRow needs a computable type");
  }
}

}  // namespace tenfold::tensor
