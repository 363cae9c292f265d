// Q4_K and Q6_K weights requantised to int8, one scale per row and 128 columns, then multiplied as plain int8 matrices:
// the path for many tokens, within a few per cent of the machine's integer peak.
//
// Two panels x 256 columns are converted into 16 KB of L1 and used for every token before the next 256 columns. Weights
// are kept as unsigned bytes w + 128; accumulators start from the record's -128 * sum, which takes the offset out
// again. Conversion is A * q + B in 8.8 fixed point, mins folded in.
#include "kernels/avx512vnni/matmul_avx512vnni.h"

namespace tenfold::kernels::avx512vnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

// 2 panels x 12 tokens: 24 accumulators, two weights, one activation.
constexpr int kMaxGroup = 12;

// R panels x 256 columns as int8: w[half][quad][panel][row][4], value = scale[half][panel][row] * (w - 128).
template <int R>
struct alignas(64) Converted {
  uint8_t w[2][32][R][kLine];
  float scale[2][R][kRows];
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

// From the largest magnitude of each row: stores the scale, returns 256 / scale (0 where all is zero).
TENFOLD_INLINE __m512 StoreScale(__m512 bound, float* scale) {
  _mm512_store_ps(scale, _mm512_mul_ps(bound, _mm512_set1_ps(1.0f / 127)));
  const __mmask16 nonzero = _mm512_cmp_ps_mask(bound, _mm512_set1_ps(1e-30f), _CMP_GT_OQ);
  return _mm512_maskz_div_ps(nonzero, _mm512_set1_ps(127.0f * 256), bound);
}

template <int R>
TENFOLD_INLINE void ConvertQ4K(const uint8_t* sb, int r, Converted<R>* out) {
  Q4KScaleBytes bytes;
  DecodeQ4KScales(sb, &bytes);
  const __m512 d = LoadHalves(sb);
  const __m512 dmin = LoadHalves(sb + 32);
  for (int h = 0; h < 2; ++h) {
    __m512 scale[4], min[4];
    __m512 bound = _mm512_setzero_ps();
    TENFOLD_UNROLL
    for (int j = 0; j < 4; ++j) {
      scale[j] = _mm512_mul_ps(BytesToFloats(bytes.scale + 64 * h + 16 * j), d);
      min[j] = _mm512_mul_ps(BytesToFloats(bytes.min + 64 * h + 16 * j), dmin);
      const __m512 top = _mm512_fmsub_ps(scale[j], _mm512_set1_ps(15), min[j]);
      bound = _mm512_max_ps(bound, _mm512_max_ps(_mm512_abs_ps(top), _mm512_abs_ps(min[j])));
    }
    const __m512 inverse = StoreScale(bound, out->scale[h][r]);
    Affine f[4];
    TENFOLD_UNROLL
    for (int j = 0; j < 4; ++j) {
      f[j].a = Twice(_mm512_cvtps_epi32(_mm512_mul_ps(scale[j], inverse)));
      f[j].b = Twice(
          _mm512_sub_epi32(_mm512_set1_epi32(kOffsetAndHalf), _mm512_cvtps_epi32(_mm512_mul_ps(min[j], inverse))));
    }
    const __m512i low4 = _mm512_set1_epi16(15);
    TENFOLD_UNROLL
    for (int g = 0; g < 2; ++g) {
      TENFOLD_UNROLL
      for (int quad = 0; quad < 8; ++quad) {
        const __m512i q = LoadLine(sb + kQ4KQuants + ((2 * h + g) * 8 + quad) * kLine);
        _mm512_store_si512(
            out->w[h][16 * g + quad][r],
            Convert(_mm512_and_si512(q, low4), _mm512_and_si512(_mm512_srli_epi16(q, 8), low4), f[2 * g]));
        _mm512_store_si512(out->w[h][16 * g + 8 + quad][r], Convert(_mm512_and_si512(_mm512_srli_epi16(q, 4), low4),
                                                                    _mm512_srli_epi16(q, 12), f[2 * g + 1]));
      }
    }
  }
}

template <int R, int Q>
TENFOLD_INLINE void ConvertQuarterQ6K(const uint8_t* sb, int h, int r, const Affine* f, Converted<R>* out) {
  TENFOLD_UNROLL
  for (int quad = 0; quad < 8; ++quad) {
    const __m512i q = LoadQ6K<Q>(sb + kQ6KQuants + 3 * kQ6KPlaneBytes * h + quad * kLine);
    constexpr int kShift = Q < 3 ? 0 : 2;  // quarter 3 comes as 4 times its value
    const __m512i even = _mm512_and_si512(_mm512_srli_epi16(q, kShift), _mm512_set1_epi16(63));
    _mm512_store_si512(out->w[h][8 * Q + quad][r], Convert(even, _mm512_srli_epi16(q, 8 + kShift), f[quad / 4]));
  }
}

template <int R>
TENFOLD_INLINE void ConvertQ6K(const uint8_t* sb, const uint8_t* d_halves, int r, Converted<R>* out) {
  const __m512 d = LoadHalves(d_halves);
  for (int h = 0; h < 2; ++h) {
    __m512 scale[8];
    __m512 bound = _mm512_setzero_ps();
    TENFOLD_UNROLL
    for (int j = 0; j < 8; ++j) {
      scale[j] = _mm512_mul_ps(SignedBytesToFloats(sb + 128 * h + 16 * j), d);
      bound = _mm512_max_ps(bound, _mm512_abs_ps(scale[j]));
    }
    const __m512 inverse = StoreScale(_mm512_mul_ps(bound, _mm512_set1_ps(32)), out->scale[h][r]);
    Affine f[8];
    TENFOLD_UNROLL
    for (int j = 0; j < 8; ++j) {
      const __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(scale[j], inverse));
      f[j].a = Twice(a);
      f[j].b = Twice(_mm512_sub_epi32(_mm512_set1_epi32(kOffsetAndHalf), _mm512_slli_epi32(a, 5)));
    }
    ConvertQuarterQ6K<R, 0>(sb, h, r, f, out);
    ConvertQuarterQ6K<R, 1>(sb, h, r, f + 2, out);
    ConvertQuarterQ6K<R, 2>(sb, h, r, f + 4, out);
    ConvertQuarterQ6K<R, 3>(sb, h, r, f + 6, out);
  }
}

