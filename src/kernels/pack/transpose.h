// Bytes of several rows put side by side, for the packers: 4 x 4 quads and 16 x 16 bytes, in SSE registers.
//
// SSE is what every machine we run on has, and enough: a shuffle moves 16 bytes, some 128 cycles for the 2304 bytes of
// a Q4_K super-block of 16 rows, several times faster than memory gives them. Written quad by quad, as four-byte stores
// 64 bytes apart, the same took ten times as long and was most of a load from the page cache.
#pragma once

#include <cstdint>

#include "kernels/intrinsics.h"
#include "kernels/pack/layout.h"

namespace tenfold::kernels {

inline __m128i Load16(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline void Store16(__m128i value, uint8_t* p) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), value); }

// v[i] holds 4 quads of row i; quad q of all four goes to `to` + q lines.
inline void StoreQuads(const __m128i* v, uint8_t* to) {
  const __m128i a = _mm_unpacklo_epi32(v[0], v[1]);
  const __m128i b = _mm_unpackhi_epi32(v[0], v[1]);
  const __m128i c = _mm_unpacklo_epi32(v[2], v[3]);
  const __m128i d = _mm_unpackhi_epi32(v[2], v[3]);
  Store16(_mm_unpacklo_epi64(a, c), to);
  Store16(_mm_unpackhi_epi64(a, c), to + layout::kLine);
  Store16(_mm_unpacklo_epi64(b, d), to + 2 * layout::kLine);
  Store16(_mm_unpackhi_epi64(b, d), to + 3 * layout::kLine);
}

// v[i] holds 16 bytes of row i; afterwards v[k] holds byte k of the rows, in their order. Four perfect shuffles.
inline void TransposeBytes(__m128i* v) {
  for (int round = 0; round < 4; ++round) {
    __m128i t[16];
    for (int i = 0; i < 8; ++i) {
      t[2 * i] = _mm_unpacklo_epi8(v[i], v[i + 8]);
      t[2 * i + 1] = _mm_unpackhi_epi8(v[i], v[i + 8]);
    }
    for (int i = 0; i < 16; ++i) v[i] = t[i];
  }
}

// 16 numbers of two bytes, whose low and high bytes these are.
inline void StorePairs(__m128i low, __m128i high, uint8_t* to) {
  Store16(_mm_unpacklo_epi8(low, high), to);
  Store16(_mm_unpackhi_epi8(low, high), to + 16);
}

inline __m128i Bits(__m128i v, int mask) { return _mm_and_si128(v, _mm_set1_epi8(static_cast<char>(mask))); }
// Bits of each byte, moved down or up; what crosses into the neighbour must be masked away.
template <int kShift>
__m128i BitsFrom(__m128i v, int mask) {
  return Bits(_mm_srli_epi16(v, kShift), mask);
}
template <int kShift>
__m128i BitsTo(__m128i v, int mask) {
  return _mm_slli_epi16(Bits(v, mask), kShift);
}

}  // namespace tenfold::kernels
