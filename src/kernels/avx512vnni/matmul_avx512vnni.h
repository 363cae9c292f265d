// The matrix kernels of this folder and the few operations they share. Included only by files of this folder;
// everything here is static, so that no wide code is emitted under a name that other files could link to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/intrinsics.h"
#include "kernels/matmul_kernels.h"
#include "kernels/pack/layout.h"
#include "kernels/unroll.h"

namespace tenfold::kernels::avx512vnni {

// Contracts: TileFn and QuantizeFn in kernels/matmul_kernels.h.
void DirectF32(const TileArgs& args);
void DirectF16(const TileArgs& args);
void DirectBF16(const TileArgs& args);
void DirectQ8_0(const TileArgs& args);
void DirectQ4_0(const TileArgs& args);
void DirectQ4_1(const TileArgs& args);
void DirectInt8By32(const TileArgs& args);
void DirectInt8By32Offset(const TileArgs& args);
void DirectInt8By16(const TileArgs& args);
void DirectInt8By16Offset(const TileArgs& args);
void DirectQ4K(const TileArgs& args);
void DirectQ5K(const TileArgs& args);
void DirectQ6K(const TileArgs& args);
void PanelQ4K(const TileArgs& args);
void PanelQ5K(const TileArgs& args);
void PanelQ6K(const TileArgs& args);
void QuantizeFloat(const float* x, int64_t cols, uint8_t* records, size_t block_stride);
void Quantize8(const float* x, int64_t cols, uint8_t* records, size_t block_stride);
void QuantizeK(const float* x, int64_t cols, uint8_t* records, size_t block_stride);

#define TENFOLD_INLINE static inline __attribute__((always_inline))

// acc[lane] += sum over 4 of u8[lane][i] * s8[lane][i]. In assembly because GCC 12 copies the accumulator around the
// intrinsic and then spills a tile of 24 of them.
TENFOLD_INLINE void Dot4(__m512i& acc, __m512i u8, __m512i s8) {
  asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u8), "v"(s8));
}

// The same with the four bytes at s8 in every lane: one instruction where a broadcast would serve one product only.
TENFOLD_INLINE void Dot4Of(__m512i& acc, __m512i u8, const uint8_t* s8) {
  using Quad = const uint8_t[4];
  asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(u8), "m"(*reinterpret_cast<Quad*>(s8)));
}

TENFOLD_INLINE __m512i LoadLine(const uint8_t* p) { return _mm512_load_si512(p); }

// Four bytes at p in every lane.
TENFOLD_INLINE __m512i BroadcastQuad(const uint8_t* p) {
  int32_t quad;
  std::memcpy(&quad, p, 4);
  return _mm512_set1_epi32(quad);
}
TENFOLD_INLINE __m512 BroadcastFloat(const uint8_t* p) {
  float value;
  std::memcpy(&value, p, 4);
  return _mm512_set1_ps(value);
}

// 16 halves to floats.
TENFOLD_INLINE __m512 LoadHalves(const uint8_t* p) {
  return _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(p)));
}

// Bit by bit: mask ? a : b.
TENFOLD_INLINE __m512i Select(__m512i mask, __m512i a, __m512i b) {
  return _mm512_ternarylogic_epi32(mask, a, b, 0xCA);
}

TENFOLD_INLINE void Prefetch(const uint8_t* p) { _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0); }

// How direct kernels stream weights. One or two tokens: one panel after the other, a single stream of rising addresses,
// and (K-quants, floats) no prefetch: the hardware's prefetcher reads such a stream at the full speed of a core as long
// as the core sees far enough ahead, and software prefetches beside it only take its buffers. More tokens: there is too
// little reading in flight while products are computed for that, so lines are asked for kStreamAhead bytes early, into
// the second-level cache. (Into the first: each line waits for memory in one of its 24 miss buffers, and a core gets no
// more than 24 lines a latency.)
// Zen 4, GB/s of one core on a busy machine (a bare reader: 30), gemm_q4k, 1 / 2 / 4 / 8 tokens:
//   pairs of panels, first level, 4.6 KB ahead    18 / 19 / 18 / 11
//   pairs of panels, second level, 9 KB ahead     22 / 28 / 21 / 11.5
//   pairs of panels, no prefetch                  20 / 19 / 15 / 9
//   one panel, second level, 9 KB ahead           25 / 27 / 20 / 11
//   one panel, no prefetch                        31 / 30 / 19 / 9
constexpr int64_t kStreamTokens = 2;    // most tokens that read without prefetching
constexpr int64_t kStreamAhead = 9216;  // beyond it nothing changes up to 18 KB; below 6 KB it is slower
TENFOLD_INLINE void PrefetchWeights(const uint8_t* p) { _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T1); }

TENFOLD_INLINE void ClearTile(const TileArgs& a) {
  std::memset(a.c, 0, static_cast<size_t>(a.tokens * a.panels) * layout::kRows * sizeof(float));
}

// Zeroes c, then run(part) for the panels of a tile one by one. part.c: the panel's 16 rows of token 0; those of the
// next token are part.panels * 16 floats on.
template <class RunFn>
TENFOLD_INLINE void OneByOne(const TileArgs& a, const RunFn& run) {
  ClearTile(a);
  for (int p = 0; p < a.panels; ++p) {
    TileArgs part = a;
    part.w += static_cast<size_t>(p) * a.panel_bytes;
    part.c += p * layout::kRows;
    run(part);
  }
}

