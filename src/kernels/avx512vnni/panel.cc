// Q4_K, Q5_K and Q6_K weights requantised to int8, one scale per row and 128 columns, then multiplied as plain int8
// matrices: the path for many tokens, at nine tenths of the machine's integer peak.
//
// Two panels x 256 columns are converted into 8 KB of L1 and used for every token before the next 256 columns. Weights
// are kept as unsigned bytes w + 128; accumulators start from the record's -128 * sum, which takes the offset out
// again. Conversion is A * q + B in 8.8 fixed point, mins folded in.
//
// Scales finer than 128 columns were tried: per 64, the rounding of Gaussian weights falls from 3.9e-5 to 3.1e-5 of
// their power, beside 4.3e-5 from the activations, for 5 % of the speed; per 256 it is 4.7e-5 and no faster.
#include "kernels/avx512vnni/matmul_avx512vnni.h"

namespace tenfold::kernels::avx512vnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

// 2 panels x 12 tokens: 24 accumulators, two weights, one activation.
constexpr int kMaxGroup = 12;

// R panels x 256 columns as int8: w[quad][panel][row][4]. A value is scale * (w - 128), with a scale for each half of
// the columns; kept are the second half's, and how many of its steps one step of the first half is. That is at most 16,
// so that sums of products fit 32 bits: 128 * 127 * 128 * 16 * (the records' own ratio, at most 32) < 2^31.
template <int R>
struct alignas(64) Converted {
  uint8_t w[64][R][kLine];
  float scale[R][kRows];
  float ratio[R][kRows];
};

// Factors of 16 rows for one sub-block, each twice in its lane: w + 128 = (a * q + b) >> 8.
struct Affine {
  __m512i a, b;
};
TENFOLD_INLINE __m512i Twice(__m512i x) { return _mm512_mask_blend_epi16(0xAAAAAAAAu, x, _mm512_slli_epi32(x, 16)); }
// 128.5 in 8.8: the offset of unsigned bytes, and a half to round.
constexpr int kOffsetAndHalf = 128 * 256 + 128;

// q_even, q_odd: quants of the even and odd bytes of a quad, in 16-bit lanes.
TENFOLD_INLINE __m512i Convert(__m512i q_even, __m512i q_odd, Affine f) {
  const __m512i even = _mm512_add_epi16(_mm512_mullo_epi16(q_even, f.a), f.b);
  const __m512i odd = _mm512_add_epi16(_mm512_mullo_epi16(q_odd, f.a), f.b);
  return Select(_mm512_set1_epi16(0x00FF), _mm512_srli_epi16(even, 8), odd);
}

// From the largest magnitude of each row in each half: stores scale and ratio, returns 256 / scale of each half (0
// where all is zero).
template <int R>
TENFOLD_INLINE void SetScales(__m512 (&bound)[2], int r, Converted<R>* out, __m512 (&inverse)[2]) {
  bound[1] = _mm512_max_ps(bound[1], _mm512_mul_ps(bound[0], _mm512_set1_ps(1.0f / 16)));
  TENFOLD_UNROLL
  for (int h = 0; h < 2; ++h) {
    const __mmask16 nonzero = _mm512_cmp_ps_mask(bound[h], _mm512_set1_ps(1e-30f), _CMP_GT_OQ);
    inverse[h] = _mm512_maskz_div_ps(nonzero, _mm512_set1_ps(127.0f * 256), bound[h]);
  }
  const __m512 ratio = _mm512_mul_ps(_mm512_mul_ps(bound[0], inverse[1]), _mm512_set1_ps(1.0f / (127 * 256)));
  _mm512_store_ps(out->ratio[r], ratio);
  _mm512_store_ps(out->scale[r], _mm512_mul_ps(bound[1], _mm512_set1_ps(1.0f / 127)));
}

