// Activations to records, a record of 256 columns at a time in registers; the same bytes as scalar/quantize_scalar.cc.
//
// One way through for all scales and all sums of a record: maxima and sums of 16 vectors are reduced together, by
// transposing adds, where a reduction for each costs as much as the rounding (Zen 4, cycles an element, rows of 2560
// from the first-level cache: 0.47 with one scale per 128, 0.43 with one per 32; with separate reductions 0.75 and
// 0.96).
#include "kernels/avx512vnni/matmul_avx512vnni.h"

namespace tenfold::kernels::avx512vnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

constexpr float kTiny = 1e-30f;  // as in the scalar quantiser

// |x| as integers, whose order is that of the magnitudes, NaN last.
TENFOLD_INLINE __m512i Magnitude(const float* x) {
  return _mm512_and_si512(_mm512_set1_epi32(0x7FFFFFFF), _mm512_loadu_si512(x));
}

// The largest |x| of N * 16 floats in each lane's column.
template <int N>
TENFOLD_INLINE __m512i ColumnMax(const float* x) {
  __m512i largest = Magnitude(x);
  TENFOLD_UNROLL
  for (int i = 1; i < N; ++i) largest = _mm512_max_epi32(largest, Magnitude(x + 16 * i));
  return largest;
}

// 64 floats to int8, absmax to 127, stored at q: the first 32 by `low`, the others by `high`. Returns their sums by
// fours; lane 4 i + j holds one of four whose total is that of columns 16 j .. 16 j + 15.
TENFOLD_INLINE __m512i QuantizeLine(const float* x, __m512 low, __m512 high, uint8_t* q) {
  __m512i v[4];
  TENFOLD_UNROLL
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + 16 * i), i < 2 ? low : high));
  }
  const __m512i packed = _mm512_packs_epi16(_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3]));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  _mm512_store_si512(q, _mm512_permutexvar_epi32(order, packed));
  __m512i sums = _mm512_setzero_si512();
  Dot4(sums, _mm512_set1_epi8(1), packed);
  return sums;
}

// The sums of each 16 columns of a record, in order.
TENFOLD_INLINE __m512i SumsOf16(const __m512i line[4]) {
  const auto fold = [](__m512i a, __m512i b) __attribute__((always_inline)) {
    return _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xDD));
  };
  return fold(fold(line[0], line[1]), fold(line[2], line[3]));
}

// Sums of neighbours: of each 32 columns.
TENFOLD_INLINE __m256i SumsOf32(__m512i sums16) {
  const __m512i pairs = _mm512_add_epi32(sums16, _mm512_shuffle_epi32(sums16, _MM_PERM_CDAB));
  return _mm512_castsi512_si256(
      _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 0, 0, 0, 0, 0, 0, 0, 0), pairs));
}

TENFOLD_INLINE void StoreHalfLine(uint8_t* p, __m256i v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }

// The largest |x| of each 32 of 256 floats.
TENFOLD_INLINE __m256 AbsMaxOf32(const float* x) {
  __m512i m[8];
  TENFOLD_UNROLL
  for (int i = 0; i < 8; ++i) m[i] = ColumnMax<2>(x + 32 * i);
  const auto fold32 = [](__m512i a, __m512i b) __attribute__((always_inline)) {
    return _mm512_max_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  };
  const auto fold64 = [](__m512i a, __m512i b) __attribute__((always_inline)) {
    return _mm512_max_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
  };
  const __m512i low = fold64(fold32(m[0], m[1]), fold32(m[2], m[3]));
  const __m512i high = fold64(fold32(m[4], m[5]), fold32(m[6], m[7]));
  const __m512i both = _mm512_max_epi32(_mm512_shuffle_i32x4(low, high, 0x88), _mm512_shuffle_i32x4(low, high, 0xDD));
  const __m512i all = _mm512_max_epi32(both, _mm512_shuffle_i32x4(both, both, 0xB1));
  return _mm512_castps512_ps256(_mm512_castsi512_ps(_mm512_shuffle_i32x4(all, all, 0x08)));
}

TENFOLD_INLINE void Quantize8Record(const float* x, uint8_t* record) {
  const __m256 absmax = AbsMaxOf32(x);
  const __mmask8 some = _mm256_cmp_ps_mask(absmax, _mm256_set1_ps(kTiny), _CMP_NLE_UQ);
  const __m256 full = _mm256_set1_ps(127.0f);
  alignas(32) float inverse[8];
  _mm256_store_ps(inverse, _mm256_maskz_div_ps(some, full, absmax));
  _mm256_store_ps(reinterpret_cast<float*>(record + kRecord8Scale), _mm256_maskz_div_ps(some, absmax, full));
  __m512i line[4];
  TENFOLD_UNROLL
  for (int i = 0; i < 4; ++i) {
    line[i] =
        QuantizeLine(x + 64 * i, _mm512_set1_ps(inverse[2 * i]), _mm512_set1_ps(inverse[2 * i + 1]), record + 64 * i);
  }
  const __m512i sums = SumsOf16(line);
  StoreHalfLine(record + kRecord8Off, _mm256_slli_epi32(_mm256_sub_epi32(_mm256_setzero_si256(), SumsOf32(sums)), 7));
  _mm512_store_si512(record + kRecord8Off16, _mm512_slli_epi32(_mm512_sub_epi32(_mm512_setzero_si512(), sums), 7));
}

