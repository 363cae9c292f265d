// 16 floats in a zmm register, as the shared float kernels (attend_tiles.h, float_tiles.h) want them, and exp.
// Everything has internal linkage: files outside this folder must not include it.
#pragma once

#include <cstdint>

#include "kernels/intrinsics.h"

namespace tenfold::kernels {
namespace {

struct Vec {
  using F = __m512;
  static constexpr int kLanes = 16;
  // Shape of attention's register tiles for a tile of `rows` query rows; see attend_tiles.h.
  static constexpr int PagesPerTile(int rows) { return rows > 0 ? 4 : 0; }  // 6 rows x 4 = 24 accumulators of 32
  static constexpr int ColumnsPerTile(int rows) { return rows > 0 ? 4 : 0; }

  static F Zero() { return _mm512_setzero_ps(); }
  static F Set(float x) { return _mm512_set1_ps(x); }
  static F Load(const float* p) { return _mm512_loadu_ps(p); }
  static F Load(const uint16_t* p) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
  // The first n elements, zeros above; reads nothing past them. 0 <= n <= 16.
  static F LoadFirst(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(First(n), p); }
  static F LoadFirst(const uint16_t* p, int64_t n) { return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(First(n), p)); }
  static void Store(float* p, F x) { _mm512_storeu_ps(p, x); }
  static void StoreFirst(float* p, int64_t n, F x) { _mm512_mask_storeu_ps(p, First(n), x); }
  static void StoreHalfFirst(uint16_t* p, int64_t n, F x) {
    _mm256_mask_storeu_epi16(p, First(n), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  // The first n lanes of x, the others of y.
  static F SelectFirst(int64_t n, F x, F y) { return _mm512_mask_blend_ps(First(n), y, x); }
  static F Add(F a, F b) { return _mm512_add_ps(a, b); }
  static F Sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F Mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F Div(F a, F b) { return _mm512_div_ps(a, b); }
  // a / b within a unit in the last place, b and the quotient far from subnormal and infinite. A division of 16 takes
  // 10 cycles of the multiply pipes on Zen 4, this 4.
  static F Quotient(F a, F b) {
    const F r = _mm512_rcp14_ps(b);  // within 2^-14
    const F q = Mul(a, r);
    return MulAdd(_mm512_fnmadd_ps(q, b, a), r, q);
  }
  static F MulAdd(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  // Minimum and maximum that give x when either is a NaN or both are zero.
  static F Min(F bound, F x) { return _mm512_min_ps(bound, x); }
  static F Max(F bound, F x) { return _mm512_max_ps(bound, x); }
  static float SumLanes(F x) { return _mm512_reduce_add_ps(x); }
  static float MaxLane(F x) { return _mm512_reduce_max_ps(x); }
  static F SqrtLanes(F x) { return _mm512_sqrt_ps(x); }
  static float Sqrt(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }
  // x1 x0 x3 x2 ...
  static F SwapPairs(F x) { return _mm512_permute_ps(x, 0xB1); }
  // Even lanes a * b - c, odd lanes a * b + c.
  static F MulAddSub(F a, F b, F c) { return _mm512_fmaddsub_ps(a, b, c); }
  // p0 p0 p1 p1 ... p7 p7.
  static F LoadTwice(const float* p) {
    const __m512i index = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    return _mm512_permutexvar_ps(index, _mm512_castps256_ps512(_mm256_loadu_ps(p)));
  }

  // int32 lanes; DotPairs reads its factors as pairs of int16.
  using I = __m512i;
  static I LoadInt(const int32_t* p) { return _mm512_loadu_si512(p); }
  static I LoadInt(const int16_t* p) { return _mm512_loadu_si512(p); }
  static void StoreInt(int32_t* p, I x) { _mm512_storeu_si512(p, x); }
  static void StoreInt(int16_t* p, I x) { _mm512_storeu_si512(p, x); }
  // The low halves of the lanes of lo, and above them those of hi.
  static I PairUp(I lo, I hi) { return _mm512_mask_blend_epi16(0xAAAAAAAAu, lo, _mm512_slli_epi32(hi, 16)); }
  static I ZeroInt() { return _mm512_setzero_si512(); }
  static I LoadPairs(const int8_t* p) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  // The first n pairs, zeros above; reads nothing past them.
  static I LoadPairsFirst(const int8_t* p, int64_t n) {
    return _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(static_cast<__mmask32>((1u << 2 * n) - 1u), p));
  }
  static I SetPair(const int16_t* p) {
    int pair;
    __builtin_memcpy(&pair, p, sizeof pair);
    return _mm512_set1_epi32(pair);
  }
  // c + a0 b0 + a1 b1. As assembly: GCC 12 copies the sums of a tile around the intrinsic.
  static I DotPairs(I a, I b, I c) {
    asm("vpdpwssd %2, %1, %0" : "+v"(c) : "v"(a), "v"(b));
    return c;
  }
  static F ToFloat(I x) { return _mm512_cvtepi32_ps(x); }
  static I Round(F x) { return _mm512_cvtps_epi32(x); }
  static void StoreInt16(int16_t* p, I x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtsepi32_epi16(x));
  }

  // e^x, relative error at most 1.2e-7; 0 below -87.33 (where a float would be subnormal) and e^88.37 above that.
  // x = n ln 2 + r, |r| <= ln 2 / 2; e^r by a degree-6 polynomial, error 2e-9, fitted for least relative error.
  static F Exp(F x) {
    const __mmask16 tiny = _mm512_cmp_ps_mask(x, Set(-87.33f), _CMP_LT_OQ);
    x = Min(Set(88.37f), x);
    const F n = _mm512_roundscale_ps(Mul(x, Set(0x1.715476p+0f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    F r = _mm512_fnmadd_ps(n, Set(0x1.62e4p-1f), x);  // ln 2 in two parts; the first times n is exact
    r = _mm512_fnmadd_ps(n, Set(0x1.7f7d1cp-20f), r);
    F p = Set(0x1.6ae6e0p-10f);
    p = MulAdd(p, r, Set(0x1.1267d8p-7f));
    p = MulAdd(p, r, Set(0x1.555824p-5f));
    p = MulAdd(p, r, Set(0x1.555418p-3f));
    p = MulAdd(p, r, Set(0x1.fffffcp-2f));
    p = MulAdd(p, r, Set(1.0f));
    p = MulAdd(p, r, Set(1.0f));
    p = _mm512_scalef_ps(p, n);
    return _mm512_mask_blend_ps(tiny, p, Zero());
  }

  // 2^x for x <= 1, relative error at most 2.7e-6; 0 below -126. 2^n 2^r, |r| <= 1/2, 2^r by a degree-4 polynomial
  // fitted for least relative error.
  static F Exp2(F x) {
    const F n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const F r = Sub(x, n);
    F p = Set(0x1.3997d6p-7f);
    p = MulAdd(p, r, Set(0x1.ca1442p-5f));
    p = MulAdd(p, r, Set(0x1.ec06dap-3f));
    p = MulAdd(p, r, Set(0x1.62e0dcp-1f));
    p = MulAdd(p, r, Set(0x1.ffffe8p-1f));
    return _mm512_scalef_ps(p, n);
  }

 private:
  static __mmask16 First(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
};

}  // namespace
}  // namespace tenfold::kernels
