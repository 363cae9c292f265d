// K-quant weights to int8, and the first tokens' products with them: what the panel kernels of all formats share.
// Included only by the panel files of this folder.
//
// A super-block keeps one scale per row and half of its columns. Its bytes are w + 128 = (a * q + b) >> 8, in 8.8 fixed
// point, with a and b of each sub-block and row; mins and offsets are folded in.
//
// A line is converted in registers and multiplied at once with the tokens of the first group; only where more tokens
// follow is it stored for them. Converting needs the multipliers for two operations of about nine, so most of it runs
// beside the products, on ports that those leave idle (Zen 4: products on two of four); as a block of its own it took
// twice as long and, with few tokens, waited for memory.
#pragma once

#include "kernels/avx512vnni/matmul_avx512vnni.h"

namespace tenfold::kernels::avx512vnni {

#define TENFOLD_INLINE_MEMBER inline __attribute__((always_inline))

// Tokens of the first group where nothing is stored: 16 accumulators leave room to convert.
inline constexpr int kMaxFirst = 16;
// Tokens of the first group otherwise.
inline constexpr int kFirstOfMany = 12;

// R panels x 256 columns as int8: w[quad][panel][row][4]. A value in half h of the columns is scale[h] * (w - 128).
template <int R>
struct alignas(64) Converted {
  uint8_t w[64][R][layout::kLine];
  float scale[2][R][layout::kRows];
};

// Adds converted panels times `tokens` tokens to c [token][R][16]. In panel_rest.cc.
void AddConverted1(const Converted<1>& w, const uint8_t* records, int64_t tokens, float* c);
void AddConverted2(const Converted<2>& w, const uint8_t* records, int64_t tokens, float* c);

// Factors of 16 rows for one sub-block, each twice in its lane.
struct Affine {
  __m512i a, b;
};
TENFOLD_INLINE __m512i Twice(__m512i x) { return _mm512_mask_blend_epi16(0xAAAAAAAAu, x, _mm512_slli_epi32(x, 16)); }
// 128.5 in 8.8: the offset of unsigned bytes, and a half to round.
inline constexpr int kOffsetAndHalf = 128 * 256 + 128;

// q_even, q_odd: quants of the even and odd bytes of a quad, in 16-bit lanes. A blend, because operations on three
// registers borrow a port of the multipliers (Zen 4).
TENFOLD_INLINE __m512i Convert(__m512i q_even, __m512i q_odd, Affine f) {
  const __m512i even = _mm512_add_epi16(_mm512_mullo_epi16(q_even, f.a), f.b);
  const __m512i odd = _mm512_add_epi16(_mm512_mullo_epi16(q_odd, f.a), f.b);
  return _mm512_mask_blend_epi8(0xAAAAAAAAAAAAAAAAull, _mm512_srli_epi16(even, 8), odd);
}

// The scales of a super-block as floats, from the largest magnitude of each row in each half: `scale` in the second
// half, `ratio` times as much in the first. The ratio is at most 16, so that sums over both halves fit 32 bits:
// 128 * 127 * 128 * 16 * (the records' own ratio, at most 32) < 2^31.
struct Scaling {
  __m512 scale, ratio;
  __m512 inverse[2];  // 256 / scale of each half, 0 where all is zero

  TENFOLD_INLINE_MEMBER void Set(__m512 first, __m512 second) {
    second = _mm512_max_ps(second, _mm512_mul_ps(first, _mm512_set1_ps(1.0f / 16)));
    const auto invert = [](__m512 bound) {
      const __mmask16 nonzero = _mm512_cmp_ps_mask(bound, _mm512_set1_ps(1e-30f), _CMP_GT_OQ);
      return _mm512_maskz_div_ps(nonzero, _mm512_set1_ps(127.0f * 256), bound);
    };
    inverse[0] = invert(first);
    inverse[1] = invert(second);
    ratio = _mm512_mul_ps(_mm512_mul_ps(first, inverse[1]), _mm512_set1_ps(1.0f / (127 * 256)));
    scale = _mm512_mul_ps(second, _mm512_set1_ps(1.0f / 127));
  }
};

// The scales and mins of a Q4_K or Q5_K super-block with quants of at most kMost. Decoded in four parts, which are
// spread over the products with the super-block before: from a block's scales to its first factors it is too far for
// the machine to look past.
inline constexpr int kScalePieces = 12;
template <int kMost>
struct AffineScales {
  Q4KScaleBytes bytes;
  Scaling scaling;
  __m512 largest[2];            // magnitudes, of each half
  __m512 a_unit[2], b_unit[2];  // factors of a scale of 1 and a min of 1, of each half

