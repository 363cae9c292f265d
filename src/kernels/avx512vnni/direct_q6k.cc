// Q6_K weights, unpacked exactly in registers, times int8 activations.
//
// As direct_q4k.cc, with sub-blocks of 16 columns. The quants' offset of 32 costs nothing: accumulators start from the
// record's -32 * sum (-128 * sum where the quants are used as 4 times their value).
#include "kernels/avx512vnni/matmul_avx512vnni.h"

namespace tenfold::kernels::avx512vnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

constexpr int kMaxGroup = 6;
constexpr int64_t kPrefetchBlocks = 1;

// One super-block of R panels. Scales of quarter 3 of each half are divided by 4.
template <int R>
struct alignas(64) Block {
  float scale[R][16][16];  // [panel][sub-block][row]
  const uint8_t* sb[R];
  const uint8_t* ahead[R];
};

template <int R>
TENFOLD_INLINE void Decode(const uint8_t* d_halves, int r, Block<R>* out) {
  const __m512 d = LoadHalves(d_halves);
  const __m512 d4 = _mm512_mul_ps(d, _mm512_set1_ps(0.25f));
  TENFOLD_UNROLL
  for (int j = 0; j < 16; ++j) {
    _mm512_store_ps(out->scale[r][j], _mm512_mul_ps(SignedBytesToFloats(out->sb[r] + 16 * j), (j & 6) == 6 ? d4 : d));
  }
}

// Quarter Q of half h (two sub-blocks of 16) of R panels times M tokens, added to sums.
template <int R, int M, int Q>
TENFOLD_INLINE void AddQuarter(const Block<R>& b, const uint8_t* records, int h, __m512 (&sums)[R][M]) {
  for (int i = 0; i < 2; ++i) {
    const int j = 8 * h + 2 * Q + i;
    __m512i dots[R][M];
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      TENFOLD_UNROLL
      for (int r = 0; r < R; ++r) dots[r][m] = BroadcastQuad(records + m * kRecordKBytes + kRecordKOff16 + 4 * j);
    }
    TENFOLD_UNROLL
    for (int quad = 0; quad < 4; ++quad) {
      __m512i w[R];
      TENFOLD_UNROLL
      for (int r = 0; r < R; ++r) {
        w[r] = LoadQ6K<Q>(b.sb[r] + kQ6KQuants + 3 * kQ6KPlaneBytes * h + (4 * i + quad) * kLine);
      }
      TENFOLD_UNROLL
      for (int m = 0; m < M; ++m) {
        const __m512i x = BroadcastQuad(records + m * kRecordKBytes + 16 * j + 4 * quad);
        TENFOLD_UNROLL
        for (int r = 0; r < R; ++r) Dot4(dots[r][m], w[r], x);
      }
    }
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      const __m512 scale = _mm512_load_ps(b.scale[r][j]);
      TENFOLD_UNROLL
      for (int m = 0; m < M; ++m) sums[r][m] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[r][m]), scale, sums[r][m]);
    }
  }
}

// Asks for the part of the block ahead that belongs to quarter `part` (0..7) of the work on this one.
template <int R>
TENFOLD_INLINE void PrefetchPart(const Block<R>& b, int part) {
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int line = 0; line < 7; ++line) Prefetch(b.ahead[r] + part * (kQ6KBlockBytes / 8) + line * kLine);
  }
}

// One super-block of R panels times M tokens, added to c [token][R][16].
template <int R, int M>
void AddBlock(const Block<R>& b, const uint8_t* records, float* c) {
  __m512 sums[R][M];
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) sums[r][m] = _mm512_setzero_ps();
  }
  for (int h = 0; h < 2; ++h) {
    if (h == 1) ToSecondScale<R, M>(records, sums);
    PrefetchPart<R>(b, 4 * h);
    AddQuarter<R, M, 0>(b, records, h, sums);
    PrefetchPart<R>(b, 4 * h + 1);
    AddQuarter<R, M, 1>(b, records, h, sums);
    PrefetchPart<R>(b, 4 * h + 2);
    AddQuarter<R, M, 2>(b, records, h, sums);
    PrefetchPart<R>(b, 4 * h + 3);
    AddQuarter<R, M, 3>(b, records, h, sums);
  }
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    const __m512 scale = BroadcastFloat(records + m * kRecordKBytes + kRecordKScale + 4);
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      float* out = c + (m * R + r) * kRows;
      _mm512_store_ps(out, _mm512_fmadd_ps(sums[r][m], scale, _mm512_load_ps(out)));
    }
  }
}

template <int R>
void AddGroup(const Block<R>& b, const uint8_t* records, int64_t tokens, float* c) {
  switch (tokens) {
    case 1:
      return AddBlock<R, 1>(b, records, c);
    case 2:
      return AddBlock<R, 2>(b, records, c);
    case 3:
      return AddBlock<R, 3>(b, records, c);
    case 4:
      return AddBlock<R, 4>(b, records, c);
    case 5:
      return AddBlock<R, 5>(b, records, c);
    default:
      return AddBlock<R, kMaxGroup>(b, records, c);
  }
}

template <int R>
void Run(const TileArgs& a) {
  const int64_t blocks = a.cols / 256;
  const Groups groups = SplitTokens(a.tokens, kMaxGroup);
  std::memset(a.c, 0, static_cast<size_t>(a.tokens) * R * kRows * sizeof(float));
  Block<R> b;
  for (int64_t kb = 0; kb < blocks; ++kb) {
    for (int r = 0; r < R; ++r) {
      const uint8_t* panel = a.w + static_cast<size_t>(r) * a.panel_bytes;
      b.sb[r] = panel + ScaleHeaderBytes(blocks) + kb * kQ6KBlockBytes;
      b.ahead[r] = b.sb[r] + kPrefetchBlocks * kQ6KBlockBytes;
      if (kb + kPrefetchBlocks >= blocks) b.ahead[r] += (R - 1) * a.panel_bytes;
      Decode<R>(panel + 32 * kb, r, &b);
    }
    const uint8_t* records = a.records + static_cast<size_t>(kb) * a.block_stride;
    float* c = a.c;
    for (int64_t g = 0; g < groups.count; ++g) {
      const int64_t tokens = groups.SizeOf(g);
      AddGroup<R>(b, records, tokens, c);
      records += tokens * kRecordKBytes;
      c += tokens * R * kRows;
    }
  }
}

}  // namespace

void DirectQ6K(const TileArgs& a) { return a.panels == 2 ? Run<2>(a) : Run<1>(a); }

}  // namespace tenfold::kernels::avx512vnni
