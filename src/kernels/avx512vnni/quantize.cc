// Activations to records, 16 elements at a time; the same bytes as scalar/quantize_scalar.cc.
#include "kernels/avx512vnni/matmul_avx512vnni.h"

namespace tenfold::kernels::avx512vnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

constexpr float kTiny = 1e-30f;  // as in the scalar quantiser

// Largest |x| of N * 16 floats, NaN if any is NaN: the bits of magnitudes sort like the magnitudes, NaN last.
template <int N>
TENFOLD_INLINE float AbsMax(const float* x) {
  const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
  __m512i largest = _mm512_setzero_si512();
  TENFOLD_UNROLL
  for (int i = 0; i < N; ++i) {
    largest = _mm512_max_epi32(largest, _mm512_and_si512(magnitude, _mm512_loadu_si512(x + 16 * i)));
  }
  const int32_t bits = _mm512_reduce_max_epi32(largest);
  float absmax;
  std::memcpy(&absmax, &bits, sizeof absmax);
  return absmax;
}

// N * 16 floats to int8, absmax to 127, and the sums of each 16. Returns the scale.
template <int N>
TENFOLD_INLINE float QuantizeBlock(const float* x, float absmax, uint8_t* q, int32_t* sums) {
  const bool zero = absmax <= kTiny;
  const __m512 inverse = _mm512_set1_ps(zero ? 0.0f : 127.0f / absmax);
  TENFOLD_UNROLL
  for (int i = 0; i < N; ++i) {
    const __m512i rounded = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16 * i), inverse));
    const __m128i bytes = _mm512_cvtsepi32_epi8(rounded);
    _mm_store_si128(reinterpret_cast<__m128i*>(q + 16 * i), bytes);
    sums[i] = _mm512_reduce_add_epi32(_mm512_cvtepi8_epi32(bytes));
  }
  return zero ? 0.0f : absmax / 127.0f;
}

template <class T>
TENFOLD_INLINE void Put(uint8_t* record, int offset, int index, T value) {
  std::memcpy(record + offset + static_cast<int>(sizeof value) * index, &value, sizeof value);
}

}  // namespace

void QuantizeFloat(const float* x, int64_t cols, uint8_t* records, size_t block_stride) {
  for (int64_t begin = 0; begin < cols; begin += kRecordFColumns, records += block_stride) {
    const int64_t left = cols - begin;
    const auto n = static_cast<size_t>(left < kRecordFColumns ? left : kRecordFColumns);
    std::memcpy(records, x + begin, n * sizeof(float));
    std::memset(records + n * sizeof(float), 0, kRecordFBytes - n * sizeof(float));
  }
}

void Quantize8(const float* x, int64_t cols, uint8_t* records, size_t block_stride) {
  for (int64_t begin = 0; begin < cols; begin += 256, records += block_stride) {
    const int64_t left = cols - begin;
    const int blocks = static_cast<int>(left < 256 ? left / 32 : 8);
    if (blocks < 8) std::memset(records, 0, kRecord8Bytes);
    for (int j = 0; j < blocks; ++j) {
      int32_t sums[2];
      Put(records, kRecord8Scale, j,
          QuantizeBlock<2>(x + begin + 32 * j, AbsMax<2>(x + begin + 32 * j), records + 32 * j, sums));
      Put(records, kRecord8Off, j, -128 * (sums[0] + sums[1]));
      for (int s = 0; s < 2; ++s) Put(records, kRecord8Off16, 2 * j + s, -128 * sums[s]);
    }
  }
}

void QuantizeK(const float* x, int64_t cols, uint8_t* records, size_t block_stride) {
  for (int64_t begin = 0; begin < cols; begin += 256, records += block_stride) {
    float absmax[2] = {AbsMax<8>(x + begin), AbsMax<8>(x + begin + kActBlock)};
    const float floor = absmax[0] * kActFloor;
    if (floor != floor || absmax[1] < floor) absmax[1] = floor;
    float scale[2];
    for (int h = 0; h < 2; ++h) {
      int32_t sums[8];
      scale[h] = QuantizeBlock<8>(x + begin + kActBlock * h, absmax[h], records + kActBlock * h, sums);
      int32_t total = 0;
      for (int i = 0; i < 8; ++i) {
        Put(records, kRecordKOff16, 8 * h + i, (i < 6 ? -32 : -128) * sums[i]);
        total += sums[i];
      }
      for (int j = 0; j < 4; ++j) {
        Put(records, kRecordKSum32, 4 * h + j, scale[h] * static_cast<float>(sums[2 * j] + sums[2 * j + 1]));
      }
      Put(records, kRecordKScale, h, scale[h]);
      Put(records, kRecordKOff128, h, -128 * total);
    }
    Put(records, kRecordKRatio, 0, scale[1] > 0 ? scale[0] / scale[1] : 0.0f);
    std::memset(records + kRecordKRatio + 4, 0, kRecordKOff16 - kRecordKRatio - 4);
  }
}

}  // namespace tenfold::kernels::avx512vnni
