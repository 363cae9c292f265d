// Bytes of a block to floats: formats with kernels of their own one function each, the others through int8_block.h.
//
// Every product below is exact in float (at most 11 bits of scale * 7 bits of sub-scale * 5 bits of quant), so a value
// is rounded at most once, where an offset is added; no compiler flag or instruction set can change the result.
#include "tensor/dequantize.h"

#include <bit>

#include "base/check.h"
#include "tensor/int8_block.h"
#include "tensor/k_scales.h"
#include "tensor/load_bytes.h"

namespace tenfold::tensor {
namespace {

// block: 34 bytes, d f16 | q int8[32]; dst: (32).
void DequantizeQ8_0(const uint8_t* block, float* dst) {
  const float d = LoadHalf(block);
  for (int i = 0; i < 32; ++i) dst[i] = d * static_cast<float>(static_cast<int8_t>(block[2 + i]));
}

// block: d f16 | dmin f16 | scales[12] | fifth bits[32] (Q5_K only) | qs[128]; dst: (256).
// Group g of 64 elements: the low nibbles of qs[32g..32g+31] are sub-block 2g, the high nibbles sub-block 2g + 1.
// Bit j of fifth-bit byte l belongs to element l of sub-block j.
template <bool kFiveBits>
void DequantizeNibbleK(const uint8_t* block, float* dst) {
  const float d = LoadHalf(block);
  const float dmin = LoadHalf(block + 2);
  const uint8_t* qs = block + (kFiveBits ? 48 : 16);
  for (int j = 0; j < 8; ++j) {
    const KScale s = UnpackKScale(block + 4, j);
    const float scale = d * static_cast<float>(s.scale);
    const float offset = dmin * static_cast<float>(s.min);
    const int shift = 4 * (j & 1);
    for (int l = 0; l < 32; ++l) {
      const int fifth = kFiveBits ? (block[16 + l] >> j) & 1 : 0;
      const int q = ((qs[32 * (j / 2) + l] >> shift) & 15) | (fifth << 4);
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

// One block of a format that int8_block.h describes; dst: (elems).
void DequantizeInt8(DType type, const uint8_t* block, int elems, float* dst) {
  Int8Block b;
  ToInt8Block(type, block, &b);
  for (int i = 0; i < elems; ++i) {
    const int j = i / kInt8Step;
    dst[i] = b.Scale(j) * static_cast<float>(b.q[i]) + b.offset[j];
  }
}

void DequantizeBlock(DType type, const uint8_t* block, int elems, float* dst) {
  switch (type) {
    case DType::kF32:
      *dst = LoadAs<float>(block);
      return;
    case DType::kF16:
      *dst = LoadHalf(block);
      return;
    case DType::kBF16:
      *dst = std::bit_cast<float>(static_cast<uint32_t>(LoadAs<uint16_t>(block)) << 16);
      return;
    case DType::kQ8_0:
      return DequantizeQ8_0(block, dst);
    case DType::kQ4_K:
      return DequantizeNibbleK<false>(block, dst);
    case DType::kQ5_K:
      return DequantizeNibbleK<true>(block, dst);
    case DType::kQ6_K:
      return DequantizeQ6K(block, dst);
    default:
      TENFOLD_CHECK(HasInt8Form(type), "DequantizeRow needs a computable type");
      return DequantizeInt8(type, block, elems, dst);
  }
}

}  // namespace

void DequantizeRow(DType type, const uint8_t* src, size_t elems, float* dst) {
  const DTypeTraits traits = TraitsOf(type);
  TENFOLD_CHECK(elems % traits.block_elems == 0, "a row must be a whole number of blocks");
  for (size_t b = 0; b < elems / traits.block_elems; ++b) {
    DequantizeBlock(type, src + b * traits.block_bytes, static_cast<int>(traits.block_elems),
                    dst + b * traits.block_elems);
  }
}

}  // namespace tenfold::tensor
