// Q5_K rows to panels of 16 and back: scales as in Q4_K; quants joined to 5 bits and put into five planes whose spare
// top bits hold the last three sub-blocks, so that most need a single mask to be used.
#include <cstring>

#include "kernels/pack/layout.h"
#include "kernels/pack/pack.h"

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

}  // namespace

void PackQ5K(const uint8_t* src, int64_t rows, int64_t cols, uint8_t* panel) {
  const int64_t blocks = cols / 256;
  if (rows < kRows) std::memset(panel, 0, static_cast<size_t>(blocks) * kQ5KBlockBytes);
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t r = 0; r < rows; ++r) {
      const uint8_t* gguf = src + (r * blocks + b) * kGgufBytes;
      uint8_t* sb = panel + b * kQ5KBlockBytes;
      PackKHeader(gguf, r, sb);
      for (int l = 0; l < 32; ++l) {
        uint8_t q[8];
        LoadQuants(gguf, l, q);
        const int spare[5] = {q[5] >> 2, ((q[5] & 3) << 1) | ((q[7] >> 1) & 1), q[6] >> 2,
                              ((q[6] & 3) << 1) | (q[7] & 1), q[7] >> 2};
        uint8_t* to = sb + kQ5KQuants + kLine * (l / 4) + 4 * r + l % 4;
        for (int p = 0; p < 5; ++p) to[kQ5KPlaneBytes * p] = static_cast<uint8_t>(q[p] | (spare[p] << 5));
      }
    }
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