// Converted panels times M tokens, added to c [token][R][16].
template <int R, int M>
void AddGroup(const Converted<R>& w, const uint8_t* records, float* c) {
  const uint8_t* next = records + M * kRecordKBytes;  // the next group's records, fetched while this one runs
  for (int h = 0; h < 2; ++h) {
    __m512i acc[M][R];
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      TENFOLD_UNROLL
      for (int r = 0; r < R; ++r) acc[m][r] = BroadcastQuad(records + m * kRecordKBytes + kRecordKOff128 + 4 * h);
    }
#pragma GCC unroll 4
    for (int quad = 0; quad < 32; ++quad) {
      Prefetch(next);
      next += M * kRecordKBytes / 64;
      __m512i line[R];
      TENFOLD_UNROLL
      for (int r = 0; r < R; ++r) line[r] = LoadLine(w.w[h][quad][r]);
      TENFOLD_UNROLL
      for (int m = 0; m < M; ++m) {
        const __m512i x = BroadcastQuad(records + m * kRecordKBytes + kActBlock * h + 4 * quad);
        TENFOLD_UNROLL
        for (int r = 0; r < R; ++r) Dot4(acc[m][r], line[r], x);
      }
    }
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m512 x_scale = BroadcastFloat(records + m * kRecordKBytes + kRecordKScale + 4 * h);
      TENFOLD_UNROLL
      for (int r = 0; r < R; ++r) {
        float* out = c + (m * R + r) * kRows;
        const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[m][r]), _mm512_load_ps(w.scale[h][r]));
        _mm512_store_ps(out, _mm512_fmadd_ps(scaled, x_scale, _mm512_load_ps(out)));
      }
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

template <int R>
void RunQ4K(const TileArgs& a) {
  std::memset(a.c, 0, static_cast<size_t>(a.tokens) * R * kRows * sizeof(float));
  Converted<R> w;
  for (int64_t kb = 0; kb < a.cols / 256; ++kb) {
    for (int r = 0; r < R; ++r) {
      const uint8_t* sb = a.w + static_cast<size_t>(r) * a.panel_bytes + kb * kQ4KBlockBytes;
      for (int line = 0; line < kQ4KBlockBytes / kLine; ++line) Prefetch(sb + kQ4KBlockBytes + line * kLine);
      ConvertQ4K<R>(sb, r, &w);
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

void PanelQ4K(const TileArgs& a) { return a.panels == 2 ? RunQ4K<2>(a) : RunQ4K<1>(a); }
void PanelQ6K(const TileArgs& a) { return a.panels == 2 ? RunQ6K<2>(a) : RunQ6K<1>(a); }

}  // namespace tenfold::kernels::avx512vnni
