// Small operations on ymm registers that the AVX2 and AVX-VNNI matrix kernels share. A weight panel of 16 rows is two
// registers of 8 rows there. Included only by files of those two folders; everything is static, so that no wide code is
// emitted under a name that other files could link to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/intrinsics.h"
#include "kernels/matmul_kernels.h"
#include "kernels/pack/layout.h"
#include "kernels/unroll.h"

#define TENFOLD_YMM_INLINE static inline __attribute__((always_inline))

namespace tenfold::kernels::ymm {

TENFOLD_YMM_INLINE __m256i Load(const void* p) { return _mm256_load_si256(static_cast<const __m256i*>(p)); }
TENFOLD_YMM_INLINE void Store(void* p, __m256i x) { _mm256_store_si256(static_cast<__m256i*>(p), x); }

// Four bytes at p in every lane.
TENFOLD_YMM_INLINE __m256i BroadcastQuad(const uint8_t* p) {
  int32_t quad;
  std::memcpy(&quad, p, 4);
  return _mm256_set1_epi32(quad);
}
TENFOLD_YMM_INLINE __m256 BroadcastFloat(const uint8_t* p) {
  float value;
  std::memcpy(&value, p, 4);
  return _mm256_set1_ps(value);
}

// 8 halves, or 8 bytes, to floats.
TENFOLD_YMM_INLINE __m256 LoadHalves(const uint8_t* p) {
  return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(p)));
}
TENFOLD_YMM_INLINE __m256 BytesToFloats(const uint8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
TENFOLD_YMM_INLINE __m256 SignedBytesToFloats(const uint8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}

TENFOLD_YMM_INLINE void PrefetchLines(const uint8_t* p, int bytes) {
  for (int i = 0; i < bytes; i += layout::kLine) __builtin_prefetch(p + i);
}
// Weights that will be read kStreamAhead bytes later, into the second-level cache: into the first, every line would
// wait for memory in one of its few miss buffers (avx512vnni/matmul_avx512vnni.h has the figures).
constexpr int kStreamAhead = 9216;
TENFOLD_YMM_INLINE void PrefetchWeights(const uint8_t* p, int bytes) {
  for (int i = 0; i < bytes; i += layout::kLine) {
    _mm_prefetch(reinterpret_cast<const char*>(p + kStreamAhead + i), _MM_HINT_T1);
  }
}

// Splits `tokens` into the fewest groups of at most `most`, sizes differing by at most one.
struct Groups {
  int64_t count;
  int64_t size;    // of each
  int64_t larger;  // the first so many have one more
  int64_t SizeOf(int64_t group) const { return size + (group < larger ? 1 : 0); }
};
TENFOLD_YMM_INLINE Groups SplitTokens(int64_t tokens, int64_t most) {
  const int64_t count = (tokens + most - 1) / most;
  return {count, tokens / count, tokens % count};
}

}  // namespace tenfold::kernels::ymm