// The factors of the 8 sub-blocks of a Q4_K or Q5_K super-block with quants of at most kMost, and its scales.
template <int R, int kMost>
TENFOLD_INLINE void AffineFactors(const uint8_t* sb, int r, Converted<R>* out, Affine (&f)[8]) {
  Q4KScaleBytes bytes;
  DecodeQ4KScales(sb, &bytes);
  const __m512 d = LoadHalves(sb);
  const __m512 dmin = LoadHalves(sb + 32);
  __m512 scale[8], min[8], inverse[2];
  __m512 bound[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  TENFOLD_UNROLL
  for (int j = 0; j < 8; ++j) {
    scale[j] = _mm512_mul_ps(BytesToFloats(bytes.scale + 16 * j), d);
    min[j] = _mm512_mul_ps(BytesToFloats(bytes.min + 16 * j), dmin);
    const __m512 top = _mm512_fmsub_ps(scale[j], _mm512_set1_ps(kMost), min[j]);
    bound[j / 4] = _mm512_max_ps(bound[j / 4], _mm512_max_ps(_mm512_abs_ps(top), _mm512_abs_ps(min[j])));
  }
  SetScales<R>(bound, r, out, inverse);
  TENFOLD_UNROLL
  for (int j = 0; j < 8; ++j) {
    const __m512i b = _mm512_cvtps_epi32(_mm512_mul_ps(min[j], inverse[j / 4]));
    f[j].a = Twice(_mm512_cvtps_epi32(_mm512_mul_ps(scale[j], inverse[j / 4])));
    f[j].b = Twice(_mm512_sub_epi32(_mm512_set1_epi32(kOffsetAndHalf), b));
  }
}

struct Q4K {
  static constexpr int kBytes = kQ4KBlockBytes;
  template <int R>
  TENFOLD_INLINE void ConvertTo(const uint8_t* sb, int r, Converted<R>* out) {
    Affine f[8];
    AffineFactors<R, 15>(sb, r, out, f);
    const __m512i low4 = _mm512_set1_epi16(15);
    TENFOLD_UNROLL
    for (int g = 0; g < 4; ++g) {
      TENFOLD_UNROLL
      for (int quad = 0; quad < 8; ++quad) {
        const __m512i q = LoadLine(sb + kQ4KQuants + (8 * g + quad) * kLine);
        const __m512i q4 = _mm512_srli_epi16(q, 4);
        const __m512i q8 = _mm512_srli_epi16(q, 8);
        _mm512_store_si512(out->w[16 * g + quad][r],
                           Convert(_mm512_and_si512(q, low4), _mm512_and_si512(q8, low4), f[2 * g]));
        _mm512_store_si512(out->w[16 * g + 8 + quad][r],
                           Convert(_mm512_and_si512(q4, low4), _mm512_srli_epi16(q, 12), f[2 * g + 1]));
      }
    }
  }
};

struct Q5K {
  static constexpr int kBytes = kQ5KBlockBytes;
  template <int R>
  TENFOLD_INLINE void ConvertTo(const uint8_t* sb, int r, Converted<R>* out) {
    Affine f[8];
    AffineFactors<R, 31>(sb, r, out, f);
    for (int j = 0; j < 5; ++j) ConvertSubBlock<R, 0>(sb, j, r, f[j], out);
    for (int j = 5; j < 7; ++j) ConvertSubBlock<R, 1>(sb, j, r, f[j], out);
    ConvertSubBlock<R, 2>(sb, 7, r, f[7], out);
  }

  template <int R, int kClass>
  TENFOLD_INLINE void ConvertSubBlock(const uint8_t* sb, int j, int r, Affine f, Converted<R>* out) {
    constexpr int kShift = kClass == 0 ? 0 : 3;  // classes 1 and 2 come as 8 times their value
    TENFOLD_UNROLL
    for (int quad = 0; quad < 8; ++quad) {
      const __m512i q = LoadQ5K<kClass>(sb + kQ5KQuants + quad * kLine, j);
      const __m512i even = _mm512_and_si512(_mm512_srli_epi16(q, kShift), _mm512_set1_epi16(31));
      _mm512_store_si512(out->w[8 * j + quad][r], Convert(even, _mm512_srli_epi16(q, 8 + kShift), f));
    }
  }
};

// Quarter Q of half h. f: of its two sub-blocks.
template <int R, int Q>
TENFOLD_INLINE void ConvertQuarterQ6K(const uint8_t* sb, int h, int r, const Affine* f, Converted<R>* out) {
  TENFOLD_UNROLL
  for (int quad = 0; quad < 8; ++quad) {
    const __m512i q = LoadQ6K<Q>(sb + kQ6KQuants + 3 * kQ6KPlaneBytes * h + quad * kLine);
    constexpr int kShift = Q < 3 ? 0 : 2;  // quarter 3 comes as 4 times its value
    const __m512i even = _mm512_and_si512(_mm512_srli_epi16(q, kShift), _mm512_set1_epi16(63));
    _mm512_store_si512(out->w[32 * h + 8 * Q + quad][r], Convert(even, _mm512_srli_epi16(q, 8 + kShift), f[quad / 4]));
  }
}

template <int R>
TENFOLD_INLINE void ConvertQ6K(const uint8_t* sb, const uint8_t* d_halves, int r, Converted<R>* out) {
  const __m512 d = LoadHalves(d_halves);
  __m512 scale[16], inverse[2];
  __m512 bound[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  TENFOLD_UNROLL
  for (int j = 0; j < 16; ++j) {
    scale[j] = _mm512_mul_ps(SignedBytesToFloats(sb + 16 * j), d);
    bound[j / 8] = _mm512_max_ps(bound[j / 8], _mm512_mul_ps(_mm512_abs_ps(scale[j]), _mm512_set1_ps(32)));
  }
  SetScales<R>(bound, r, out, inverse);
  Affine f[16];
  TENFOLD_UNROLL
  for (int j = 0; j < 16; ++j) {
    const __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(scale[j], inverse[j / 8]));
    f[j].a = Twice(a);
    f[j].b = Twice(_mm512_sub_epi32(_mm512_set1_epi32(kOffsetAndHalf), _mm512_slli_epi32(a, 5)));
  }
  for (int h = 0; h < 2; ++h) {
    ConvertQuarterQ6K<R, 0>(sb, h, r, f + 8 * h, out);
    ConvertQuarterQ6K<R, 1>(sb, h, r, f + 8 * h + 2, out);
    ConvertQuarterQ6K<R, 2>(sb, h, r, f + 8 * h + 4, out);
    ConvertQuarterQ6K<R, 3>(sb, h, r, f + 8 * h + 6, out);
  }
}

// acc += half h of the converted panels times that of M tokens.
template <int R, int M>
TENFOLD_INLINE void AddHalf(const Converted<R>& w, const uint8_t* records, int h, __m512i (&acc)[M][R]) {
  const uint8_t* x = records + kActBlock * h;
  const uint8_t* lines = w.w[32 * h][0];
  // The next group's records are fetched while this one runs.
  const uint8_t* ahead = records + M * kRecordKBytes + M * kRecordKBytes / 2 * h;
  for (int quad = 0; quad < 32; ++quad, x += 4, lines += R * kLine, ahead += M * kRecordKBytes / 64) {
    Prefetch(ahead);
    __m512i line[R];
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) line[r] = LoadLine(lines + r * kLine);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m512i quads = BroadcastQuad(x + m * kRecordKBytes);
      TENFOLD_UNROLL
      for (int r = 0; r < R; ++r) Dot4(acc[m][r], line[r], quads);
    }
  }
}