// The 8 scales and mins of 16 rows of a Q4_K super-block as bytes: [j 0..7][row].
struct alignas(64) Q4KScaleBytes {
  uint8_t scale[128];
  uint8_t min[128];
};
TENFOLD_INLINE void DecodeQ4KScales(const uint8_t* sb, Q4KScaleBytes* out) {
  const __m512i low4 = _mm512_set1_epi8(0x0F);
  const __m512i low6 = _mm512_set1_epi8(0x3F);
  const __m512i scales = LoadLine(sb + layout::kQ4KScales);
  const __m512i mins = LoadLine(sb + layout::kQ4KMins);
  const __m512i high = LoadLine(sb + layout::kQ4KHighBits);
  const auto join = [&](__m512i low, __m512i upper) { return _mm512_and_si512(low6, Select(low4, low, upper)); };
  _mm512_store_si512(out->scale, join(scales, _mm512_slli_epi32(high, 4)));
  _mm512_store_si512(out->scale + 64, join(_mm512_srli_epi32(scales, 4), _mm512_slli_epi32(high, 2)));
  _mm512_store_si512(out->min, join(mins, high));
  _mm512_store_si512(out->min + 64, join(_mm512_srli_epi32(mins, 4), _mm512_srli_epi32(high, 2)));
}
TENFOLD_INLINE __m512 BytesToFloats(const uint8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(p))));
}
TENFOLD_INLINE __m512 SignedBytesToFloats(const uint8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(p))));
}

// A quad of 16 rows of quarter Q of a Q6_K half. planes: the quad's line in plane 0. Quarter 3 as 4 times its value.
template <int Q>
TENFOLD_INLINE __m512i LoadQ6K(const uint8_t* planes) {
  if constexpr (Q < 3) {
    return _mm512_and_si512(_mm512_set1_epi8(0x3F), LoadLine(planes + Q * layout::kQ6KPlaneBytes));
  } else {
    const __m512i middle = _mm512_srli_epi32(LoadLine(planes + layout::kQ6KPlaneBytes), 2);
    const __m512i low = _mm512_srli_epi32(LoadLine(planes + 2 * layout::kQ6KPlaneBytes), 4);
    const __m512i upper = Select(_mm512_set1_epi8(static_cast<char>(0xC0)), LoadLine(planes), middle);
    return _mm512_and_si512(_mm512_set1_epi8(static_cast<char>(0xFC)),
                            Select(_mm512_set1_epi8(static_cast<char>(0xF0)), upper, low));
  }
}

// A quad of 16 rows of sub-block j of a Q5_K super-block. planes: the quad's line in plane 0. Class 0: sub-blocks 0-4,
// whole in plane j; 1: sub-blocks 5 and 6, in the top bits of two planes; 2: sub-block 7, of three. Classes 1 and 2 as
// 8 times their value.
template <int kClass>
TENFOLD_INLINE __m512i LoadQ5K(const uint8_t* planes, int j) {
  constexpr int kPlane = layout::kQ5KPlaneBytes;
  if constexpr (kClass == 0) {
    return _mm512_and_si512(_mm512_set1_epi8(0x1F), LoadLine(planes + j * kPlane));
  } else {
    const __m512i top3 = _mm512_set1_epi8(static_cast<char>(0xE0));
    const __m512i top5 = _mm512_set1_epi8(static_cast<char>(0xF8));
    if constexpr (kClass == 1) {
      const uint8_t* const first = planes + (j == 5 ? 0 : 2 * kPlane);
      const __m512i low = _mm512_srli_epi32(LoadLine(first + kPlane), 3);
      return _mm512_and_si512(top5, Select(top3, LoadLine(first), low));
    } else {
      const __m512i middle = _mm512_srli_epi32(LoadLine(planes + kPlane), 1);
      const __m512i low = _mm512_srli_epi32(LoadLine(planes + 3 * kPlane), 2);
      const __m512i both = Select(_mm512_set1_epi8(0x10), middle, low);
      return _mm512_and_si512(top5, Select(top3, LoadLine(planes + 4 * kPlane), both));
    }
  }
}

// Sums over the first half of M records, brought to the scale of the second half.
template <int R, int M>
TENFOLD_INLINE void ToSecondScale(const uint8_t* records, __m512 (&sums)[R][M]) {
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    const __m512 ratio = BroadcastFloat(records + m * layout::kRecordKBytes + layout::kRecordKRatio);
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) sums[r][m] = _mm512_mul_ps(sums[r][m], ratio);
  }
}

// Splits `tokens` into the fewest groups of at most `most`, sizes differing by at most one, so that no group is a
// leftover that runs at a fraction of the speed.
struct Groups {
  int64_t count;
  int64_t size;    // of each
  int64_t larger;  // the first so many have one more
  int64_t SizeOf(int64_t group) const { return size + (group < larger ? 1 : 0); }
};
TENFOLD_INLINE Groups SplitTokens(int64_t tokens, int64_t most) {
  const int64_t count = (tokens + most - 1) / most;
  return {count, tokens / count, tokens % count};
}

}  // namespace tenfold::kernels::avx512vnni
