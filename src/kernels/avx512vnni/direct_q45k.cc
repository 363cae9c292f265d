// Q4_K and Q5_K weights, unpacked exactly in registers, times int8 activations.
//
// Per sub-block of 32 columns the products of a row and a token are summed in an int32 lane, turned to float, scaled;
// per 128 columns the activation scale joins. Weights stream once from memory whatever the number of tokens:
// super-block outside, groups of tokens inside. Every output sees the same operations in the same order for any group
// size.
#include "kernels/avx512vnni/matmul_avx512vnni.h"

namespace tenfold::kernels::avx512vnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

// Most tokens of a group: 2 panels x 6 tokens are 12 integer and 12 float accumulators.
constexpr int kMaxGroup = 6;
// How far ahead of the reader weights are asked for.
constexpr int64_t kPrefetchBlocks = 2;

// What tells the formats apart. Sub-blocks come in classes that are loaded alike: class k is [kFirst[k], kFirst[k +
// 1]). Load<k>(sb, j, quad) gives a quad of sub-block j as unsigned bytes, 1 / Unit(j) times their value.
struct Q4K {
  static constexpr int kBytes = kQ4KBlockBytes;
  static constexpr int kClasses = 1;
  static constexpr int kFirst[] = {0, 8};
  static constexpr float Unit(int j) { return j % 2 == 0 ? 1.0f : 1.0f / 16; }  // nibbles are used in place
  template <int kClass>
  TENFOLD_INLINE __m512i Load(const uint8_t* sb, int j, int quad) {
    const __m512i mask = _mm512_set1_epi8(static_cast<char>(j % 2 == 0 ? 0x0F : 0xF0));
    return _mm512_and_si512(mask, LoadLine(sb + kQ4KQuants + (j / 2 * 8 + quad) * kLine));
  }
};

struct Q5K {
  static constexpr int kBytes = kQ5KBlockBytes;
  static constexpr int kClasses = 3;
  static constexpr int kFirst[] = {0, 5, 7, 8};
  static constexpr float Unit(int j) { return j < 5 ? 1.0f : 1.0f / 8; }
  template <int kClass>
  TENFOLD_INLINE __m512i Load(const uint8_t* sb, int j, int quad) {
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

// One super-block of R panels: sb[r], scales[r], and where to prefetch, ahead[r].
template <int R>
struct Block {
  const uint8_t* sb[R];
  const uint8_t* ahead[R];
  Scales scales[R];
};

// Sub-block j, of class kClass, of R panels times M tokens, added to sums.
template <class Format, int kClass, int R, int M>
TENFOLD_INLINE void AddSubBlock(const Block<R>& b, const uint8_t* records, int j, __m512 (&sums)[R][M]) {
  __m512i dots[R][M];
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) dots[r][m] = _mm512_setzero_si512();
  }
  TENFOLD_UNROLL
  for (int quad = 0; quad < 8; ++quad) {
    __m512i w[R];
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) w[r] = Format::template Load<kClass>(b.sb[r], j, quad);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m512i x = BroadcastQuad(records + m * kRecordKBytes + 32 * j + 4 * quad);
      TENFOLD_UNROLL
      for (int r = 0; r < R; ++r) Dot4(dots[r][m], w[r], x);
    }
  }
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    const __m512 scale = _mm512_load_ps(b.scales[r].scale[j]);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) sums[r][m] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[r][m]), scale, sums[r][m]);
  }
}

// The sub-blocks of class kClass, and of those after it.
template <class Format, int kClass, int R, int M>
TENFOLD_INLINE void AddClasses(const Block<R>& b, const uint8_t* records, __m512 (&sums)[R][M]) {
  for (int j = Format::kFirst[kClass]; j < Format::kFirst[kClass + 1]; ++j) {
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      TENFOLD_UNROLL
      for (int line = 0; line < (Format::kBytes / 8 + kLine - 1) / kLine; ++line) {
        Prefetch(b.ahead[r] + j * (Format::kBytes / 8) + line * kLine);
      }
    }
    if (j == 4) ToSecondScale<R, M>(records, sums);
    AddSubBlock<Format, kClass, R, M>(b, records, j, sums);
  }
  if constexpr (kClass + 1 < Format::kClasses) AddClasses<Format, kClass + 1, R, M>(b, records, sums);
}

