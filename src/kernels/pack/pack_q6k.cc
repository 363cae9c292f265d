// Q6_K rows to panels of 16 and back: ql and qh transposed by quads, the 2-bit fields of qh put where a kernel needs
// the fewest shifts, and the block scales d gathered ahead of the panel so that super-blocks are whole cache lines.
#include <cstring>

#include "kernels/pack/layout.h"
#include "kernels/pack/pack.h"
#include "kernels/pack/transpose.h"

namespace tenfold::kernels {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

constexpr int kGgufBytes = 210;
constexpr int kGgufHigh = 128;
constexpr int kGgufScales = 192;
constexpr int kGgufD = 208;

uint32_t Load4(const uint8_t* p) {
  uint32_t quad;
  std::memcpy(&quad, p, 4);
  return quad;
}
void Store4(uint32_t quad, uint8_t* p) { std::memcpy(p, &quad, 4); }

// One GGUF block, without d, into lane `row` of a panel super-block. Works on quads: 4 bytes at once.
void PackLane(const uint8_t* gguf, int64_t row, uint8_t* sb) {
  constexpr uint32_t kLow4 = 0x0F0F0F0Fu;
  constexpr uint32_t kLow2 = 0x03030303u;
  for (int j = 0; j < 16; ++j) sb[16 * j + row] = gguf[kGgufScales + j];
  for (int h = 0; h < 2; ++h) {
    for (int quad = 0; quad < 8; ++quad) {
      const uint32_t l0 = Load4(gguf + 64 * h + 4 * quad);
      const uint32_t l1 = Load4(gguf + 64 * h + 32 + 4 * quad);
      const uint32_t high = Load4(gguf + kGgufHigh + 32 * h + 4 * quad);
      const uint32_t quarter[4] = {(l0 & kLow4) | ((high & kLow2) << 4), (l1 & kLow4) | (((high >> 2) & kLow2) << 4),
                                   ((l0 >> 4) & kLow4) | (((high >> 4) & kLow2) << 4),
                                   ((l1 >> 4) & kLow4) | (((high >> 6) & kLow2) << 4)};
      uint8_t* to = sb + kQ6KQuants + 3 * kQ6KPlaneBytes * h + kLine * quad + 4 * row;
      for (int p = 0; p < 3; ++p) {
        Store4(quarter[p] | (((quarter[3] >> (4 - 2 * p)) & kLow2) << 6), to + kQ6KPlaneBytes * p);
      }
    }
  }
}

// What PackLane does to a quad, to 16 columns of half `h` from `column` (0 or 16) on; planes: the three results.
void JoinQuarters(const uint8_t* gguf, int h, int column, __m128i* planes) {
  const __m128i l0 = Load16(gguf + 64 * h + column);
  const __m128i l1 = Load16(gguf + 64 * h + 32 + column);
  const __m128i high = Load16(gguf + kGgufHigh + 32 * h + column);
  const __m128i last = _mm_or_si128(BitsFrom<4>(l1, 15), BitsFrom<2>(high, 0x30));
  planes[0] = _mm_or_si128(_mm_or_si128(Bits(l0, 15), BitsTo<4>(high, 3)), BitsTo<2>(last, 0x30));
  planes[1] = _mm_or_si128(_mm_or_si128(Bits(l1, 15), BitsTo<2>(high, 0x0C)), BitsTo<4>(last, 0x0C));
  planes[2] = _mm_or_si128(_mm_or_si128(BitsFrom<4>(l0, 15), Bits(high, 0x30)), BitsTo<6>(last, 3));
}

// All 16 rows of one super-block, without d; the blocks are stride_bytes apart.
void PackSuperBlock(const uint8_t* gguf, size_t stride_bytes, uint8_t* sb) {
  __m128i scales[16];
  for (int r = 0; r < kRows; ++r) scales[r] = Load16(gguf + static_cast<size_t>(r) * stride_bytes + kGgufScales);
  TransposeBytes(scales);
  for (int j = 0; j < 16; ++j) Store16(scales[j], sb + 16 * j);
  for (int r = 0; r < kRows; r += 4) {
    for (int h = 0; h < 2; ++h) {
      for (int column = 0; column < 32; column += 16) {
        __m128i planes[3][4];
        for (int i = 0; i < 4; ++i) {
          __m128i of_row[3];
          JoinQuarters(gguf + static_cast<size_t>(r + i) * stride_bytes, h, column, of_row);
          for (int p = 0; p < 3; ++p) planes[p][i] = of_row[p];
        }
        uint8_t* to = sb + kQ6KQuants + 3 * kQ6KPlaneBytes * h + kLine * (column / 4) + 4 * r;
        for (int p = 0; p < 3; ++p) StoreQuads(planes[p], to + kQ6KPlaneBytes * p);
      }
    }
  }
}

}  // namespace

void PackQ6K(const uint8_t* src, int64_t rows, int64_t cols, uint8_t* panel) {
  const int64_t blocks = cols / 256;
  const size_t header_bytes = ScaleHeaderBytes(blocks);
  uint8_t* body = panel + header_bytes;
  std::memset(panel, 0, rows < kRows ? header_bytes + static_cast<size_t>(blocks) * kQ6KBlockBytes : header_bytes);
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t r = 0; r < rows; ++r) {
      const uint8_t* gguf = src + (r * blocks + b) * kGgufBytes;
      std::memcpy(panel + 32 * b + 2 * r, gguf + kGgufD, 2);
      if (rows < kRows) PackLane(gguf, r, body + b * kQ6KBlockBytes);
    }
    if (rows < kRows) continue;
    PackSuperBlock(src + b * kGgufBytes, static_cast<size_t>(blocks) * kGgufBytes, body + b * kQ6KBlockBytes);
  }
}

void UnpackBlockQ6K(const uint8_t* panel, int64_t cols, int64_t row, int64_t block, uint8_t* gguf) {
  const uint8_t* sb = panel + ScaleHeaderBytes(cols / 256) + block * kQ6KBlockBytes;
  std::memcpy(gguf + kGgufD, panel + 32 * block + 2 * row, 2);
  for (int j = 0; j < 16; ++j) gguf[kGgufScales + j] = sb[16 * j + row];
  constexpr uint32_t kLow4 = 0x0F0F0F0Fu;
  constexpr uint32_t kLow2 = 0x03030303u;
  for (int h = 0; h < 2; ++h) {
    for (int quad = 0; quad < 8; ++quad) {
      const uint8_t* from = sb + kQ6KQuants + 3 * kQ6KPlaneBytes * h + kLine * quad + 4 * row;
      const uint32_t a = Load4(from);
      const uint32_t b = Load4(from + kQ6KPlaneBytes);
      const uint32_t c = Load4(from + 2 * kQ6KPlaneBytes);
      const uint32_t last = (((a >> 6) & kLow2) << 4) | (((b >> 6) & kLow2) << 2) | ((c >> 6) & kLow2);
      Store4((a & kLow4) | ((c & kLow4) << 4), gguf + 64 * h + 4 * quad);
      Store4((b & kLow4) | ((last & kLow4) << 4), gguf + 64 * h + 32 + 4 * quad);
      Store4(((a >> 4) & kLow2) | (((b >> 4) & kLow2) << 2) | (((c >> 4) & kLow2) << 4) | (((last >> 4) & kLow2) << 6),
             gguf + kGgufHigh + 32 * h + 4 * quad);
    }
  }
}

}  // namespace tenfold::kernels
