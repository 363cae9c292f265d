// Super-blocks of Q4_K, Q5_K and Q6_K panels taken apart, for the AVX2 and AVX-VNNI kernels.
//
// With 16 registers there is no room to unpack nibbles beside the accumulators of several tokens, so 256 columns of a
// panel are unpacked into 4 KB of L1 first, exactly, and read from there by every token. One token alone still consumes
// 33 (Q4_K) to 41 (Q6_K) GB/s of packed weights from cache (one Zen 5 core), which is more than a core reads from
// memory. Everything is static; see ymm.h.
#pragma once

#include "kernels/avx2/ymm.h"

namespace tenfold::kernels::ymm {

// 16 rows x 256 columns of unsigned quants, [quad in column order][row][4]: 0..15 for Q4_K, 0..31 for Q5_K, 0..63 for
// Q6_K.
struct alignas(64) Quants {
  uint8_t bytes[64 * layout::kLine];
  const uint8_t* Quad(int quad) const { return bytes + quad * layout::kLine; }
};

TENFOLD_YMM_INLINE void UnpackQ4K(const uint8_t* sb, Quants* out) {
  const __m256i low4 = _mm256_set1_epi8(0x0F);
  const uint8_t* from = sb + layout::kQ4KQuants;
  for (int group = 0; group < 4; ++group) {
    for (int i = 0; i < 8 * layout::kLine; i += 32, from += 32) {
      const __m256i q = Load(from);
      uint8_t* const to = out->bytes + 16 * layout::kLine * group + i;
      Store(to, _mm256_and_si256(q, low4));
      Store(to + 8 * layout::kLine, _mm256_and_si256(_mm256_srli_epi16(q, 4), low4));
    }
  }
}

TENFOLD_YMM_INLINE void UnpackQ5K(const uint8_t* sb, Quants* out) {
  const __m256i low5 = _mm256_set1_epi8(0x1F);
  const auto field = [](__m256i x, int mask) { return _mm256_and_si256(x, _mm256_set1_epi8(static_cast<char>(mask))); };
  for (int i = 0; i < layout::kQ5KPlaneBytes; i += 32) {
    uint8_t* const to = out->bytes + i;
    __m256i plane[5];
    TENFOLD_UNROLL
    for (int p = 0; p < 5; ++p) {
      plane[p] = Load(sb + layout::kQ5KQuants + p * layout::kQ5KPlaneBytes + i);
      Store(to + p * layout::kQ5KPlaneBytes, _mm256_and_si256(plane[p], low5));
    }
    TENFOLD_UNROLL
    for (int s = 0; s < 2; ++s) {
      const __m256i high = field(_mm256_srli_epi16(plane[2 * s], 3), 0x1C);
      const __m256i low = field(_mm256_srli_epi16(plane[2 * s + 1], 6), 0x03);
      Store(to + (5 + s) * layout::kQ5KPlaneBytes, _mm256_or_si256(high, low));
    }
    const __m256i high = field(_mm256_srli_epi16(plane[4], 3), 0x1C);
    const __m256i middle = field(_mm256_srli_epi16(plane[1], 4), 0x02);
    const __m256i low = field(_mm256_srli_epi16(plane[3], 5), 0x01);
    Store(to + 7 * layout::kQ5KPlaneBytes, _mm256_or_si256(_mm256_or_si256(high, middle), low));
  }
}

TENFOLD_YMM_INLINE void UnpackQ6K(const uint8_t* sb, Quants* out) {
  const __m256i low6 = _mm256_set1_epi8(0x3F);
  for (int half = 0; half < 2; ++half) {
    const uint8_t* from = sb + layout::kQ6KQuants + 3 * layout::kQ6KPlaneBytes * half;
    for (int i = 0; i < layout::kQ6KPlaneBytes; i += 32) {
      const __m256i a = Load(from + i);
      const __m256i b = Load(from + layout::kQ6KPlaneBytes + i);
      const __m256i c = Load(from + 2 * layout::kQ6KPlaneBytes + i);
      uint8_t* const to = out->bytes + 4 * layout::kQ6KPlaneBytes * half + i;
      Store(to, _mm256_and_si256(a, low6));
      Store(to + layout::kQ6KPlaneBytes, _mm256_and_si256(b, low6));
      Store(to + 2 * layout::kQ6KPlaneBytes, _mm256_and_si256(c, low6));
      const __m256i high = _mm256_and_si256(_mm256_srli_epi16(a, 2), _mm256_set1_epi8(0x30));
      const __m256i middle = _mm256_and_si256(_mm256_srli_epi16(b, 4), _mm256_set1_epi8(0x0C));
      const __m256i low = _mm256_and_si256(_mm256_srli_epi16(c, 6), _mm256_set1_epi8(0x03));
      Store(to + 3 * layout::kQ6KPlaneBytes, _mm256_or_si256(_mm256_or_si256(high, middle), low));
    }
  }
}

// The 8 scales and mins of 16 rows of a Q4_K super-block as bytes: [j 0..7][row].
struct alignas(64) Q4KScaleBytes {
  uint8_t scale[8][16];
  uint8_t min[8][16];
};
TENFOLD_YMM_INLINE void DecodeQ4KScales(const uint8_t* sb, Q4KScaleBytes* out) {
  const __m256i low4 = _mm256_set1_epi8(0x0F);
  const __m256i upper2 = _mm256_set1_epi8(0x30);
  const auto join = [&](__m256i low, __m256i upper) {
    return _mm256_or_si256(_mm256_and_si256(low, low4), _mm256_and_si256(upper, upper2));
  };
  for (int i = 0; i < 2; ++i) {
    const __m256i scales = Load(sb + layout::kQ4KScales + 32 * i);
    const __m256i mins = Load(sb + layout::kQ4KMins + 32 * i);
    const __m256i high = Load(sb + layout::kQ4KHighBits + 32 * i);
    Store(out->scale[2 * i], join(scales, _mm256_slli_epi16(high, 4)));
    Store(out->scale[4 + 2 * i], join(_mm256_srli_epi16(scales, 4), _mm256_slli_epi16(high, 2)));
    Store(out->min[2 * i], join(mins, high));
    Store(out->min[4 + 2 * i], join(_mm256_srli_epi16(mins, 4), _mm256_srli_epi16(high, 2)));
  }
}

// min[j][row] * dmin[row] as floats.
TENFOLD_YMM_INLINE void DecodeQ4KMins(const uint8_t* sb, const Q4KScaleBytes& bytes, float (*min)[16]) {
  const __m256 dmin[2] = {LoadHalves(sb + 32), LoadHalves(sb + 48)};
  for (int j = 0; j < 8; ++j) {
    for (int r = 0; r < 2; ++r) {
      _mm256_store_ps(min[j] + 8 * r, _mm256_mul_ps(BytesToFloats(bytes.min[j] + 8 * r), dmin[r]));
    }
  }
}

// c (M, 16) -= mins times the records' scaled sums of 32 columns.
template <int M>
TENFOLD_YMM_INLINE void SubtractMins(const float (*min)[16], const uint8_t* records, float* c, int64_t c_stride) {
  __m256 acc[M][2];
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    acc[m][0] = _mm256_load_ps(c + m * c_stride);
    acc[m][1] = _mm256_load_ps(c + m * c_stride + 8);
  }
  TENFOLD_UNROLL
  for (int j = 0; j < 8; ++j) {
    const __m256 min0 = _mm256_load_ps(min[j]);
    const __m256 min1 = _mm256_load_ps(min[j] + 8);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m256 x = BroadcastFloat(records + m * layout::kRecordKBytes + layout::kRecordKSum32 + 4 * j);
      acc[m][0] = _mm256_fnmadd_ps(min0, x, acc[m][0]);
      acc[m][1] = _mm256_fnmadd_ps(min1, x, acc[m][1]);
    }
  }
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    _mm256_store_ps(c + m * c_stride, acc[m][0]);
    _mm256_store_ps(c + m * c_stride + 8, acc[m][1]);
  }
}

