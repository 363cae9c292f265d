// Activations to records in plain code: the truth that every instruction set's quantiser must equal byte for byte.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/pack/layout.h"
#include "kernels/scalar/scalar_kernels.h"

namespace tenfold::kernels::scalar {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

// Below this an absolute maximum counts as zero: 127 / absmax must stay finite.
constexpr float kTiny = 1e-30f;

// The largest |x| of n floats; NaN if any is NaN. (As integers, the bits of magnitudes sort like the magnitudes, NaN
// last.)
float AbsMax(const float* x, int n) {
  uint32_t largest = 0;
  for (int i = 0; i < n; ++i) largest = std::max(largest, std::bit_cast<uint32_t>(x[i]) & 0x7FFFFFFFu);
  return std::bit_cast<float>(largest);
}

// x: (n) floats to q: (n) int8, such that absmax becomes 127. Returns the scale.
float QuantizeBlock(const float* x, int n, float absmax, int8_t* q) {
  if (absmax <= kTiny) {
    std::memset(q, 0, static_cast<size_t>(n));
    return 0;
  }
  const float inverse = 127.0f / absmax;
  for (int i = 0; i < n; ++i) {
    const float scaled = x[i] * inverse;  // NaN when x is infinite: a wide convert-and-saturate gives -128 there
    q[i] = scaled == scaled ? static_cast<int8_t>(std::lrintf(std::clamp(scaled, -128.0f, 127.0f))) : int8_t{-128};
  }
  return absmax / 127.0f;
}

int32_t Sum(const int8_t* q, int n) {
  int32_t sum = 0;
  for (int i = 0; i < n; ++i) sum += q[i];
  return sum;
}

template <class T>
void Put(uint8_t* record, int offset, int index, T value) {
  std::memcpy(record + offset + static_cast<int>(sizeof value) * index, &value, sizeof value);
}

}  // namespace

void QuantizeFloat(const float* x, int64_t cols, uint8_t* records, size_t block_stride) {
  for (int64_t begin = 0; begin < cols; begin += kRecordFColumns, records += block_stride) {
    const auto n = static_cast<size_t>(std::min<int64_t>(kRecordFColumns, cols - begin));
    std::memcpy(records, x + begin, n * sizeof(float));
    std::memset(records + n * sizeof(float), 0, kRecordFBytes - n * sizeof(float));
  }
}

void Quantize8(const float* x, int64_t cols, uint8_t* records, size_t block_stride) {
  for (int64_t begin = 0; begin < cols; begin += 256, records += block_stride) {
    const int blocks = static_cast<int>(std::min<int64_t>(256, cols - begin) / 32);
    if (blocks < 8) std::memset(records, 0, kRecord8Bytes);
    for (int j = 0; j < blocks; ++j) {
      auto* q = reinterpret_cast<int8_t*>(records) + 32 * j;
      Put(records, kRecord8Scale, j, QuantizeBlock(x + begin + 32 * j, 32, AbsMax(x + begin + 32 * j, 32), q));
      const int32_t off[2] = {-128 * Sum(q, 16), -128 * Sum(q + 16, 16)};
      Put(records, kRecord8Off, j, off[0] + off[1]);
      for (int s = 0; s < 2; ++s) Put(records, kRecord8Off16, 2 * j + s, off[s]);
    }
  }
}

void QuantizeK(const float* x, int64_t cols, uint8_t* records, size_t block_stride) {
  for (int64_t begin = 0; begin < cols; begin += 256, records += block_stride) {
    auto* q = reinterpret_cast<int8_t*>(records);
    float absmax[2] = {AbsMax(x + begin, kActBlock), AbsMax(x + begin + kActBlock, kActBlock)};
    const float floor = absmax[0] * kActFloor;
    if (floor != floor || absmax[1] < floor) absmax[1] = floor;
    float scale[2];
    for (int h = 0; h < 2; ++h) {
      scale[h] = QuantizeBlock(x + begin + kActBlock * h, kActBlock, absmax[h], q + kActBlock * h);
      Put(records, kRecordKScale, h, scale[h]);
      Put(records, kRecordKOff128, h, -128 * Sum(q + kActBlock * h, kActBlock));
    }
    for (int j = 0; j < 8; ++j) {
      Put(records, kRecordKSum32, j, scale[j / 4] * static_cast<float>(Sum(q + 32 * j, 32)));
    }
    Put(records, kRecordKRatio, 0, scale[1] > 0 ? scale[0] / scale[1] : 0.0f);
    std::memset(records + kRecordKRatio + 4, 0, kRecordKOff16 - kRecordKRatio - 4);
    for (int i = 0; i < 16; ++i) {
      Put(records, kRecordKOff16, i, ((i & 6) == 6 ? -128 : -32) * Sum(q + 16 * i, 16));
    }
  }
}

}  // namespace tenfold::kernels::scalar