// Converted panels times M tokens, added to c [token][R][16]. Between the halves the sums are brought to the second
// half's scales as integers: loading and storing results twice instead cost a tenth of the speed (on Zen 5).
template <int R, int M>
void AddGroup(const Converted<R>& w, const uint8_t* records, float* c) {
  __m512i acc[M][R];
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) acc[m][r] = BroadcastQuad(records + m * kRecordKBytes + kRecordKOff128);
  }
  AddHalf<R, M>(w, records, 0, acc);
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    const uint8_t* record = records + m * kRecordKBytes;
    const __m512 x_ratio = BroadcastFloat(record + kRecordKRatio);
    const __m512i off = BroadcastQuad(record + kRecordKOff128 + 4);
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[m][r]), _mm512_load_ps(w.ratio[r]));
      acc[m][r] = _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(scaled, x_ratio)), off);
    }
  }
  AddHalf<R, M>(w, records, 1, acc);
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    const __m512 x_scale = BroadcastFloat(records + m * kRecordKBytes + kRecordKScale + 4);
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      float* out = c + (m * R + r) * kRows;
      const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[m][r]), _mm512_load_ps(w.scale[r]));
      _mm512_store_ps(out, _mm512_fmadd_ps(scaled, x_scale, _mm512_load_ps(out)));
    }
  }
}

