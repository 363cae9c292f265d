// The table of types and layouts, and GGUF blocks of one type rewritten as blocks of another.
//
// Rewriting is exact because the target is at least as fine: Q5_0 and IQ4_NL are a half times int8, as Q8_0 is; Q3_K,
// IQ3 and IQ1 are a half times a small factor for 16 elements times at most 6 bits, as Q6_K is; ternary quants fit
// nibbles. They then run at the speed, and take the memory, of the type they are rewritten to.
#include "kernels/pack/packing.h"

#include <cstring>

#include "base/check.h"
#include "kernels/pack/layout.h"
#include "tensor/fp16.h"
#include "tensor/int8_block.h"

namespace tenfold::kernels {
namespace {

using tensor::DType;
using tensor::Int8Block;

void PutHalf(float value, uint8_t* dst) {
  const uint16_t half = tensor::FloatToHalf(value);
  std::memcpy(dst, &half, sizeof half);
}

// 32 elements; out: 34 bytes.
void ToQ8_0(const Int8Block& b, uint8_t* out) {
  PutHalf(b.unit, out);
  std::memcpy(out + 2, b.q, 32);
}

// 256 ternary elements; out: 8 blocks of 18 bytes.
void ToQ4_0(const Int8Block& b, uint8_t* out) {
  for (int j = 0; j < 8; ++j, out += 18) {
    const int8_t* q = b.q + 32 * j;
    PutHalf(b.unit, out);
    for (int l = 0; l < 16; ++l) out[2 + l] = static_cast<uint8_t>((q[l] + 8) | ((q[l + 16] + 8) << 4));
  }
}

// 256 elements of -32..31; out: 210 bytes.
void ToQ6K(const Int8Block& b, uint8_t* out) {
  std::memset(out, 0, 192);
  for (int e = 0; e < 256; ++e) {
    const int q = b.q[e] + 32;
    const int half = e / 128, quarter = e % 128 / 32, l = e % 32;
    out[64 * half + 32 * (quarter & 1) + l] |= static_cast<uint8_t>((q & 15) << (4 * (quarter / 2)));
    out[128 + 32 * half + l] |= static_cast<uint8_t>((q >> 4) << (2 * quarter));
  }
  std::memcpy(out + 192, b.factor, 16);
  PutHalf(b.unit, out + 208);
}

}  // namespace

Packing PackingOf(DType type) {
  switch (type) {
    case DType::kF32:
      return Packing::kF32;
    case DType::kF16:
      return Packing::kF16;
    case DType::kBF16:
      return Packing::kBF16;
    case DType::kQ8_0:
    case DType::kQ5_0:
    case DType::kIQ4_NL:
      return Packing::kQ8_0;
    case DType::kQ4_0:
    case DType::kTQ1_0:
    case DType::kTQ2_0:
      return Packing::kQ4_0;
    case DType::kQ4_1:
      return Packing::kQ4_1;
    case DType::kQ4_K:
      return Packing::kQ4_K;
    case DType::kQ5_K:
      return Packing::kQ5_K;
    case DType::kQ6_K:
    case DType::kQ3_K:
    case DType::kIQ3_S:
    case DType::kIQ3_XXS:
    case DType::kIQ1_S:
    case DType::kIQ1_M:
      return Packing::kQ6_K;
    case DType::kIQ4_XS:
    case DType::kIQ2_XXS:
    case DType::kMXFP4:
      return Packing::kInt8By32;
    case DType::kQ5_1:
      return Packing::kInt8By32Offset;
    case DType::kIQ2_XS:
    case DType::kIQ2_S:
      return Packing::kInt8By16;
    case DType::kQ2_K:
      return Packing::kInt8By16Offset;
    default:
      TENFOLD_CHECK(false, "a type without kernels");
      return Packing::kF32;
  }
}

DType BlockTypeOf(Packing packing) {
  switch (packing) {
    case Packing::kF32:
      return DType::kF32;
    case Packing::kF16:
      return DType::kF16;
    case Packing::kBF16:
      return DType::kBF16;
    case Packing::kQ8_0:
      return DType::kQ8_0;
    case Packing::kQ4_0:
      return DType::kQ4_0;
    case Packing::kQ4_1:
      return DType::kQ4_1;
    case Packing::kQ4_K:
      return DType::kQ4_K;
    case Packing::kQ5_K:
      return DType::kQ5_K;
    case Packing::kQ6_K:
      return DType::kQ6_K;
    default:
      TENFOLD_CHECK(false, "an int8 layout is no GGUF type");
      return DType::kF32;
  }
}

size_t PanelBytes(Packing packing, int64_t cols) {
  const auto n = static_cast<size_t>(cols);
  const auto int8_bytes = [n](int step, bool offset) {
    return n / 32 * static_cast<size_t>(layout::Int8BlockBytes(step, offset));
  };
  switch (packing) {
    case Packing::kF32:
      return n * 64;
    case Packing::kF16:
    case Packing::kBF16:
      return (n * 32 + 63) / 64 * 64;
    case Packing::kQ8_0:
      return layout::ScaleHeaderBytes(cols / 32) + n / 32 * layout::kQ8BlockBytes;
    case Packing::kQ4_0:
      return layout::ScaleHeaderBytes(cols / 32) + n / 32 * layout::kQ4BlockBytes;
    case Packing::kQ4_1:
      return n / 32 * (layout::kQ41ScaleBytes + layout::kQ4BlockBytes);
    case Packing::kQ4_K:
      return n / 256 * layout::kQ4KBlockBytes;
    case Packing::kQ5_K:
      return n / 256 * layout::kQ5KBlockBytes;
    case Packing::kQ6_K:
      return layout::ScaleHeaderBytes(cols / 256) + n / 256 * layout::kQ6KBlockBytes;
    case Packing::kInt8By32:
      return int8_bytes(32, false);
    case Packing::kInt8By32Offset:
      return int8_bytes(32, true);
    case Packing::kInt8By16:
      return int8_bytes(16, false);
    case Packing::kInt8By16Offset:
      return int8_bytes(16, true);
  }
  return 0;
}

void TranscodeRows(DType type, const uint8_t* src, int64_t rows, int64_t cols, uint8_t* dst) {
  const tensor::DTypeTraits from = tensor::TraitsOf(type);
  const Packing packing = PackingOf(type);
  const size_t to_bytes = tensor::RowBytes(BlockTypeOf(packing), from.block_elems);
  const int64_t blocks = rows * (cols / from.block_elems);
  for (int64_t b = 0; b < blocks; ++b, src += from.block_bytes, dst += to_bytes) {
    Int8Block block;
    tensor::ToInt8Block(type, src, &block);
    if (packing == Packing::kQ8_0) ToQ8_0(block, dst);
    if (packing == Packing::kQ4_0) ToQ4_0(block, dst);
    if (packing == Packing::kQ6_K) ToQ6K(block, dst);
  }
}

}  // namespace tenfold::kernels
