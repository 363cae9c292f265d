// Q6_K rows to panels of 16 and back: ql and qh transposed by quads, the 2-bit fields of qh put where a kernel needs
// the fewest shifts, and the block scales d gathered ahead of the panel so that super-blocks are whole cache lines.
#include <cstring>

#include "kernels/pack/layout.h"
#include "kernels/pack/pack.h"

namespace tenfold::kernels {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

constexpr int kGgufBytes = 210;
constexpr int kGgufHigh = 128;
constexpr int kGgufScales = 192;
constexpr int kGgufD = 208;

// Four bytes of qh at once: fields 0 1 2 3 (bits 0, 2, 4, 6) go to bits 4, 6, 2, 0.
uint32_t ToPanelFields(uint32_t h) {
  return ((h & 0x03030303u) << 4) | ((h & 0x0C0C0C0Cu) << 4) | ((h >> 2) & 0x0C0C0C0Cu) | ((h >> 6) & 0x03030303u);
}
uint32_t FromPanelFields(uint32_t h) {
  return ((h >> 4) & 0x03030303u) | ((h >> 4) & 0x0C0C0C0Cu) | ((h & 0x0C0C0C0Cu) << 2) | ((h & 0x03030303u) << 6);
}

// One GGUF block, without d, into lane `row` of a panel super-block.
void PackLane(const uint8_t* gguf, int64_t row, uint8_t* sb) {
  for (int j = 0; j < 16; ++j) sb[16 * j + row] = gguf[kGgufScales + j];
  for (int quad = 0; quad < 32; ++quad) std::memcpy(sb + kQ6KLow + kLine * quad + 4 * row, gguf + 4 * quad, 4);
  for (int quad = 0; quad < 16; ++quad) {
    uint32_t h;
    std::memcpy(&h, gguf + kGgufHigh + 4 * quad, 4);
    h = ToPanelFields(h);
    std::memcpy(sb + kQ6KHigh + kLine * quad + 4 * row, &h, 4);
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
      PackLane(gguf, r, body + b * kQ6KBlockBytes);
    }
  }
}

void UnpackBlockQ6K(const uint8_t* panel, int64_t cols, int64_t row, int64_t block, uint8_t* gguf) {
  const uint8_t* sb = panel + ScaleHeaderBytes(cols / 256) + block * kQ6KBlockBytes;
  std::memcpy(gguf + kGgufD, panel + 32 * block + 2 * row, 2);
  for (int j = 0; j < 16; ++j) gguf[kGgufScales + j] = sb[16 * j + row];
  for (int quad = 0; quad < 32; ++quad) std::memcpy(gguf + 4 * quad, sb + kQ6KLow + kLine * quad + 4 * row, 4);
  for (int quad = 0; quad < 16; ++quad) {
    uint32_t h;
    std::memcpy(&h, sb + kQ6KHigh + kLine * quad + 4 * row, 4);
    h = FromPanelFields(h);
    std::memcpy(gguf + kGgufHigh + 4 * quad, &h, 4);
  }
}

}  // namespace tenfold::kernels
