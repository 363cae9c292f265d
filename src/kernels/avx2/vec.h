// 8 floats in a ymm register, as the shared float kernels (attend_tiles.h, float_tiles.h) want them, and exp.
// Everything has internal linkage: only files compiled with AVX2, FMA and F16C may include it.
#pragma once

#include <cstdint>

#include "kernels/intrinsics.h"

namespace tenfold::kernels {
namespace {

struct Vec {
  using F = __m256;
  static constexpr int kLanes = 8;
  // Shape of attention's register tiles for a tile of `rows` query rows; see attend_tiles.h. A page is two registers:
  // 6 rows x 2 = 12 accumulators of 16; few rows take several pages so that 8 multiply-adds are always in flight.
  static constexpr int PagesPerTile(int rows) { return rows == 1 ? 4 : rows == 2 ? 2 : 1; }
  static constexpr int ColumnsPerTile(int rows) { return rows <= 2 ? 4 : 2; }

  static F Zero() { return _mm256_setzero_ps(); }
  static F Set(float x) { return _mm256_set1_ps(x); }
  static F Load(const float* p) { return _mm256_loadu_ps(p); }
  static F Load(const uint16_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
  // The first n elements, zeros above; reads nothing past them. 0 <= n <= 8.
  static F LoadFirst(const float* p, int64_t n) { return _mm256_maskload_ps(p, First(n)); }
  // n is 8: rows of halves are multiples of 8 long.
  static F LoadFirst(const uint16_t* p, int64_t) { return Load(p); }
  static void Store(float* p, F x) { _mm256_storeu_ps(p, x); }
  static void StoreFirst(float* p, int64_t n, F x) { _mm256_maskstore_ps(p, First(n), x); }
  static void StoreHalfFirst(uint16_t* p, int64_t, F x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  // The first n lanes of x, the others of y.
  static F SelectFirst(int64_t n, F x, F y) { return _mm256_blendv_ps(y, x, _mm256_castsi256_ps(First(n))); }
  static F Add(F a, F b) { return _mm256_add_ps(a, b); }
  static F Sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F Mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F Div(F a, F b) { return _mm256_div_ps(a, b); }
  static F Quotient(F a, F b) { return Div(a, b); }
  static F MulAdd(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  // Minimum and maximum that give x when either is a NaN or both are zero.
  static F Min(F bound, F x) { return _mm256_min_ps(bound, x); }
  static F Max(F bound, F x) { return _mm256_max_ps(bound, x); }
  static float SumLanes(F x) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
  static float MaxLane(F x) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
  }
  static F SqrtLanes(F x) { return _mm256_sqrt_ps(x); }
  static float Sqrt(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }
  // x1 x0 x3 x2 ...
  static F SwapPairs(F x) { return _mm256_permute_ps(x, 0xB1); }
  // Even lanes a * b - c, odd lanes a * b + c.
  static F MulAddSub(F a, F b, F c) { return _mm256_fmaddsub_ps(a, b, c); }
  // p0 p0 p1 p1 p2 p2 p3 p3.
  static F LoadTwice(const float* p) {
    const __m128 x = _mm_loadu_ps(p);
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_unpacklo_ps(x, x)), _mm_unpackhi_ps(x, x), 1);
  }

  // int32 lanes; DotPairs reads its factors as pairs of int16.
  using I = __m256i;
  static I LoadInt(const int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static I LoadInt(const int16_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static void StoreInt(int32_t* p, I x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x); }
  static void StoreInt(int16_t* p, I x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x); }
  // The low halves of the lanes of lo, and above them those of hi.
  static I PairUp(I lo, I hi) { return _mm256_blend_epi16(lo, _mm256_slli_epi32(hi, 16), 0xAA); }
  static I ZeroInt() { return _mm256_setzero_si256(); }
  static I LoadPairs(const int8_t* p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  // n is 8: rows are multiples of 8 long.
  static I LoadPairsFirst(const int8_t* p, int64_t) { return LoadPairs(p); }
  static I SetPair(const int16_t* p) {
    int pair;
    __builtin_memcpy(&pair, p, sizeof pair);
    return _mm256_set1_epi32(pair);
  }
  // c + a0 b0 + a1 b1.
  static I DotPairs(I a, I b, I c) { return _mm256_add_epi32(c, _mm256_madd_epi16(a, b)); }
  static F ToFloat(I x) { return _mm256_cvtepi32_ps(x); }
  static I Round(F x) { return _mm256_cvtps_epi32(x); }
  static void StoreInt16(int16_t* p, I x) {
    const __m128i y = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), y);
  }

  // e^x, relative error at most 1.2e-7; 0 below -87.33 (where a float would be subnormal) and e^88.37 above that.
  // x = n ln 2 + r, |r| <= ln 2 / 2; e^r by a degree-6 polynomial, error 2e-9, fitted for least relative error.
  static F Exp(F x) {
    const F tiny = _mm256_cmp_ps(x, Set(-87.33f), _CMP_LT_OQ);
    x = Min(Set(88.37f), x);
    const F n = _mm256_round_ps(Mul(x, Set(0x1.715476p+0f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    F r = _mm256_fnmadd_ps(n, Set(0x1.62e4p-1f), x);  // ln 2 in two parts; the first times n is exact
    r = _mm256_fnmadd_ps(n, Set(0x1.7f7d1cp-20f), r);
    F p = Set(0x1.6ae6e0p-10f);
    p = MulAdd(p, r, Set(0x1.1267d8p-7f));
    p = MulAdd(p, r, Set(0x1.555824p-5f));
    p = MulAdd(p, r, Set(0x1.555418p-3f));
    p = MulAdd(p, r, Set(0x1.fffffcp-2f));
    p = MulAdd(p, r, Set(1.0f));
    p = MulAdd(p, r, Set(1.0f));
    // -126 <= n <= 127 wherever the result is used: adding n to the exponent field multiplies by 2^n.
    const __m256i power = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_andnot_ps(tiny, _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), power)));
  }

  // 2^x for x <= 1, relative error at most 2.7e-6; some 2^-126 below that. 2^n 2^r, |r| <= 1/2, 2^r by a degree-4
  // polynomial fitted for least relative error.
  static F Exp2(F x) {
    x = Max(Set(-126.0f), x);
    const F n = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const F r = Sub(x, n);
    F p = Set(0x1.3997d6p-7f);
    p = MulAdd(p, r, Set(0x1.ca1442p-5f));
    p = MulAdd(p, r, Set(0x1.ec06dap-3f));
    p = MulAdd(p, r, Set(0x1.62e0dcp-1f));
    p = MulAdd(p, r, Set(0x1.ffffe8p-1f));
    const __m256i power = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), power));
  }

 private:
  static __m256i First(int64_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
  }
};

}  // namespace
}  // namespace tenfold::kernels
