// Q4_K, Q5_K and Q6_K weights requantised to int8, one scale per row and 128 columns, then multiplied as plain int8
// matrices: the path for many tokens. The same arithmetic as avx512vnni/panel_*.cc, on registers of 8 rows.
//
// A panel x 256 columns is unpacked into 4 KB of L1, rounded in place and used for every token. Weights are kept as
// unsigned bytes w + 128; accumulators start from the record's -128 * sum, which takes the offset out again. Rounding
// is a * q + b in 8.8 fixed point, mins folded in.
#include "kernels/avx2/unpack_k.h"
#include "kernels/avxvnni/matmul_avxvnni.h"

namespace tenfold::kernels::avxvnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose
using namespace ymm;     // NOLINT(google-build-using-namespace): as above

constexpr int kMaxGroup = 6;  // 12 accumulators, two weights, one activation

// A panel x 256 columns as int8. A value is scale * (w - 128), with a scale for each half of the columns; kept are the
// second half's, and how many of its steps one step of the first half is. That is at most 16, so that sums of products
// fit 32 bits: 128 * 127 * 128 * 16 * (the records' own ratio, at most 32) < 2^31.
struct alignas(64) Converted {
  Quants w;
  float scale[kRows];
  float ratio[kRows];
};

// Factors of the 16 rows of one sub-block, each twice in its lane: w + 128 = (a * q + b) >> 8.
struct alignas(64) Affine {
  int32_t a[kRows];
  int32_t b[kRows];
};
TENFOLD_YMM_INLINE __m256i Twice(__m256i x) { return _mm256_blend_epi16(x, _mm256_slli_epi32(x, 16), 0xAA); }
// 128.5 in 8.8: the offset of unsigned bytes, and a half to round.
constexpr int kOffsetAndHalf = 128 * 256 + 128;

// Quads [begin, begin + N) from quants to rounded bytes.
template <int N>
TENFOLD_YMM_INLINE void Round(const Affine& f, int begin, Quants* quants) {
  const __m256i low8 = _mm256_set1_epi16(0x00FF);
  TENFOLD_UNROLL
  for (int r = 0; r < 2; ++r) {
    const __m256i a = Load(f.a + 8 * r);
    const __m256i b = Load(f.b + 8 * r);
    uint8_t* at = quants->bytes + begin * kLine + 32 * r;
    for (int quad = 0; quad < N; ++quad, at += kLine) {
      const __m256i q = Load(at);
      const __m256i even = _mm256_add_epi16(_mm256_mullo_epi16(_mm256_and_si256(q, low8), a), b);
      const __m256i odd = _mm256_add_epi16(_mm256_mullo_epi16(_mm256_srli_epi16(q, 8), a), b);
      Store(at, _mm256_or_si256(_mm256_srli_epi16(even, 8), _mm256_andnot_si256(low8, odd)));
    }
  }
}

TENFOLD_YMM_INLINE __m256 Abs(__m256 x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }

// From the largest magnitude of 8 rows in each half: stores scale and ratio, returns 256 / scale of each half (0 where
// all is zero).
TENFOLD_YMM_INLINE void SetScales(__m256 (&bound)[2], float* scale, float* ratio, __m256 (&inverse)[2]) {
  bound[1] = _mm256_max_ps(bound[1], _mm256_mul_ps(bound[0], _mm256_set1_ps(1.0f / 16)));
  TENFOLD_UNROLL
  for (int h = 0; h < 2; ++h) {
    const __m256 nonzero = _mm256_cmp_ps(bound[h], _mm256_set1_ps(1e-30f), _CMP_GT_OQ);
    inverse[h] = _mm256_and_ps(nonzero, _mm256_div_ps(_mm256_set1_ps(127.0f * 256), bound[h]));
  }
  const __m256 steps = _mm256_mul_ps(_mm256_mul_ps(bound[0], inverse[1]), _mm256_set1_ps(1.0f / (127 * 256)));
  _mm256_store_ps(ratio, steps);
  _mm256_store_ps(scale, _mm256_mul_ps(bound[1], _mm256_set1_ps(1.0f / 127)));
}