// Multiplies the tile: super-blocks outside, so that weights stream once from memory; groups of at most
// Kernel::kMaxGroup tokens inside. Kernel has
//   Block                                          256 columns of a panel, ready to multiply
//   Prepare(panel, kb, cols, &block)               fills it, and prefetches what comes next
//   TokenGroup<M>, Begin<M>(records, &group)       what M records need once for all panels
//   Add<M>(block, records, group, c, c_stride)     adds to c (M, 16), row stride c_stride
template <class Kernel, int M>
static void AddGroup(const typename Kernel::Block* blocks, int panels, const uint8_t* records, float* c) {
  typename Kernel::template TokenGroup<M> group;
  Kernel::template Begin<M>(records, &group);
  for (int p = 0; p < panels; ++p) {
    // The next group's records and results: those of many tokens come from beyond L1.
    constexpr int kAhead = M * layout::kRecordKBytes;
    if (p == 0) PrefetchLines(records + kAhead, kAhead);
    PrefetchLines(reinterpret_cast<const uint8_t*>(c + (panels * M + p * M) * layout::kRows), M * layout::kLine);
    Kernel::template Add<M>(blocks[p], records, group, c + p * layout::kRows, panels * layout::kRows);
  }
}

template <class Kernel>
static void RunK(const TileArgs& a) {
  using Fn = void (*)(const typename Kernel::Block*, int, const uint8_t*, float*);
  constexpr Fn kGroup[6] = {AddGroup<Kernel, 1>, AddGroup<Kernel, 2>, AddGroup<Kernel, 3>,
                            AddGroup<Kernel, 4>, AddGroup<Kernel, 5>, AddGroup<Kernel, 6>};
  static_assert(Kernel::kMaxGroup <= 6);
  std::memset(a.c, 0, static_cast<size_t>(a.tokens * a.panels) * layout::kRows * sizeof(float));
  const Groups groups = SplitTokens(a.tokens, Kernel::kMaxGroup);
  typename Kernel::Block blocks[kTilePanels];
  for (int64_t kb = 0; kb < a.cols / 256; ++kb) {
    for (int p = 0; p < a.panels; ++p) {
      Kernel::Prepare(a.w + static_cast<size_t>(p) * a.panel_bytes, kb, a.cols, &blocks[p]);
    }
    const uint8_t* records = a.records + static_cast<size_t>(kb) * a.block_stride;
    float* c = a.c;
    for (int64_t g = 0; g < groups.count; ++g) {
      const int64_t size = groups.SizeOf(g);
      kGroup[size - 1](blocks, a.panels, records, c);
      records += size * layout::kRecordKBytes;
      c += size * a.panels * layout::kRows;
    }
  }
}

}  // namespace tenfold::kernels::ymm