// One super-block of R panels times M tokens, added to c [token][R][16].
template <class Format, int R, int M>
void AddBlock(const Block<R>& b, const uint8_t* records, float* c) {
  __m512 sums[R][M];
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) sums[r][m] = _mm512_setzero_ps();
  }
  AddClasses<Format, 0, R, M>(b, records, sums);
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    const __m512 scale = BroadcastFloat(records + m * kRecordKBytes + kRecordKScale + 4);
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r)
      sums[r][m] = _mm512_fmadd_ps(sums[r][m], scale, _mm512_load_ps(c + (m * R + r) * kRows));
  }
  TENFOLD_UNROLL
  for (int j = 0; j < 8; ++j) {
    __m512 min[R];
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) min[r] = _mm512_load_ps(b.scales[r].min[j]);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m512 sum = BroadcastFloat(records + m * kRecordKBytes + kRecordKSum32 + 4 * j);
      TENFOLD_UNROLL
      for (int r = 0; r < R; ++r) sums[r][m] = _mm512_fnmadd_ps(min[r], sum, sums[r][m]);
    }
  }
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) _mm512_store_ps(c + (m * R + r) * kRows, sums[r][m]);
  }
}

template <class Format, int R>
void AddGroup(const Block<R>& b, const uint8_t* records, int64_t tokens, float* c) {
  switch (tokens) {
    case 1:
      return AddBlock<Format, R, 1>(b, records, c);
    case 2:
      return AddBlock<Format, R, 2>(b, records, c);
    case 3:
      return AddBlock<Format, R, 3>(b, records, c);
    case 4:
      return AddBlock<Format, R, 4>(b, records, c);
    case 5:
      return AddBlock<Format, R, 5>(b, records, c);
    default:
      return AddBlock<Format, R, kMaxGroup>(b, records, c);
  }
}

template <class Format, int R>
void Run(const TileArgs& a) {
  const int64_t blocks = a.cols / 256;
  const Groups groups = SplitTokens(a.tokens, kMaxGroup);
  std::memset(a.c, 0, static_cast<size_t>(a.tokens) * R * kRows * sizeof(float));
  Block<R> b;
  for (int64_t kb = 0; kb < blocks; ++kb) {
    for (int r = 0; r < R; ++r) {
      const uint8_t* panel = a.w + static_cast<size_t>(r) * a.panel_bytes;
      b.sb[r] = panel + kb * Format::kBytes;
      b.ahead[r] = b.sb[r] + kPrefetchBlocks * Format::kBytes;
      // Past the end of this panel comes the other panel of the tile, so the next tile is what will be read.
      if (kb + kPrefetchBlocks >= blocks) b.ahead[r] += (R - 1) * a.panel_bytes;
      Decode<Format>(b.sb[r], &b.scales[r]);
    }
    const uint8_t* records = a.records + static_cast<size_t>(kb) * a.block_stride;
    float* c = a.c;
    for (int64_t g = 0; g < groups.count; ++g) {
      const int64_t tokens = groups.SizeOf(g);
      AddGroup<Format, R>(b, records, tokens, c);
      records += tokens * kRecordKBytes;
      c += tokens * R * kRows;
    }
  }
}

}  // namespace

void DirectQ4K(const TileArgs& a) { return a.panels == 2 ? Run<Q4K, 2>(a) : Run<Q4K, 1>(a); }
void DirectQ5K(const TileArgs& a) { return a.panels == 2 ? Run<Q5K, 2>(a) : Run<Q5K, 1>(a); }

}  // namespace tenfold::kernels::avx512vnni