// The largest |x| of each half of a record, in the first two lanes; the second kept from falling too far below the
// first.
TENFOLD_INLINE __m128 AbsMaxOfHalves(const float* x) {
  const __m512i a = ColumnMax<8>(x);
  const __m512i b = ColumnMax<8>(x + kActBlock);
  const __m512i pairs = _mm512_max_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  const __m256i eight = _mm256_max_epi32(_mm512_castsi512_si256(pairs), _mm512_extracti64x4_epi64(pairs, 1));
  const __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128 absmax = _mm_castsi128_ps(_mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4E)));
  const __m128 floor = _mm_mul_ps(_mm_moveldup_ps(absmax), _mm_set1_ps(kActFloor));
  const auto raise =
      static_cast<__mmask8>(_mm_cmp_ps_mask(floor, floor, _CMP_UNORD_Q) | _mm_cmp_ps_mask(absmax, floor, _CMP_LT_OQ));
  return _mm_mask_mov_ps(absmax, static_cast<__mmask8>(raise & 2), floor);
}

TENFOLD_INLINE void QuantizeKRecord(const float* x, uint8_t* record) {
  const __m128 absmax = AbsMaxOfHalves(x);
  const __mmask8 some = _mm_cmp_ps_mask(absmax, _mm_set1_ps(kTiny), _CMP_NLE_UQ);
  const __m128 full = _mm_set1_ps(127.0f);
  const __m128 inverse = _mm_maskz_div_ps(some, full, absmax);
  const __m128 scale = _mm_maskz_div_ps(some, absmax, full);
  const __m128 second = _mm_movehdup_ps(scale);
  const __m128 ratio = _mm_maskz_div_ps(_mm_cmp_ss_mask(second, _mm_setzero_ps(), _CMP_GT_OQ), scale, second);
  __m512i line[4];
  const __m512 low = _mm512_broadcastss_ps(inverse);
  const __m512 high = _mm512_broadcastss_ps(_mm_movehdup_ps(inverse));
  TENFOLD_UNROLL
  for (int i = 0; i < 4; ++i) {
    const __m512 by = i < 2 ? low : high;
    line[i] = QuantizeLine(x + 64 * i, by, by, record + 64 * i);
  }
  const __m512i sums = SumsOf16(line);
  const __m512i shift = _mm512_setr_epi32(5, 5, 5, 5, 5, 5, 7, 7, 5, 5, 5, 5, 5, 5, 7, 7);
  _mm512_store_si512(record + kRecordKOff16, _mm512_sllv_epi32(_mm512_sub_epi32(_mm512_setzero_si512(), sums), shift));
  const __m256i sums32 = SumsOf32(sums);
  const __m256 scales =
      _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_broadcastss_ps(scale)), _mm_broadcastss_ps(second), 1);
  StoreHalfLine(record + kRecordKSum32, _mm256_castps_si256(_mm256_mul_ps(scales, _mm256_cvtepi32_ps(sums32))));
  __m256i halves = _mm256_add_epi32(sums32, _mm256_shuffle_epi32(sums32, 0xB1));
  halves = _mm256_add_epi32(halves, _mm256_shuffle_epi32(halves, 0x4E));
  const __m128i off = _mm_slli_epi32(
      _mm_sub_epi32(_mm_setzero_si128(),
                    _mm_unpacklo_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1))),
      7);
  _mm_store_ps(reinterpret_cast<float*>(record + kRecordKScale), _mm_movelh_ps(scale, _mm_castsi128_ps(off)));
  _mm_store_ps(reinterpret_cast<float*>(record + kRecordKRatio), ratio);
}

static_assert(kRecordKOff128 == kRecordKScale + 8 && kRecordKOff16 == kRecordKRatio + 16,
              "stored four lanes at a time");

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
  for (; cols >= 256; cols -= 256, x += 256, records += block_stride) Quantize8Record(x, records);
  if (cols == 0) return;
  alignas(64) float rest[256] = {};
  std::memcpy(rest, x, static_cast<size_t>(cols) * sizeof(float));
  Quantize8Record(rest, records);
}

void QuantizeK(const float* x, int64_t cols, uint8_t* records, size_t block_stride) {
  for (; cols > 0; cols -= 256, x += 256, records += block_stride) QuantizeKRecord(x, records);
}

}  // namespace tenfold::kernels::avx512vnni