  template <int kPart>
  TENFOLD_INLINE_MEMBER void Decode(const uint8_t* sb, const uint8_t*) {
    if constexpr (kPart == 0) return DecodeQ4KScales(sb, &bytes);
    const __m512 d = LoadHalves(sb);
    const __m512 dmin = LoadHalves(sb + 32);
    if constexpr (kPart < 3) {
      const __m512 most = _mm512_mul_ps(d, _mm512_set1_ps(kMost));
      __m512 bound = _mm512_setzero_ps();
      TENFOLD_UNROLL
      for (int j = 4 * kPart - 4; j < 4 * kPart; ++j) {
        const __m512 min = _mm512_mul_ps(BytesToFloats(bytes.min + 16 * j), dmin);
        const __m512 top = _mm512_fmsub_ps(BytesToFloats(bytes.scale + 16 * j), most, min);
        bound = _mm512_max_ps(bound, _mm512_max_ps(_mm512_abs_ps(top), _mm512_abs_ps(min)));
      }
      largest[kPart - 1] = bound;
    } else {
      scaling.Set(largest[0], largest[1]);
      TENFOLD_UNROLL
      for (int h = 0; h < 2; ++h) {
        a_unit[h] = _mm512_mul_ps(d, scaling.inverse[h]);
        b_unit[h] = _mm512_mul_ps(dmin, scaling.inverse[h]);
      }
    }
  }
  // The same in kScalePieces parts of some ten operations, for panel_ahead.h.
  __m512 d, dmin;
  template <int kPiece>
  TENFOLD_INLINE_MEMBER void DecodePiece(const uint8_t* sb) {
    if constexpr (kPiece == 0) {
      DecodeQ4KScales(sb, &bytes);
    } else if constexpr (kPiece == 1) {
      d = LoadHalves(sb);
      dmin = LoadHalves(sb + 32);
    } else if constexpr (kPiece < 10) {
      constexpr int kSub = kPiece - 2;
      const __m512 min = _mm512_mul_ps(BytesToFloats(bytes.min + 16 * kSub), dmin);
      const __m512 most = _mm512_mul_ps(d, _mm512_set1_ps(kMost));
      const __m512 top = _mm512_fmsub_ps(BytesToFloats(bytes.scale + 16 * kSub), most, min);
      const __m512 bound = _mm512_max_ps(_mm512_abs_ps(top), _mm512_abs_ps(min));
      largest[kSub / 4] = kSub % 4 == 0 ? bound : _mm512_max_ps(largest[kSub / 4], bound);
    } else if constexpr (kPiece == 10) {
      scaling.Set(largest[0], largest[1]);
    } else {
      TENFOLD_UNROLL
      for (int h = 0; h < 2; ++h) {
        a_unit[h] = _mm512_mul_ps(d, scaling.inverse[h]);
        b_unit[h] = _mm512_mul_ps(dmin, scaling.inverse[h]);
      }
    }
  }
  TENFOLD_INLINE_MEMBER Affine Of(int j) const {
    const __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(BytesToFloats(bytes.scale + 16 * j), a_unit[j / 4]));
    const __m512i b = _mm512_cvtps_epi32(_mm512_mul_ps(BytesToFloats(bytes.min + 16 * j), b_unit[j / 4]));
    return {Twice(a), Twice(_mm512_sub_epi32(_mm512_set1_epi32(kOffsetAndHalf), b))};
  }
};

// acc[lane] += sum over 4 of u8[lane][i] * x[i].
TENFOLD_INLINE void DotQuad(__m512i& acc, __m512i u8, const uint8_t* x) {
  using Quad = int32_t __attribute__((may_alias, aligned(4)));
  asm volatile("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(u8), "m"(*reinterpret_cast<const Quad*>(x)));
}
// As Prefetch, in its place among the products: GCC gathers the others at the front of a block, more of them than the
// core can have under way.
TENFOLD_INLINE void PrefetchHere(const uint8_t* p) { asm volatile("prefetcht0 %0" : : "m"(*p)); }

// The products of one super-block of one panel with M tokens, and where its lines go if others need them as well.
template <int M, bool kStore>
struct First {
  __m512i acc[M];
  const uint8_t* records;
  uint8_t* out;          // line 0 of the converted super-block
  int64_t out_stride;    // bytes from one line to the next
  const uint8_t* ahead;  // weights to ask for, from here on
  __m512 ratio;          // of the weights

  TENFOLD_INLINE_MEMBER void Start() {
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) acc[m] = BroadcastQuad(records + m * layout::kRecordKBytes + layout::kRecordKOff128);
  }
  TENFOLD_INLINE_MEMBER void Add(__m512i line, int quad) {
    if constexpr (kStore) _mm512_store_si512(out + quad * out_stride, line);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) DotQuad(acc[m], line, records + 4 * quad + m * layout::kRecordKBytes);
  }
  // Between the halves: to the second half's scales, as integers.
  TENFOLD_INLINE_MEMBER void Half() {
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const uint8_t* record = records + m * layout::kRecordKBytes;
      const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[m]), ratio);
      const __m512 both = _mm512_mul_ps(scaled, BroadcastFloat(record + layout::kRecordKRatio));
      acc[m] = _mm512_add_epi32(_mm512_cvtps_epi32(both), BroadcastQuad(record + layout::kRecordKOff128 + 4));
    }
  }
  // c: of the first token; tokens are `stride` floats apart.
  TENFOLD_INLINE_MEMBER void Finish(__m512 scale, float* c, int64_t stride) {
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m512 x_scale = BroadcastFloat(records + m * layout::kRecordKBytes + layout::kRecordKScale + 4);
      const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[m]), scale);
      float* sums = c + m * stride;
      _mm512_store_ps(sums, _mm512_fmadd_ps(scaled, x_scale, _mm512_load_ps(sums)));
    }
  }
};

