// Q8_0 weights times int8 activations with vpmaddubsw, exact for every number of tokens.
//
// vpmaddubsw takes one unsigned side: the magnitude of the weight, and the activation with the weight's sign moved to
// it. A product pair is at most 2 * 128 * 127 = 32512, so each fits 16 bits but two do not: every product is widened at
// once.
#include "kernels/avx2/matmul_avx2.h"
#include "kernels/avx2/ymm.h"

namespace tenfold::kernels::avx2 {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose
using namespace ymm;     // NOLINT(google-build-using-namespace): as above

constexpr int kMaxGroup = 4;

// acc += the quad sums of u8 * s8. In assembly for the reason given in direct_k.cc.
TENFOLD_YMM_INLINE void DotQuad(__m256i& acc, __m256i u8, __m256i s8, __m256i ones) {
  __m256i products;
  asm("vpmaddubsw %3, %2, %1\n\tvpmaddwd %4, %1, %1\n\tvpaddd %1, %0, %0"
      : "+x"(acc), "=&x"(products)
      : "x"(u8), "x"(s8), "x"(ones));
}

// Block b (32 columns) of one panel times M tokens. block: its 512 bytes; d: its 16 halves; records: of b's 256
// columns.
template <int M>
void AddBlock(const uint8_t* block, const uint8_t* d, const uint8_t* records, int64_t b, float* c, int64_t c_stride) {
  const __m256i flip = _mm256_set1_epi8(static_cast<char>(0x80));
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i acc[M][2] = {};
  const uint8_t* const x = records + 32 * (b % 8);
  TENFOLD_UNROLL
  for (int quad = 0; quad < 8; ++quad) {
    TENFOLD_UNROLL
    for (int r = 0; r < 2; ++r) {
      const __m256i w = _mm256_xor_si256(flip, Load(block + quad * kLine + 32 * r));
      const __m256i magnitude = _mm256_abs_epi8(w);
      TENFOLD_UNROLL
      for (int m = 0; m < M; ++m) {
        const __m256i xm = _mm256_sign_epi8(BroadcastQuad(x + m * kRecord8Bytes + 4 * quad), w);
        DotQuad(acc[m][r], magnitude, xm, ones);
      }
    }
  }
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    const __m256 x_scale = BroadcastFloat(records + m * kRecord8Bytes + kRecord8Scale + 4 * (b % 8));
    TENFOLD_UNROLL
    for (int r = 0; r < 2; ++r) {
      float* const out = c + m * c_stride + 8 * r;
      const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[m][r]), LoadHalves(d + 16 * r));
      _mm256_store_ps(out, _mm256_fmadd_ps(scaled, x_scale, _mm256_load_ps(out)));
    }
  }
}

}  // namespace

void DirectQ8_0(const TileArgs& a) {
  using Fn = void (*)(const uint8_t*, const uint8_t*, const uint8_t*, int64_t, float*, int64_t);
  constexpr Fn kGroup[kMaxGroup] = {AddBlock<1>, AddBlock<2>, AddBlock<3>, AddBlock<4>};
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

}  // namespace tenfold::kernels::avx2
