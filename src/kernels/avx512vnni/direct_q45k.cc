// Q4_K and Q5_K weights, unpacked exactly in registers, times int8 activations.
//
// Per sub-block of 32 columns the products of a row and a token are summed in an int32 lane, turned to float, scaled;
// per 128 columns the activation scale joins. Weights stream once from memory whatever the number of tokens:
// super-block outside, groups of tokens inside; one panel at a time (a second beside it, for fewer broadcasts, was no
// faster on Zen 4, and its two streams read more slowly). Every output sees the same operations in the same order for
// any group size.
#include "kernels/avx512vnni/matmul_avx512vnni.h"

namespace tenfold::kernels::avx512vnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

// Most tokens of a group: as many integer and as many float accumulators. Up to kMaxPair there is room for the integer
// accumulators of two sub-blocks.
constexpr int kMaxGroup = 12;
constexpr int kMaxPair = 8;

// What tells the formats apart. Load<kClass>(sb, j, quad) gives a quad of sub-block j as unsigned bytes, 1 / Unit(j)
// times their value. Sub-blocks come in classes that are loaded alike.
struct Q4K {
  static constexpr int kBytes = kQ4KBlockBytes;
  static constexpr int kUnaskedTokens = 2;                                      // most tokens without prefetches
  static constexpr float Unit(int j) { return j % 2 == 0 ? 1.0f : 1.0f / 16; }  // nibbles are used in place
  // Class 0 are the even sub-blocks, 1 the odd ones.
  template <int kClass>
  TENFOLD_INLINE __m512i Load(const uint8_t* sb, int64_t j, int quad) {
    return Nibbles<kClass>(LoadLine(sb + kQ4KQuants + (j - kClass) * (4 * kLine) + quad * kLine));
  }
  template <int kClass>
  TENFOLD_INLINE __m512i Nibbles(__m512i line) {
    return _mm512_and_si512(_mm512_set1_epi8(static_cast<char>(kClass == 0 ? 0x0F : 0xF0)), line);
  }
};

struct Q5K {
  static constexpr int kBytes = kQ5KBlockBytes;
  static constexpr int kUnaskedTokens = 1;  // with two, 23 GB/s when asked for, 11 to 17 when not
  static constexpr float Unit(int j) { return j < 5 ? 1.0f : 1.0f / 8; }
  template <int kClass>
  TENFOLD_INLINE __m512i Load(const uint8_t* sb, int64_t j, int quad) {
    return LoadQ5K<kClass>(sb + kQ5KQuants + quad * kLine, j);
  }
};

// Scales of 16 rows, times the units of their sub-blocks.
struct alignas(64) Scales {
  float scale[8][16];
  float min[8][16];
};

template <class Format>
TENFOLD_INLINE void Decode(const uint8_t* sb, Scales* out) {
  Q4KScaleBytes bytes;
  DecodeQ4KScales(sb, &bytes);
  const __m512 d = LoadHalves(sb);
  const __m512 dmin = LoadHalves(sb + 32);
  TENFOLD_UNROLL
  for (int j = 0; j < 8; ++j) {
    const __m512 unit = _mm512_mul_ps(d, _mm512_set1_ps(Format::Unit(j)));
    _mm512_store_ps(out->scale[j], _mm512_mul_ps(BytesToFloats(bytes.scale + 16 * j), unit));
    _mm512_store_ps(out->min[j], _mm512_mul_ps(BytesToFloats(bytes.min + 16 * j), dmin));
  }
}

// One super-block and its scales. ahead: where to prefetch, if `ask`.
struct Block {
  const uint8_t* sb = nullptr;
  const uint8_t* ahead = nullptr;
  bool ask = false;
  Scales scales;
};

// Asks for the part of the block ahead that belongs to sub-block j of the work on this one.
template <class Format, int M>
TENFOLD_INLINE void Ask(const Block& b, int64_t j) {
  if (M <= Format::kUnaskedTokens || !b.ask) return;
  TENFOLD_UNROLL
  for (int line = 0; line < (Format::kBytes / 8 + kLine - 1) / kLine; ++line) {
    PrefetchWeights(b.ahead + j * (Format::kBytes / 8) + line * kLine);
  }
}

template <int M>
TENFOLD_INLINE void Clear(__m512i (&dots)[M]) {
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) dots[m] = _mm512_setzero_si512();
}

// Products of sub-block j, scaled and added to sums.
template <int M>
TENFOLD_INLINE void AddScaled(const Block& b, int64_t j, const __m512i (&dots)[M], __m512 (&sums)[1][M]) {
  const __m512 scale = _mm512_load_ps(b.scales.scale[j]);
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) sums[0][m] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[m]), scale, sums[0][m]);
}

// Sub-block j, of class kClass, times M tokens, added to sums.
template <class Format, int kClass, int M>
TENFOLD_INLINE void AddSubBlock(const Block& b, const uint8_t* records, int64_t j, __m512 (&sums)[1][M]) {
  Ask<Format, M>(b, j);
  __m512i dots[M];
  Clear(dots);
  TENFOLD_UNROLL
  for (int quad = 0; quad < 8; ++quad) {
    const __m512i w = Format::template Load<kClass>(b.sb, j, quad);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) Dot4Of(dots[m], w, records + m * kRecordKBytes + 32 * j + 4 * quad);
  }
  AddScaled(b, j, dots, sums);
}

