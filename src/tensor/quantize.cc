// Floats to blocks, for tests and tools: plain types, Q8_0 and the K formats; quantize_32.cc has the other blocks
// of 32.
//
// Real quantisers search for scales that lose less; this one does not, because nothing a user runs is quantised here.
#include <bit>

#include "base/check.h"
#include "tensor/dequantize.h"
#include "tensor/k_scales.h"
#include "tensor/quantize_32.h"
#include "tensor/quantize_fit.h"

namespace tenfold::tensor {
namespace {

// 256 values as d * scale * q - dmin * min, or d * scale * q.
struct Fit {
  uint16_t d = 0, dmin = 0;
  int scale[16] = {}, min[16] = {};  // of each sub-block
  int q[256] = {};
};

// src: (256). `step` elements share a scale and a min, both 0..factor_limit; q: 0..q_limit.
Fit FitAffine(const float* src, int step, int factor_limit, int q_limit) {
  Fit fit;
  const int n = 256 / step;
  float depth[16], steps[16];
  for (int j = 0; j < n; ++j) depth[j] = Depth(src + step * j, step);
  fit.dmin = HalfAtLeast(*std::max_element(depth, depth + n) / static_cast<float>(factor_limit));
  const float dmin = HalfToFloat(fit.dmin);
  for (int j = 0; j < n; ++j) {
    fit.min[j] = QuantAtLeast(depth[j], dmin, factor_limit);
    const float highest = *std::max_element(src + step * j, src + step * (j + 1));
    steps[j] = std::max(0.0f, highest + dmin * static_cast<float>(fit.min[j])) / static_cast<float>(q_limit);
  }
  fit.d = HalfAtLeast(*std::max_element(steps, steps + n) / static_cast<float>(factor_limit));
  const float d = HalfToFloat(fit.d);
  for (int j = 0; j < n; ++j) {
    fit.scale[j] = QuantAtLeast(steps[j], d, factor_limit);
    const float offset = dmin * static_cast<float>(fit.min[j]);
    for (int i = step * j; i < step * (j + 1); ++i) {
      fit.q[i] = NearestQuant(src[i] + offset, d * static_cast<float>(fit.scale[j]), 0, q_limit);
    }
  }
  return fit;
}

// src: (256). 16 elements share a scale 0..factor_limit; q: -q_limit..q_limit.
Fit FitSymmetric(const float* src, int factor_limit, int q_limit) {
  Fit fit;
  float steps[16];
  for (int j = 0; j < 16; ++j) steps[j] = AbsMax(src + 16 * j, 16) / static_cast<float>(q_limit);
  fit.d = HalfAtLeast(*std::max_element(steps, steps + 16) / static_cast<float>(factor_limit));
  const float d = HalfToFloat(fit.d);
  for (int j = 0; j < 16; ++j) fit.scale[j] = QuantAtLeast(steps[j], d, factor_limit);
  for (int i = 0; i < 256; ++i) {
    fit.q[i] = NearestQuant(src[i], d * static_cast<float>(fit.scale[i / 16]), -q_limit, q_limit);
  }
  return fit;
}

// What Q4_K and Q5_K share: d, dmin and scales to block, low nibbles to qs.
void StoreNibbleK(const Fit& fit, uint8_t* block, uint8_t* qs) {
  KScale scales[8];
  for (int j = 0; j < 8; ++j) scales[j] = {static_cast<uint8_t>(fit.scale[j]), static_cast<uint8_t>(fit.min[j])};
  StoreHalf(fit.d, block);
  StoreHalf(fit.dmin, block + 2);
  PackKScales(scales, block + 4);
  std::memset(qs, 0, 128);
  for (int i = 0; i < 256; ++i)
    qs[32 * (i / 64) + i % 32] |= static_cast<uint8_t>((fit.q[i] & 15) << (4 * (i / 32 % 2)));
}

void QuantizeQ4K(const float* src, uint8_t* block) { StoreNibbleK(FitAffine(src, 32, 63, 15), block, block + 16); }

void QuantizeQ5K(const float* src, uint8_t* block) {
  const Fit fit = FitAffine(src, 32, 63, 31);
  StoreNibbleK(fit, block, block + 48);
  std::memset(block + 16, 0, 32);
  for (int i = 0; i < 256; ++i) block[16 + i % 32] |= static_cast<uint8_t>((fit.q[i] >> 4) << (i / 32));
}

void StoreTwoBits(const Fit& fit, int offset, uint8_t* qs) {
  std::memset(qs, 0, 64);
  for (int i = 0; i < 256; ++i) {
    qs[32 * (i / 128) + i % 32] |= static_cast<uint8_t>(((fit.q[i] + offset) & 3) << (2 * (i % 128 / 32)));
  }
}

void QuantizeQ2K(const float* src, uint8_t* block) {
  const Fit fit = FitAffine(src, 16, 15, 3);
  for (int j = 0; j < 16; ++j) block[j] = static_cast<uint8_t>(fit.scale[j] | (fit.min[j] << 4));
  StoreTwoBits(fit, 0, block + 16);
  StoreHalf(fit.d, block + 80);
  StoreHalf(fit.dmin, block + 82);
}

void QuantizeQ3K(const float* src, uint8_t* block) {
  const Fit fit = FitSymmetric(src, 31, 3);
  std::memset(block, 0, 32);
  std::memset(block + 96, 0, 12);
  for (int i = 0; i < 256; ++i) block[i % 32] |= static_cast<uint8_t>(((fit.q[i] + 4) >> 2) << (i / 32));
  StoreTwoBits(fit, 4, block + 32);
  for (int j = 0; j < 16; ++j) {
    const int s = fit.scale[j] + 32;
    block[96 + j % 8] |= static_cast<uint8_t>((s & 15) << (4 * (j / 8)));
    block[104 + j % 4] |= static_cast<uint8_t>((s >> 4) << (2 * (j / 4)));
  }
  StoreHalf(fit.d, block + 108);
}

void QuantizeQ6K(const float* src, uint8_t* block) {
  const Fit fit = FitSymmetric(src, 127, 31);
  std::memset(block, 0, 192);
  StoreHalf(fit.d, block + 208);
  for (int j = 0; j < 16; ++j) block[192 + j] = static_cast<uint8_t>(fit.scale[j]);
  for (int elem = 0; elem < 256; ++elem) {
    const int q = fit.q[elem] + 32;
    const int half = elem / 128;
    const int quarter = elem % 128 / 32;
    const int l = elem % 32;
    block[64 * half + 32 * (quarter & 1) + l] |= static_cast<uint8_t>((q & 15) << (4 * (quarter / 2)));
    block[128 + 32 * half + l] |= static_cast<uint8_t>((q >> 4) << (2 * quarter));
  }
}

// src: (32); block: 34 bytes.
void QuantizeQ8_0(const float* src, uint8_t* block) {
  const uint16_t half = HalfAtLeast(AbsMax(src, 32) / 127.0f);
  StoreHalf(half, block);
  for (int i = 0; i < 32; ++i) {
    block[2 + i] = static_cast<uint8_t>(NearestQuant(src[i], HalfToFloat(half), -127, 127));
  }
}

void QuantizeF32(const float* src, uint8_t* dst) { std::memcpy(dst, src, sizeof *src); }
void QuantizeF16(const float* src, uint8_t* dst) { StoreHalf(FloatToHalf(*src), dst); }
// To nearest even: adding just under half of the last kept bit, and the bit itself.
void QuantizeBF16(const float* src, uint8_t* dst) {
  const auto bits = std::bit_cast<uint32_t>(*src);
  StoreHalf(static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16), dst);
}

BlockQuantizer QuantizerOf(DType type) {
  switch (type) {
    case DType::kF32:
      return QuantizeF32;
    case DType::kF16:
      return QuantizeF16;
    case DType::kBF16:
      return QuantizeBF16;
    case DType::kQ8_0:
      return QuantizeQ8_0;
    case DType::kQ2_K:
      return QuantizeQ2K;
    case DType::kQ3_K:
      return QuantizeQ3K;
    case DType::kQ4_K:
      return QuantizeQ4K;
    case DType::kQ5_K:
      return QuantizeQ5K;
    case DType::kQ6_K:
      return QuantizeQ6K;
    default:
      return QuantizerOf32(type);
  }
}

}  // namespace

bool HasQuantizer(DType type) { return QuantizerOf(type) != nullptr; }

void QuantizeRow(DType type, const float* src, size_t elems, uint8_t* dst) {
  const DTypeTraits traits = TraitsOf(type);
  const BlockQuantizer quantize = QuantizerOf(type);
  TENFOLD_CHECK(quantize != nullptr, "QuantizeRow needs a type with a quantiser");
  TENFOLD_CHECK(elems % traits.block_elems == 0, "a row must be a whole number of blocks");
  for (size_t b = 0; b < elems / traits.block_elems; ++b) {
    quantize(src + b * traits.block_elems, dst + b * traits.block_bytes);
  }
}

}  // namespace tenfold::tensor
