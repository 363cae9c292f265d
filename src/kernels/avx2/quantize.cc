// Activations to records, 8 elements at a time; the same bytes as scalar/quantize_scalar.cc. Serves AVX-VNNI too.
#include "kernels/avx2/matmul_avx2.h"
#include "kernels/avx2/ymm.h"

namespace tenfold::kernels::avx2 {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose
using namespace ymm;     // NOLINT(google-build-using-namespace): as above

constexpr float kTiny = 1e-30f;  // as in the scalar quantiser

// Largest |x| of N * 32 floats, NaN if any is NaN: the bits of magnitudes sort like the magnitudes, NaN last.
template <int N>
float AbsMax(const float* x) {
  const __m256i magnitude = _mm256_set1_epi32(0x7FFFFFFF);
  __m256i largest = _mm256_setzero_si256();
  for (int i = 0; i < 4 * N; ++i) {
    largest = _mm256_max_epi32(largest, _mm256_and_si256(magnitude, _mm256_castps_si256(_mm256_loadu_ps(x + 8 * i))));
  }
  __m128i v = _mm_max_epi32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
  v = _mm_max_epi32(v, _mm_shuffle_epi32(v, 0x4E));
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epi32(v, _mm_shuffle_epi32(v, 0xB1))));
}

// N * 32 floats to int8, absmax to 127, and the sums of each 16. Returns the scale.
template <int N>
float QuantizeBlock(const float* x, float absmax, uint8_t* q, int32_t* sums) {
  const bool zero = absmax <= kTiny;
  const __m256 inverse = _mm256_set1_ps(zero ? 0.0f : 127.0f / absmax);
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // undoes what the two packs do to the lanes
  for (int i = 0; i < N; ++i) {
    __m256i v[4];
    for (int j = 0; j < 4; ++j) {
      v[j] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 32 * i + 8 * j), inverse));
    }
    const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
    const __m256i bytes = _mm256_permutevar8x32_epi32(packed, order);
    Store(q + 32 * i, bytes);
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
    __m256i quads = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    quads = _mm256_add_epi32(quads, _mm256_shuffle_epi32(quads, 0x4E));
    quads = _mm256_add_epi32(quads, _mm256_shuffle_epi32(quads, 0xB1));
    sums[2 * i] = _mm256_cvtsi256_si32(quads);
    sums[2 * i + 1] = _mm_cvtsi128_si32(_mm256_extracti128_si256(quads, 1));
  }
  return zero ? 0.0f : absmax / 127.0f;
}

template <class T>
TENFOLD_YMM_INLINE void Put(uint8_t* record, int offset, int index, T value) {
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
          QuantizeBlock<1>(x + begin + 32 * j, AbsMax<1>(x + begin + 32 * j), records + 32 * j, sums));
      Put(records, kRecord8Off, j, -128 * (sums[0] + sums[1]));
      for (int s = 0; s < 2; ++s) Put(records, kRecord8Off16, 2 * j + s, -128 * sums[s]);
    }
  }
}

void QuantizeK(const float* x, int64_t cols, uint8_t* records, size_t block_stride) {
  for (int64_t begin = 0; begin < cols; begin += 256, records += block_stride) {
    float absmax[2] = {AbsMax<4>(x + begin), AbsMax<4>(x + begin + kActBlock)};
    const float floor = absmax[0] * kActFloor;
    if (floor != floor || absmax[1] < floor) absmax[1] = floor;
    float scale[2];
    for (int h = 0; h < 2; ++h) {
      int32_t sums[8];
      scale[h] = QuantizeBlock<4>(x + begin + kActBlock * h, absmax[h], records + kActBlock * h, sums);
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

}  // namespace tenfold::kernels::avx2