// Sub-blocks j and j + 1 of Q4_K, whose nibbles share their lines: each line is loaded once. The fewer instructions a
// line takes, the further ahead the core sees, and the busier is the memory (18 GB/s became 30 with one token).
template <int M>
TENFOLD_INLINE void AddPair(const Block& b, const uint8_t* records, int64_t j, __m512 (&sums)[1][M]) {
  Ask<Q4K, M>(b, j);
  Ask<Q4K, M>(b, j + 1);
  __m512i even[M], odd[M];
  Clear(even);
  Clear(odd);
  const uint8_t* const lines = b.sb + kQ4KQuants + j * (4 * kLine);
  const uint8_t* const x = records + 32 * j;
  TENFOLD_UNROLL
  for (int quad = 0; quad < 8; ++quad) {
    const __m512i line = LoadLine(lines + quad * kLine);
    const __m512i low = Q4K::Nibbles<0>(line);
    const __m512i high = Q4K::Nibbles<1>(line);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      Dot4Of(even[m], low, x + m * kRecordKBytes + 4 * quad);
      Dot4Of(odd[m], high, x + m * kRecordKBytes + 32 + 4 * quad);
    }
  }
  AddScaled(b, j, even, sums);
  AddScaled(b, j + 1, odd, sums);
}

// All sub-blocks, in order.
template <int M>
TENFOLD_INLINE void AddSubBlocks(Q4K, const Block& b, const uint8_t* records, __m512 (&sums)[1][M]) {
  for (int64_t j = 0; j < 8; j += 2) {
    if (j == 4) ToSecondScale<1, M>(records, sums);
    if constexpr (M <= kMaxPair) {
      AddPair<M>(b, records, j, sums);
    } else {
      AddSubBlock<Q4K, 0, M>(b, records, j, sums);
      AddSubBlock<Q4K, 1, M>(b, records, j + 1, sums);
    }
  }
}
template <int M>
TENFOLD_INLINE void AddSubBlocks(Q5K, const Block& b, const uint8_t* records, __m512 (&sums)[1][M]) {
  for (int64_t j = 0; j < 5; ++j) {
    if (j == 4) ToSecondScale<1, M>(records, sums);
    AddSubBlock<Q5K, 0, M>(b, records, j, sums);
  }
  AddSubBlock<Q5K, 1, M>(b, records, 5, sums);
  AddSubBlock<Q5K, 1, M>(b, records, 6, sums);
  AddSubBlock<Q5K, 2, M>(b, records, 7, sums);
}

// One super-block times M tokens, added to c: [16] of each token, `stride` floats from one to the next.
template <class Format, int M>
void AddBlock(const Block& b, const uint8_t* records, float* c, int64_t stride) {
  __m512 sums[1][M];
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) sums[0][m] = _mm512_setzero_ps();
  AddSubBlocks<M>(Format{}, b, records, sums);
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    const __m512 scale = BroadcastFloat(records + m * kRecordKBytes + kRecordKScale + 4);
    sums[0][m] = _mm512_fmadd_ps(sums[0][m], scale, _mm512_load_ps(c + m * stride));
  }
  TENFOLD_UNROLL
  for (int j = 0; j < 8; ++j) {
    const __m512 min = _mm512_load_ps(b.scales.min[j]);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m512 sum = BroadcastFloat(records + m * kRecordKBytes + kRecordKSum32 + 4 * j);
      sums[0][m] = _mm512_fnmadd_ps(min, sum, sums[0][m]);
    }
  }
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) _mm512_store_ps(c + m * stride, sums[0][m]);
}

// The panel at a.w; a.c as tile rows [a.panels][16], already zero.
template <class Format>
void RunPanel(const TileArgs& a) {
  using Fn = void (*)(const Block&, const uint8_t*, float*, int64_t);
  static constexpr Fn kGroup[kMaxGroup] = {AddBlock<Format, 1>,  AddBlock<Format, 2>,  AddBlock<Format, 3>,
                                           AddBlock<Format, 4>,  AddBlock<Format, 5>,  AddBlock<Format, 6>,
                                           AddBlock<Format, 7>,  AddBlock<Format, 8>,  AddBlock<Format, 9>,
                                           AddBlock<Format, 10>, AddBlock<Format, 11>, AddBlock<Format, 12>};
  const int64_t blocks = a.cols / 256;
  const int64_t stride = a.panels * kRows;
  const Groups groups = SplitTokens(a.tokens, kMaxGroup);
  Block b;
  for (int64_t kb = 0; kb < blocks; ++kb) {
    b.sb = a.w + kb * Format::kBytes;
    b.ahead = b.sb + kStreamAhead;
    Decode<Format>(b.sb, &b.scales);
    const uint8_t* records = a.records + static_cast<size_t>(kb) * a.block_stride;
    float* c = a.c;
    for (int64_t g = 0; g < groups.count; ++g) {
      const int64_t tokens = groups.SizeOf(g);
      b.ask = g == 0;
      kGroup[tokens - 1](b, records, c, stride);
      records += tokens * kRecordKBytes;
      c += tokens * stride;
    }
  }
}

}  // namespace

void DirectQ4K(const TileArgs& a) { OneByOne(a, RunPanel<Q4K>); }
void DirectQ5K(const TileArgs& a) { OneByOne(a, RunPanel<Q5K>); }

}  // namespace tenfold::kernels::avx512vnni