TENFOLD_YMM_INLINE void StoreAffine(__m256i a, __m256i minus_b, int r, Affine* out) {
  Store(out->a + 8 * r, Twice(a));
  Store(out->b + 8 * r, Twice(_mm256_sub_epi32(_mm256_set1_epi32(kOffsetAndHalf), minus_b)));
}

// A super-block of Q4_K (quants of at most 15) or Q5_K (31).
template <int kMost>
TENFOLD_YMM_INLINE void ConvertAffine(const uint8_t* sb, Converted* out) {
  Q4KScaleBytes bytes;
  DecodeQ4KScales(sb, &bytes);
  Affine factors[8];
  for (int r = 0; r < 2; ++r) {
    const __m256 d = LoadHalves(sb + 16 * r);
    const __m256 dmin = LoadHalves(sb + 32 + 16 * r);
    __m256 inverse[2];
    __m256 bound[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (int j = 0; j < 8; ++j) {
      const __m256 scale = _mm256_mul_ps(BytesToFloats(bytes.scale[j] + 8 * r), d);
      const __m256 min = _mm256_mul_ps(BytesToFloats(bytes.min[j] + 8 * r), dmin);
      const __m256 top = _mm256_fmsub_ps(scale, _mm256_set1_ps(kMost), min);
      bound[j / 4] = _mm256_max_ps(bound[j / 4], _mm256_max_ps(Abs(top), Abs(min)));
    }
    SetScales(bound, out->scale + 8 * r, out->ratio + 8 * r, inverse);
    for (int j = 0; j < 8; ++j) {
      const __m256 scale = _mm256_mul_ps(BytesToFloats(bytes.scale[j] + 8 * r), d);
      const __m256 min = _mm256_mul_ps(BytesToFloats(bytes.min[j] + 8 * r), dmin);
      StoreAffine(_mm256_cvtps_epi32(_mm256_mul_ps(scale, inverse[j / 4])),
                  _mm256_cvtps_epi32(_mm256_mul_ps(min, inverse[j / 4])), r, &factors[j]);
    }
  }
  for (int j = 0; j < 8; ++j) Round<8>(factors[j], 8 * j, &out->w);
}

struct Q4K {
  static void Convert(const uint8_t* panel, int64_t kb, int64_t, Converted* out) {
    const uint8_t* const sb = panel + kb * kQ4KBlockBytes;
    PrefetchWeights(sb, kQ4KBlockBytes);
    UnpackQ4K(sb, &out->w);
    ConvertAffine<15>(sb, out);
  }
};

struct Q5K {
  static void Convert(const uint8_t* panel, int64_t kb, int64_t, Converted* out) {
    const uint8_t* const sb = panel + kb * kQ5KBlockBytes;
    PrefetchWeights(sb, kQ5KBlockBytes);
    UnpackQ5K(sb, &out->w);
    ConvertAffine<31>(sb, out);
  }
};

struct Q6K {
  static void Convert(const uint8_t* panel, int64_t kb, int64_t cols, Converted* out) {
    const uint8_t* const sb = panel + ScaleHeaderBytes(cols / 256) + kb * kQ6KBlockBytes;
    PrefetchWeights(sb, kQ6KBlockBytes);
    UnpackQ6K(sb, &out->w);
    Affine factors[16];
    for (int r = 0; r < 2; ++r) {
      const __m256 d = LoadHalves(panel + 32 * kb + 16 * r);
      __m256 scale[16], inverse[2];
      __m256 bound[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
      for (int j = 0; j < 16; ++j) {
        scale[j] = _mm256_mul_ps(SignedBytesToFloats(sb + 16 * j + 8 * r), d);
        bound[j / 8] = _mm256_max_ps(bound[j / 8], _mm256_mul_ps(Abs(scale[j]), _mm256_set1_ps(32)));
      }
      SetScales(bound, out->scale + 8 * r, out->ratio + 8 * r, inverse);
      for (int j = 0; j < 16; ++j) {
        const __m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(scale[j], inverse[j / 8]));
        StoreAffine(a, _mm256_slli_epi32(a, 5), r, &factors[j]);
      }
    }
    for (int j = 0; j < 16; ++j) Round<4>(factors[j], 4 * j, &out->w);
  }
};

// acc += half h of a converted panel times that of M tokens.
template <int M>
TENFOLD_YMM_INLINE void AddHalf(const Converted& w, const uint8_t* records, int h, __m256i (&acc)[M][2]) {
  const uint8_t* x = records + kActBlock * h;
  const uint8_t* line = w.w.Quad(32 * h);
  // The next group's records are fetched while this one runs.
  const uint8_t* ahead = records + M * kRecordKBytes + M * kRecordKBytes / 2 * h;
  for (int quad = 0; quad < 32; ++quad, x += 4, line += kLine, ahead += M * kRecordKBytes / 64) {
    __builtin_prefetch(ahead);
    const __m256i w0 = Load(line);
    const __m256i w1 = Load(line + 32);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m256i xm = BroadcastQuad(x + m * kRecordKBytes);
      Dot4(acc[m][0], w0, xm);
      Dot4(acc[m][1], w1, xm);
    }
  }
}

