// Q5_K rows to panels of 16 and back: scales as in Q4_K; quants joined to 5 bits and put into five planes whose spare
// top bits hold the last three sub-blocks, so that most need a single mask to be used.
#include <cstring>

#include "kernels/pack/layout.h"
#include "kernels/pack/pack.h"
#include "kernels/pack/transpose.h"

namespace tenfold::kernels {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

constexpr int kGgufBytes = 176;
constexpr int kGgufHeader = 16;  // d, dmin, scales: the same as in Q4_K
constexpr int kGgufFifth = 16;
constexpr int kGgufQuants = 48;

// The five bits of element l (0..31) of all sub-blocks.
void LoadQuants(const uint8_t* gguf, int l, uint8_t* q) {
  for (int j = 0; j < 8; ++j) {
    const int low = (gguf[kGgufQuants + 32 * (j / 2) + l] >> (4 * (j & 1))) & 15;
    q[j] = static_cast<uint8_t>(low | (((gguf[kGgufFifth + l] >> j) & 1) << 4));
  }
}

void StoreQuants(const uint8_t* q, int l, uint8_t* gguf) {
  for (int j = 0; j < 8; ++j) {
    gguf[kGgufQuants + 32 * (j / 2) + l] |= static_cast<uint8_t>((q[j] & 15) << (4 * (j & 1)));
    gguf[kGgufFifth + l] |= static_cast<uint8_t>((q[j] >> 4) << j);
  }
}

// One GGUF block into lane `row` of a panel super-block.
void PackLane(const uint8_t* gguf, int64_t row, uint8_t* sb) {
  PackKHeader(gguf, row, sb);
  for (int l = 0; l < 32; ++l) {
    uint8_t q[8];
    LoadQuants(gguf, l, q);
    const int spare[5] = {q[5] >> 2, ((q[5] & 3) << 1) | ((q[7] >> 1) & 1), q[6] >> 2, ((q[6] & 3) << 1) | (q[7] & 1),
                          q[7] >> 2};
    uint8_t* to = sb + kQ5KQuants + kLine * (l / 4) + 4 * row + l % 4;
    for (int p = 0; p < 5; ++p) to[kQ5KPlaneBytes * p] = static_cast<uint8_t>(q[p] | (spare[p] << 5));
  }
}

// The five bits of sub-blocks 2 * kPair and 2 * kPair + 1, of 16 elements from `l` on.
template <int kPair>
void LoadPair(const uint8_t* gguf, int l, __m128i fifth, __m128i* q) {
  const __m128i low = Load16(gguf + kGgufQuants + 32 * kPair + l);
  q[2 * kPair] = _mm_or_si128(Bits(low, 15), BitsTo<4>(_mm_srli_epi16(fifth, 2 * kPair), 1));
  q[2 * kPair + 1] = _mm_or_si128(BitsFrom<4>(low, 15), BitsTo<4>(_mm_srli_epi16(fifth, 2 * kPair + 1), 1));
}

// What PackLane does, to 16 elements of all sub-blocks from `l` (0 or 16) on; planes: the five results.
void JoinPlanes(const uint8_t* gguf, int l, __m128i* planes) {
  const __m128i fifth = Load16(gguf + kGgufFifth + l);
  __m128i q[8];
  LoadPair<0>(gguf, l, fifth, q);
  LoadPair<1>(gguf, l, fifth, q);
  LoadPair<2>(gguf, l, fifth, q);
  LoadPair<3>(gguf, l, fifth, q);
  const auto joined = [&](int p, __m128i spare) { return _mm_or_si128(q[p], spare); };
  planes[0] = joined(0, BitsTo<3>(q[5], 0x1C));
  planes[1] = joined(1, _mm_or_si128(BitsTo<6>(q[5], 3), BitsTo<4>(q[7], 2)));
  planes[2] = joined(2, BitsTo<3>(q[6], 0x1C));
  planes[3] = joined(3, _mm_or_si128(BitsTo<6>(q[6], 3), BitsTo<5>(q[7], 1)));
  planes[4] = joined(4, BitsTo<3>(q[7], 0x1C));
}

// All 16 rows of one super-block; the blocks are stride_bytes apart.
void PackSuperBlock(const uint8_t* gguf, size_t stride_bytes, uint8_t* sb) {
  PackKHeaders(gguf, stride_bytes, sb);
  for (int r = 0; r < kRows; r += 4) {
    for (int l = 0; l < 32; l += 16) {
      __m128i planes[5][4];
      for (int i = 0; i < 4; ++i) {
        __m128i of_row[5];
        JoinPlanes(gguf + static_cast<size_t>(r + i) * stride_bytes, l, of_row);
        for (int p = 0; p < 5; ++p) planes[p][i] = of_row[p];
      }
      uint8_t* to = sb + kQ5KQuants + kLine * (l / 4) + 4 * r;
      for (int p = 0; p < 5; ++p) StoreQuads(planes[p], to + kQ5KPlaneBytes * p);
    }
  }
}

}  // namespace

void PackQ5K(const uint8_t* src, int64_t rows, int64_t cols, uint8_t* panel) {
  const int64_t blocks = cols / 256;
  if (rows < kRows) std::memset(panel, 0, static_cast<size_t>(blocks) * kQ5KBlockBytes);
  for (int64_t b = 0; b < blocks; ++b) {
    if (rows == kRows) {
      PackSuperBlock(src + b * kGgufBytes, static_cast<size_t>(blocks) * kGgufBytes, panel + b * kQ5KBlockBytes);
      continue;
    }
    for (int64_t r = 0; r < rows; ++r) PackLane(src + (r * blocks + b) * kGgufBytes, r, panel + b * kQ5KBlockBytes);
  }
}

void UnpackBlockQ5K(const uint8_t* panel, int64_t row, int64_t block, uint8_t* gguf) {
  const uint8_t* sb = panel + block * kQ5KBlockBytes;
  UnpackKHeader(sb, row, gguf);
  std::memset(gguf + kGgufHeader, 0, kGgufBytes - kGgufHeader);
  for (int l = 0; l < 32; ++l) {
    const uint8_t* from = sb + kQ5KQuants + kLine * (l / 4) + 4 * row + l % 4;
    uint8_t q[8];
    int spare[5];
    for (int p = 0; p < 5; ++p) {
      q[p] = from[kQ5KPlaneBytes * p] & 31;
      spare[p] = from[kQ5KPlaneBytes * p] >> 5;
    }
    q[5] = static_cast<uint8_t>((spare[0] << 2) | (spare[1] >> 1));
    q[6] = static_cast<uint8_t>((spare[2] << 2) | (spare[3] >> 1));
    q[7] = static_cast<uint8_t>((spare[4] << 2) | ((spare[1] & 1) << 1) | (spare[3] & 1));
    StoreQuants(q, l, gguf);
  }
}

}  // namespace tenfold::kernels
