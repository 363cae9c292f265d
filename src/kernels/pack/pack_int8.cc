// Rows of any type with an int8 form to int8 panels with float scales, and a row back.
#include <cstring>

#include "kernels/pack/layout.h"
#include "kernels/pack/pack.h"
#include "tensor/int8_block.h"

namespace tenfold::kernels {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

float LoadFloat(const uint8_t* p) {
  float value;
  std::memcpy(&value, p, sizeof value);
  return value;
}
void StoreFloat(float value, uint8_t* p) { std::memcpy(p, &value, sizeof value); }

// Where the parts of a block of 32 columns lie.
struct Parts {
  int steps, offsets, quants, bytes;
};
Parts PartsOf(int step, bool offset) {
  const int steps = 32 / step;
  const int bytes = Int8BlockBytes(step, offset);
  return {steps, kLine * steps, bytes - kQ8BlockBytes, bytes};
}

// Columns [32 * part, 32 * part + 32) of an Int8Block into lane `row` of a panel block.
void PackLane(const tensor::Int8Block& b, int part, int64_t row, int step, bool offset, uint8_t* to) {
  const Parts at = PartsOf(step, offset);
  for (int s = 0; s < at.steps; ++s) {
    const int j = (32 * part + step * s) / tensor::kInt8Step;
    StoreFloat(b.Scale(j), to + kLine * s + 4 * row);
    if (offset) StoreFloat(b.offset[j] / -128.0f, to + at.offsets + kLine * s + 4 * row);
  }
  for (int i = 0; i < 32; ++i) {
    to[at.quants + kLine * (i / 4) + 4 * row + i % 4] = static_cast<uint8_t>(b.q[32 * part + i] ^ 0x80);
  }
}

}  // namespace

void PackInt8(tensor::DType type, const uint8_t* src, int64_t rows, int64_t cols, int step, bool offset,
              uint8_t* panel) {
  const tensor::DTypeTraits traits = tensor::TraitsOf(type);
  const Parts at = PartsOf(step, offset);
  const int parts = static_cast<int>(traits.block_elems) / 32;
  if (rows < kRows) {
    for (int64_t b = 0; b < cols / 32; ++b) {
      std::memset(panel + b * at.bytes, 0, static_cast<size_t>(at.quants));
      std::memset(panel + b * at.bytes + at.quants, 0x80, kQ8BlockBytes);
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t b = 0; b < cols / traits.block_elems; ++b, src += traits.block_bytes) {
      tensor::Int8Block block;
      tensor::ToInt8Block(type, src, &block);
      for (int part = 0; part < parts; ++part) {
        PackLane(block, part, r, step, offset, panel + (b * parts + part) * at.bytes);
      }
    }
  }
}

void UnpackInt8Row(const uint8_t* panel, int64_t row, int64_t cols, int step, bool offset, float* dst) {
  const Parts at = PartsOf(step, offset);
  for (int64_t c = 0; c < cols; ++c) {
    const uint8_t* block = panel + c / 32 * at.bytes;
    const int64_t i = c % 32;
    const int64_t s = kLine * (i / step) + 4 * row;
    const auto q = static_cast<int8_t>(block[at.quants + kLine * (i / 4) + 4 * row + i % 4] ^ 0x80);
    dst[c] = LoadFloat(block + s) * static_cast<float>(q);
    if (offset) dst[c] += LoadFloat(block + at.offsets + s) * -128.0f;
  }
}

}  // namespace tenfold::kernels