// A converted panel times M tokens, added to c. Between the halves the sums are brought to the second half's scale as
// integers, so that results are loaded and stored once.
template <int M>
void AddTokens(const Converted& w, const uint8_t* records, float* c, int64_t c_stride) {
  __m256i acc[M][2];
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) acc[m][0] = acc[m][1] = BroadcastQuad(records + m * kRecordKBytes + kRecordKOff128);
  AddHalf<M>(w, records, 0, acc);
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    const uint8_t* const record = records + m * kRecordKBytes;
    const __m256 x_ratio = BroadcastFloat(record + kRecordKRatio);
    const __m256i off = BroadcastQuad(record + kRecordKOff128 + 4);
    TENFOLD_UNROLL
    for (int r = 0; r < 2; ++r) {
      const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[m][r]), _mm256_load_ps(w.ratio + 8 * r));
      acc[m][r] = _mm256_add_epi32(_mm256_cvtps_epi32(_mm256_mul_ps(scaled, x_ratio)), off);
    }
  }
  AddHalf<M>(w, records, 1, acc);
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    const __m256 x_scale = BroadcastFloat(records + m * kRecordKBytes + kRecordKScale + 4);
    TENFOLD_UNROLL
    for (int r = 0; r < 2; ++r) {
      float* const out = c + m * c_stride + 8 * r;
      const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[m][r]), _mm256_load_ps(w.scale + 8 * r));
      _mm256_store_ps(out, _mm256_fmadd_ps(scaled, x_scale, _mm256_load_ps(out)));
    }
  }
}

template <class Format>
void Run(const TileArgs& a) {
  using Fn = void (*)(const Converted&, const uint8_t*, float*, int64_t);
  static constexpr Fn kGroup[kMaxGroup] = {AddTokens<1>, AddTokens<2>, AddTokens<3>,
                                           AddTokens<4>, AddTokens<5>, AddTokens<6>};
  const int64_t c_stride = a.panels * kRows;
  std::memset(a.c, 0, static_cast<size_t>(a.tokens * c_stride) * sizeof(float));
  const Groups groups = SplitTokens(a.tokens, kMaxGroup);
  Converted converted[kTilePanels];
  for (int64_t kb = 0; kb < a.cols / 256; ++kb) {
    for (int p = 0; p < a.panels; ++p) {
      Format::Convert(a.w + static_cast<size_t>(p) * a.panel_bytes, kb, a.cols, &converted[p]);
    }
    const uint8_t* records = a.records + static_cast<size_t>(kb) * a.block_stride;
    float* c = a.c;
    for (int64_t g = 0; g < groups.count; ++g) {
      const int64_t size = groups.SizeOf(g);
      for (int p = 0; p < a.panels; ++p) kGroup[size - 1](converted[p], records, c + p * kRows, c_stride);
      records += size * kRecordKBytes;
      c += size * c_stride;
    }
  }
}

}  // namespace

void PanelQ4K(const TileArgs& a) { Run<Q4K>(a); }
void PanelQ5K(const TileArgs& a) { Run<Q5K>(a); }
void PanelQ6K(const TileArgs& a) { Run<Q6K>(a); }

}  // namespace tenfold::kernels::avxvnni
