// Q8_0 weights times int8 activations, both with a scale per 32 columns: exact products, any number of tokens.
//
// Weights are unsigned bytes q + 128; accumulators start from the record's -128 * sum.
#include "kernels/avx512vnni/matmul_avx512vnni.h"

namespace tenfold::kernels::avx512vnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

constexpr int kMaxGroup = 6;
constexpr int64_t kPrefetchBytes = 4096;  // per panel: ahead of the reader

// `blocks` (1..8) blocks of 32 columns of R panels times M tokens, added to c [token][R][16].
// d[r]: halves of the first block; w[r]: its quants.
template <int R, int M>
void AddBlocks(const uint8_t* const* d, const uint8_t* const* w, int64_t blocks, const uint8_t* records, float* c) {
  __m512 acc[R][M];
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) acc[r][m] = _mm512_load_ps(c + (m * R + r) * kRows);
  }
  for (int64_t b = 0; b < blocks; ++b) {
    __m512i dots[R][M];
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      TENFOLD_UNROLL
      for (int r = 0; r < R; ++r) dots[r][m] = BroadcastQuad(records + m * kRecord8Bytes + kRecord8Off + 4 * b);
    }
    TENFOLD_UNROLL
    for (int quad = 0; quad < 8; ++quad) {
      __m512i line[R];
      TENFOLD_UNROLL
      for (int r = 0; r < R; ++r) {
        const uint8_t* p = w[r] + b * kQ8BlockBytes + quad * kLine;
        Prefetch(p + kPrefetchBytes);
        line[r] = LoadLine(p);
      }
      TENFOLD_UNROLL
      for (int m = 0; m < M; ++m) {
        const __m512i x = BroadcastQuad(records + m * kRecord8Bytes + 32 * b + 4 * quad);
        TENFOLD_UNROLL
        for (int r = 0; r < R; ++r) Dot4(dots[r][m], line[r], x);
      }
    }
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      const __m512 scale = LoadHalves(d[r] + 32 * b);
      TENFOLD_UNROLL
      for (int m = 0; m < M; ++m) {
        const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[r][m]), scale);
        acc[r][m] =
            _mm512_fmadd_ps(scaled, BroadcastFloat(records + m * kRecord8Bytes + kRecord8Scale + 4 * b), acc[r][m]);
      }
    }
  }
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) _mm512_store_ps(c + (m * R + r) * kRows, acc[r][m]);
  }
}

template <int R>
void Run(const TileArgs& a) {
  using Fn = void (*)(const uint8_t* const*, const uint8_t* const*, int64_t, const uint8_t*, float*);
  static constexpr Fn kGroup[kMaxGroup] = {AddBlocks<R, 1>, AddBlocks<R, 2>, AddBlocks<R, 3>,
                                           AddBlocks<R, 4>, AddBlocks<R, 5>, AddBlocks<R, 6>};
  const int64_t blocks = a.cols / 32;
  const Groups groups = SplitTokens(a.tokens, kMaxGroup);
  std::memset(a.c, 0, static_cast<size_t>(a.tokens) * R * kRows * sizeof(float));
  for (int64_t b = 0; b < blocks; b += 8) {
    const uint8_t* d[R];
    const uint8_t* w[R];
    for (int r = 0; r < R; ++r) {
      const uint8_t* panel = a.w + static_cast<size_t>(r) * a.panel_bytes;
      d[r] = panel + 32 * b;
      w[r] = panel + ScaleHeaderBytes(blocks) + b * kQ8BlockBytes;
    }
    const uint8_t* records = a.records + static_cast<size_t>(b / 8) * a.block_stride;
    float* c = a.c;
    for (int64_t g = 0; g < groups.count; ++g) {
      const int64_t tokens = groups.SizeOf(g);
      kGroup[tokens - 1](d, w, blocks - b < 8 ? blocks - b : 8, records, c);
      records += tokens * kRecord8Bytes;
      c += tokens * R * kRows;
    }
  }
}

}  // namespace

void DirectQ8_0(const TileArgs& a) { return a.panels == 2 ? Run<2>(a) : Run<1>(a); }

}  // namespace tenfold::kernels::avx512vnni
