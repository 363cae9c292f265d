// Bytes of a block to floats, one format per function, in the order the format stores them.
//
// Every product below is exact in float (at most 11 bits of scale * 7 bits of sub-scale * 5 bits of quant), so a value
// is rounded at most once, in Q4_K's final subtraction; no compiler flag or instruction set can change the result.
#include "tensor/dequantize.h"

#include <cstring>

#include "base/check.h"
#include "tensor/fp16.h"
#include "tensor/k_scales.h"

namespace tenfold::tensor {
namespace {

float LoadHalf(const uint8_t* src) {
  uint16_t h;
  std::memcpy(&h, src, sizeof h);
  return HalfToFloat(h);
}

// block: 34 bytes, d f16 | q int8[32]; dst: (32).
void DequantizeQ8_0(const uint8_t* block, float* dst) {
  const float d = LoadHalf(block);
  for (int i = 0; i < 32; ++i) dst[i] = d * static_cast<float>(static_cast<int8_t>(block[2 + i]));
}

// block: 144 bytes, d f16 | dmin f16 | scales[12] | qs[128]; dst: (256).
// Group g of 64 elements: the low nibbles of qs[32g..32g+31] are sub-block 2g, the high nibbles sub-block 2g + 1.
void DequantizeQ4K(const uint8_t* block, float* dst) {
  const float d = LoadHalf(block);
  const float dmin = LoadHalf(block + 2);
  const uint8_t* qs = block + 16;
  for (int j = 0; j < 8; ++j) {
    const KScale s = UnpackKScale(block + 4, j);
    const float scale = d * static_cast<float>(s.scale);
    const float offset = dmin * static_cast<float>(s.min);
    const int shift = 4 * (j & 1);
    for (int l = 0; l < 32; ++l) {
      const int q = (qs[32 * (j / 2) + l] >> shift) & 15;
      dst[32 * j + l] = scale * static_cast<float>(q) - offset;
    }
  }
}

// block: 210 bytes, ql[128] | qh[64] | scales int8[16] | d f16; dst: (256).
// In each half of 128 elements, byte l of qh holds the high bits of elements l, l + 32, l + 64 and l + 96.
void DequantizeQ6K(const uint8_t* block, float* dst) {
  const float d = LoadHalf(block + 208);
  for (int half = 0; half < 2; ++half) {
    const uint8_t* ql = block + 64 * half;
    const uint8_t* qh = block + 128 + 32 * half;
    for (int e = 0; e < 128; ++e) {
      const int quarter = e / 32;
      const int l = e % 32;
      const int low = (ql[32 * (quarter & 1) + l] >> (4 * (quarter / 2))) & 15;
      const int high = (qh[l] >> (2 * quarter)) & 3;
      const int q = (low | (high << 4)) - 32;
      const int elem = 128 * half + e;
      const int scale = static_cast<int8_t>(block[192 + elem / 16]);
      dst[elem] = d * static_cast<float>(scale) * static_cast<float>(q);
    }
  }
}

}  // namespace

void DequantizeRow(DType type, const uint8_t* src, size_t elems, float* dst) {
  const DTypeTraits traits = TraitsOf(type);
  const size_t bytes = RowBytes(type, elems);
  const size_t blocks = elems / traits.block_elems;
  switch (type) {
    case DType::kF32:
      std::memcpy(dst, src, bytes);
      return;
    case DType::kF16:
      for (size_t i = 0; i < elems; ++i) dst[i] = LoadHalf(src + 2 * i);
      return;
    case DType::kQ8_0:
      for (size_t b = 0; b < blocks; ++b) DequantizeQ8_0(src + b * traits.block_bytes, dst + b * traits.block_elems);
      return;
    case DType::kQ4_K:
      for (size_t b = 0; b < blocks; ++b) DequantizeQ4K(src + b * traits.block_bytes, dst + b * traits.block_elems);
      return;
    case DType::kQ6_K:
      for (size_t b = 0; b < blocks; ++b) DequantizeQ6K(src + b * traits.block_bytes, dst + b * traits.block_elems);
      return;
    default:
      TENFOLD_CHECK(false, "DequantizeRow needs a computable type");
  }
}

}  // namespace tenfold::tensor
