// Q4_K rows to panels of 16 and back: a transpose of the quant bytes by quads, and the 6-bit scales regrouped so that a
// kernel decodes those of 16 rows with masks and shifts alone. Whole panels in vectors, the last rows of a matrix lane
// by lane.
#include <cstring>

#include "kernels/pack/layout.h"
#include "kernels/pack/pack.h"
#include "kernels/pack/transpose.h"
#include "tensor/k_scales.h"

namespace tenfold::kernels {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

constexpr int kGgufBytes = 144;
constexpr int kGgufScales = 4;
constexpr int kGgufQuants = 16;

// One GGUF block into lane `row` of a panel super-block.
void PackLane(const uint8_t* gguf, int64_t row, uint8_t* sb) {
  PackKHeader(gguf, row, sb);
  for (int quad = 0; quad < 32; ++quad) {
    std::memcpy(sb + kQ4KQuants + kLine * quad + 4 * row, gguf + kGgufQuants + 4 * quad, 4);
  }
}

// All 16 rows of one super-block; the blocks are stride_bytes apart.
void PackSuperBlock(const uint8_t* gguf, size_t stride_bytes, uint8_t* sb) {
  PackKHeaders(gguf, stride_bytes, sb);
  for (int r = 0; r < kRows; r += 4) {
    const uint8_t* quants = gguf + static_cast<size_t>(r) * stride_bytes + kGgufQuants;
    for (int c = 0; c < 8; ++c) {
      __m128i v[4];
      for (int i = 0; i < 4; ++i) v[i] = Load16(quants + static_cast<size_t>(i) * stride_bytes + 16 * c);
      StoreQuads(v, sb + kQ4KQuants + 4 * kLine * c + 4 * r);
    }
  }
}

}  // namespace

// Bytes 4 to 15 of a block, s[0] to s[11], hold for p < 4: s[p] scale p, s[p + 4] min p, both with the high bits of
// number p + 4 on top of their six; s[p + 8] the low halves of scale and min p + 4.
void PackKHeaders(const uint8_t* gguf, size_t stride_bytes, uint8_t* sb) {
  __m128i v[16];
  for (int r = 0; r < kRows; ++r) v[r] = Load16(gguf + static_cast<size_t>(r) * stride_bytes);
  TransposeBytes(v);
  StorePairs(v[0], v[1], sb);
  StorePairs(v[2], v[3], sb + 32);
  const __m128i* s = v + kGgufScales;
  for (int p = 0; p < 4; ++p) {
    Store16(_mm_or_si128(Bits(s[p], 15), BitsTo<4>(s[p + 8], 15)), sb + kQ4KScales + 16 * p);
    Store16(_mm_or_si128(Bits(s[p + 4], 15), Bits(s[p + 8], 0xF0)), sb + kQ4KMins + 16 * p);
    Store16(_mm_or_si128(BitsFrom<4>(s[p], 15), Bits(s[p + 4], 0xF0)), sb + kQ4KHighBits + 16 * p);
  }
}

void PackKHeader(const uint8_t* gguf, int64_t row, uint8_t* sb) {
  std::memcpy(sb + 2 * row, gguf, 2);
  std::memcpy(sb + 32 + 2 * row, gguf + 2, 2);
  for (int p = 0; p < 4; ++p) {
    const tensor::KScale a = tensor::UnpackKScale(gguf + kGgufScales, p);
    const tensor::KScale b = tensor::UnpackKScale(gguf + kGgufScales, p + 4);
    sb[kQ4KScales + 16 * p + row] = static_cast<uint8_t>((a.scale & 15) | ((b.scale & 15) << 4));
    sb[kQ4KMins + 16 * p + row] = static_cast<uint8_t>((a.min & 15) | ((b.min & 15) << 4));
    sb[kQ4KHighBits + 16 * p + row] =
        static_cast<uint8_t>((a.scale >> 4) | ((b.scale >> 4) << 2) | ((a.min >> 4) << 4) | ((b.min >> 4) << 6));
  }
}

void PackQ4K(const uint8_t* src, int64_t rows, int64_t cols, uint8_t* panel) {
  const int64_t blocks = cols / 256;
  if (rows < kRows) std::memset(panel, 0, static_cast<size_t>(blocks) * kQ4KBlockBytes);
  for (int64_t b = 0; b < blocks; ++b) {
    if (rows == kRows) {
      PackSuperBlock(src + b * kGgufBytes, static_cast<size_t>(blocks) * kGgufBytes, panel + b * kQ4KBlockBytes);
      continue;
    }
    for (int64_t r = 0; r < rows; ++r) PackLane(src + (r * blocks + b) * kGgufBytes, r, panel + b * kQ4KBlockBytes);
  }
}

void UnpackKHeader(const uint8_t* sb, int64_t row, uint8_t* gguf) {
  std::memcpy(gguf, sb + 2 * row, 2);
  std::memcpy(gguf + 2, sb + 32 + 2 * row, 2);
  tensor::KScale scales[8];
  for (int p = 0; p < 4; ++p) {
    const int s = sb[kQ4KScales + 16 * p + row];
    const int m = sb[kQ4KMins + 16 * p + row];
    const int high = sb[kQ4KHighBits + 16 * p + row];
    scales[p] = {static_cast<uint8_t>((s & 15) | ((high & 3) << 4)),
                 static_cast<uint8_t>((m & 15) | (((high >> 4) & 3) << 4))};
    scales[p + 4] = {static_cast<uint8_t>((s >> 4) | (((high >> 2) & 3) << 4)),
                     static_cast<uint8_t>((m >> 4) | ((high >> 6) << 4))};
  }
  tensor::PackKScales(scales, gguf + kGgufScales);
}

void UnpackBlockQ4K(const uint8_t* panel, int64_t row, int64_t block, uint8_t* gguf) {
  const uint8_t* sb = panel + block * kQ4KBlockBytes;
  UnpackKHeader(sb, row, gguf);
  for (int quad = 0; quad < 32; ++quad) {
    std::memcpy(gguf + kGgufQuants + 4 * quad, sb + kQ4KQuants + kLine * quad + 4 * row, 4);
  }
}

}  // namespace tenfold::kernels