template <int R>
void AddTokens(const Converted<R>& w, const uint8_t* records, int64_t tokens, float* c) {
  using Fn = void (*)(const Converted<R>&, const uint8_t*, float*);
  static constexpr Fn kGroup[kMaxGroup] = {AddGroup<R, 1>, AddGroup<R, 2>,  AddGroup<R, 3>,  AddGroup<R, 4>,
                                           AddGroup<R, 5>, AddGroup<R, 6>,  AddGroup<R, 7>,  AddGroup<R, 8>,
                                           AddGroup<R, 9>, AddGroup<R, 10>, AddGroup<R, 11>, AddGroup<R, 12>};
  const Groups groups = SplitTokens(tokens, kMaxGroup);
  for (int64_t g = 0; g < groups.count; ++g) {
    const int64_t size = groups.SizeOf(g);
    kGroup[size - 1](w, records, c);
    records += size * kRecordKBytes;
    c += size * R * kRows;
  }
}

template <class Format, int R>
void RunAffine(const TileArgs& a) {
  std::memset(a.c, 0, static_cast<size_t>(a.tokens) * R * kRows * sizeof(float));
  Converted<R> w;
  for (int64_t kb = 0; kb < a.cols / 256; ++kb) {
    for (int r = 0; r < R; ++r) {
      const uint8_t* sb = a.w + static_cast<size_t>(r) * a.panel_bytes + kb * Format::kBytes;
      for (int line = 0; line < Format::kBytes / kLine; ++line) Prefetch(sb + Format::kBytes + line * kLine);
      Format::template ConvertTo<R>(sb, r, &w);
    }
    AddTokens<R>(w, a.records + static_cast<size_t>(kb) * a.block_stride, a.tokens, a.c);
  }
}

template <int R>
void RunQ6K(const TileArgs& a) {
  std::memset(a.c, 0, static_cast<size_t>(a.tokens) * R * kRows * sizeof(float));
  Converted<R> w;
  for (int64_t kb = 0; kb < a.cols / 256; ++kb) {
    for (int r = 0; r < R; ++r) {
      const uint8_t* panel = a.w + static_cast<size_t>(r) * a.panel_bytes;
      const uint8_t* sb = panel + ScaleHeaderBytes(a.cols / 256) + kb * kQ6KBlockBytes;
      for (int line = 0; line < kQ6KBlockBytes / kLine; ++line) Prefetch(sb + kQ6KBlockBytes + line * kLine);
      ConvertQ6K<R>(sb, panel + 32 * kb, r, &w);
    }
    AddTokens<R>(w, a.records + static_cast<size_t>(kb) * a.block_stride, a.tokens, a.c);
  }
}

}  // namespace

void PanelQ4K(const TileArgs& a) { return a.panels == 2 ? RunAffine<Q4K, 2>(a) : RunAffine<Q4K, 1>(a); }
void PanelQ5K(const TileArgs& a) { return a.panels == 2 ? RunAffine<Q5K, 2>(a) : RunAffine<Q5K, 1>(a); }
void PanelQ6K(const TileArgs& a) { return a.panels == 2 ? RunQ6K<2>(a) : RunQ6K<1>(a); }

}  // namespace tenfold::kernels::avx512vnni
