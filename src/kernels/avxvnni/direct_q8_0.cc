// Q8_0 weights times int8 activations with vpdpbusd on 8 rows, exact for every number of tokens. Weights are stored
// with 128 added; the lanes start from the record's -128 * sum, which takes it out again.
#include "kernels/avxvnni/matmul_avxvnni.h"

namespace tenfold::kernels::avxvnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose
using namespace ymm;     // NOLINT(google-build-using-namespace): as above

constexpr int kMaxGroup = 6;  // 12 accumulators, two weights, one activation

// Block b (32 columns) of one panel times M tokens. block: its 512 bytes; d: its 16 halves; records: of b's 256
// columns.
template <int M>
void AddBlock(const uint8_t* block, const uint8_t* d, const uint8_t* records, int64_t b, float* c, int64_t c_stride) {
  __m256i acc[M][2];
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    acc[m][0] = acc[m][1] = BroadcastQuad(records + m * kRecord8Bytes + kRecord8Off + 4 * (b % 8));
  }
  const uint8_t* const x = records + 32 * (b % 8);
  TENFOLD_UNROLL
  for (int quad = 0; quad < 8; ++quad) {
    const __m256i w0 = Load(block + quad * kLine);
    const __m256i w1 = Load(block + quad * kLine + 32);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m256i xm = BroadcastQuad(x + m * kRecord8Bytes + 4 * quad);
      Dot4(acc[m][0], w0, xm);
      Dot4(acc[m][1], w1, xm);
    }
  }
  TENFOLD_UNROLL
  for (int r = 0; r < 2; ++r) {
    const __m256 scale = LoadHalves(d + 16 * r);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m256 x_scale = BroadcastFloat(records + m * kRecord8Bytes + kRecord8Scale + 4 * (b % 8));
      float* const out = c + m * c_stride + 8 * r;
      const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[m][r]), scale);
      _mm256_store_ps(out, _mm256_fmadd_ps(scaled, x_scale, _mm256_load_ps(out)));
    }
  }
}

}  // namespace

void DirectQ8_0(const TileArgs& a) {
  using Fn = void (*)(const uint8_t*, const uint8_t*, const uint8_t*, int64_t, float*, int64_t);
  constexpr Fn kGroup[kMaxGroup] = {AddBlock<1>, AddBlock<2>, AddBlock<3>, AddBlock<4>, AddBlock<5>, AddBlock<6>};
  const int64_t blocks = a.cols / 32;
  const int64_t c_stride = a.panels * kRows;
  const Groups groups = SplitTokens(a.tokens, kMaxGroup);
  std::memset(a.c, 0, static_cast<size_t>(a.tokens * c_stride) * sizeof(float));
  for (int64_t b = 0; b < blocks; ++b) {
    for (int p = 0; p < a.panels; ++p) {
      const uint8_t* const panel = a.w + static_cast<size_t>(p) * a.panel_bytes;
      const uint8_t* const block = panel + ScaleHeaderBytes(blocks) + b * kQ8BlockBytes;
      PrefetchLines(block + 4 * kQ8BlockBytes, kQ8BlockBytes);
      const uint8_t* records = a.records + static_cast<size_t>(b / 8) * a.block_stride;
      float* c = a.c + p * kRows;
      for (int64_t g = 0; g < groups.count; ++g) {
        const int64_t size = groups.SizeOf(g);
        kGroup[size - 1](block, panel + 32 * b, records, b, c, c_stride);
        records += size * kRecord8Bytes;
        c += size * c_stride;
      }
    }
  }
}

}  // namespace tenfold::kernels::avxvnni