// Where a super-block lies: its quants and the halves of its d (Q6_K).
struct BlockPlace {
  const uint8_t* sb;
  const uint8_t* d;
};

// The first M tokens' products with every super-block of `a`, and AddConverted of all others.
template <class Format, int M, bool kStore>
void RunFirst(const TileArgs& a) {
  const int64_t blocks = a.cols / 256;
  const int64_t stride = a.panels * layout::kRows;
  const auto place = [&](int64_t kb, int r) {
    const uint8_t* panel = a.w + static_cast<size_t>(r) * a.panel_bytes;
    return BlockPlace{panel + Format::HeaderBytes(blocks) + kb * Format::kBytes, panel + 32 * kb};
  };
  alignas(64) typename Format::Scales scales[2];
  Format::DecodeAll(place(0, 0), &scales[0]);
  Converted<1> one;
  Converted<2> two;
  // Panel by panel where nothing is stored: one stream of weights.
  const int64_t outer = kStore ? blocks : a.panels;
  const int64_t inner = kStore ? a.panels : blocks;
  typename Format::State state;  // what the walk over one super-block prepares for the next
  Format::Begin(scales[0], &state);
  int now = 0;
  for (int64_t i = 0; i < outer; ++i) {
    for (int64_t j = 0; j < inner; ++j, now ^= 1) {
      const int64_t kb = kStore ? i : j;
      const auto r = static_cast<int>(kStore ? j : i);
      // After the last super-block, the same once more.
      const int64_t n = i * inner + j + 1 < outer * inner ? i * inner + j + 1 : i * inner + j;
      const BlockPlace here = place(kb, r);
      const BlockPlace next = place(kStore ? n / inner : n % inner, static_cast<int>(kStore ? n % inner : n / inner));
      First<M, kStore> first;
      first.records = a.records + static_cast<size_t>(kb) * a.block_stride;
      first.ahead = here.sb + 2 * Format::kBytes;
      // Past the end of this panel comes the other panel of the tile, so the next tile is what will be read.
      if (kStore && kb + 2 >= blocks) first.ahead += (a.panels - 1) * a.panel_bytes;
      first.ratio = scales[now].scaling.ratio;
      if constexpr (kStore) {
        first.out = a.panels == 2 ? two.w[0][r] : one.w[0][0];
        first.out_stride = a.panels * layout::kLine;
        const Scaling& scaling = scales[now].scaling;
        _mm512_store_ps(a.panels == 2 ? two.scale[0][r] : one.scale[0][0], _mm512_mul_ps(scaling.scale, scaling.ratio));
        _mm512_store_ps(a.panels == 2 ? two.scale[1][r] : one.scale[1][0], scaling.scale);
      }
      first.Start();
      Format::Walk(here.sb, scales[now], next, &scales[now ^ 1], &state, first);
      first.Finish(scales[now].scaling.scale, a.c + r * layout::kRows, stride);
      if constexpr (kStore) {
        if (r + 1 < a.panels) continue;
        const uint8_t* records = first.records + M * layout::kRecordKBytes;
        float* c = a.c + M * stride;
        a.panels == 2 ? AddConverted2(two, records, a.tokens - M, c) : AddConverted1(one, records, a.tokens - M, c);
      }
    }
  }
}

// A panel kernel of `Format` for any number of tokens. Beyond kMaxFirst the first group is a full one: converting is
// shared by as many products as may be, and the rest splits evenly.
template <class Format, int M>
void RunOneGroup(const TileArgs& a) {
  if (a.tokens == M) return RunFirst<Format, M, false>(a);
  if constexpr (M > 1) RunOneGroup<Format, M - 1>(a);
}
template <class Format>
void RunPanel(const TileArgs& a) {
  std::memset(a.c, 0, static_cast<size_t>(a.tokens * a.panels * layout::kRows) * sizeof(float));
  a.tokens <= kMaxFirst ? RunOneGroup<Format, kMaxFirst>(a) : RunFirst<Format, kFirstOfMany, true>(a);
}

}  // namespace tenfold::kernels::avx512vnni
