// Q8_0, Q4_0, Q4_1, F16, BF16 and F32 rows to panels of 16, and a block of the first three back.
#include <cstring>

#include "kernels/pack/layout.h"
#include "kernels/pack/pack.h"
#include "kernels/pack/transpose.h"

namespace tenfold::kernels {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

constexpr int kGgufQ8Bytes = 34;

// Blocks of `scale_bytes` bytes of halves and 16 bytes of nibbles, as Q4_0 and Q4_1 are. header_bytes: of the panel's
// scales, [block][half][row].
void PackNibbles(const uint8_t* src, int64_t rows, int64_t blocks, int scale_bytes, size_t header_bytes,
                 uint8_t* panel) {
  uint8_t* body = panel + header_bytes;
  // Zero scales make whatever nibbles they meet zero.
  std::memset(panel, 0, rows < kRows ? header_bytes + static_cast<size_t>(blocks) * kQ4BlockBytes : header_bytes);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t b = 0; b < blocks; ++b, src += scale_bytes + 16) {
      for (int h = 0; h < scale_bytes / 2; ++h) {
        std::memcpy(panel + 16 * scale_bytes * b + 32 * h + 2 * r, src + 2 * h, 2);
      }
      for (int quad = 0; quad < 4; ++quad) {
        std::memcpy(body + b * kQ4BlockBytes + kLine * quad + 4 * r, src + scale_bytes + 4 * quad, 4);
      }
    }
  }
}

void UnpackNibbles(const uint8_t* panel, int64_t row, int64_t block, int scale_bytes, size_t header_bytes,
                   uint8_t* gguf) {
  const uint8_t* body = panel + header_bytes + block * kQ4BlockBytes;
  for (int h = 0; h < scale_bytes / 2; ++h) {
    std::memcpy(gguf + 2 * h, panel + 16 * scale_bytes * block + 32 * h + 2 * row, 2);
  }
  for (int quad = 0; quad < 4; ++quad) {
    std::memcpy(gguf + scale_bytes + 4 * quad, body + kLine * quad + 4 * row, 4);
  }
}

uint32_t FlipSigns(uint32_t quad) { return quad ^ 0x80808080u; }

// The quants of one Q8_0 block of 16 rows, stride_bytes apart.
void PackQ8Block(const uint8_t* quants, size_t stride_bytes, uint8_t* to) {
  const __m128i flip = _mm_set1_epi8(static_cast<char>(0x80));
  for (int r = 0; r < kRows; r += 4) {
    for (int half = 0; half < 2; ++half) {
      __m128i v[4];
      for (int i = 0; i < 4; ++i) {
        v[i] = _mm_xor_si128(Load16(quants + static_cast<size_t>(r + i) * stride_bytes + 16 * half), flip);
      }
      StoreQuads(v, to + 4 * kLine * half + 4 * r);
    }
  }
}

}  // namespace

void PackQ8_0(const uint8_t* src, int64_t rows, int64_t cols, uint8_t* panel) {
  const int64_t blocks = cols / 32;
  const size_t header_bytes = ScaleHeaderBytes(blocks);
  uint8_t* body = panel + header_bytes;
  std::memset(panel, 0, header_bytes);
  if (rows < kRows) std::memset(body, 0x80, static_cast<size_t>(blocks) * kQ8BlockBytes);
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t r = 0; r < rows; ++r) {
      const uint8_t* gguf = src + (r * blocks + b) * kGgufQ8Bytes;
      std::memcpy(panel + 32 * b + 2 * r, gguf, 2);
      if (rows == kRows) continue;
      for (int quad = 0; quad < 8; ++quad) {
        uint32_t q;
        std::memcpy(&q, gguf + 2 + 4 * quad, 4);
        q = FlipSigns(q);
        std::memcpy(body + b * kQ8BlockBytes + kLine * quad + 4 * r, &q, 4);
      }
    }
    if (rows < kRows) continue;
    PackQ8Block(src + b * kGgufQ8Bytes + 2, static_cast<size_t>(blocks) * kGgufQ8Bytes, body + b * kQ8BlockBytes);
  }
}

void UnpackBlockQ8_0(const uint8_t* panel, int64_t cols, int64_t row, int64_t block, uint8_t* gguf) {
  const uint8_t* body = panel + ScaleHeaderBytes(cols / 32) + block * kQ8BlockBytes;
  std::memcpy(gguf, panel + 32 * block + 2 * row, 2);
  for (int quad = 0; quad < 8; ++quad) {
    uint32_t q;
    std::memcpy(&q, body + kLine * quad + 4 * row, 4);
    q = FlipSigns(q);
    std::memcpy(gguf + 2 + 4 * quad, &q, 4);
  }
}

void PackQ4_0(const uint8_t* src, int64_t rows, int64_t cols, uint8_t* panel) {
  PackNibbles(src, rows, cols / 32, 2, ScaleHeaderBytes(cols / 32), panel);
}
void PackQ4_1(const uint8_t* src, int64_t rows, int64_t cols, uint8_t* panel) {
  PackNibbles(src, rows, cols / 32, 4, static_cast<size_t>(cols / 32) * kQ41ScaleBytes, panel);
}
void UnpackBlockQ4_0(const uint8_t* panel, int64_t cols, int64_t row, int64_t block, uint8_t* gguf) {
  UnpackNibbles(panel, row, block, 2, ScaleHeaderBytes(cols / 32), gguf);
}
void UnpackBlockQ4_1(const uint8_t* panel, int64_t cols, int64_t row, int64_t block, uint8_t* gguf) {
  UnpackNibbles(panel, row, block, 4, static_cast<size_t>(cols / 32) * kQ41ScaleBytes, gguf);
}

void PackFloats(const uint8_t* src, int64_t rows, int64_t cols, int elem_bytes, uint8_t* panel) {
  const int64_t used_bytes = cols * kRows * elem_bytes;
  const int64_t padding_bytes = (kLine - used_bytes % kLine) % kLine;
  if (rows < kRows) std::memset(panel, 0, static_cast<size_t>(used_bytes));
  std::memset(panel + used_bytes, 0, static_cast<size_t>(padding_bytes));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      std::memcpy(panel + (c * kRows + r) * elem_bytes, src + (r * cols + c) * elem_bytes,
                  static_cast<size_t>(elem_bytes));
    }
  }
}

}  // namespace tenfold::kernels
