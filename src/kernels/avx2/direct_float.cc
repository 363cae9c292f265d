// F32, F16 and BF16 weights times float activations: one chain of multiply-adds per output, in column order, for any
// number of tokens. Serves AVX-VNNI too.
#include "kernels/avx2/matmul_avx2.h"
#include "kernels/avx2/ymm.h"

namespace tenfold::kernels::avx2 {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose
using namespace ymm;     // NOLINT(google-build-using-namespace): as above

constexpr int kMaxGroup = 6;  // 12 accumulators, two weights, one activation

struct Half {
  static constexpr int kBytes = 2;
  static __m256 Load8(const uint8_t* p) { return LoadHalves(p); }
};
struct BFloat {
  static constexpr int kBytes = 2;
  static __m256 Load8(const uint8_t* p) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
};
struct Single {
  static constexpr int kBytes = 4;
  static __m256 Load8(const uint8_t* p) { return _mm256_load_ps(reinterpret_cast<const float*>(p)); }
};

// `columns` columns (one record's, at most 64) of one panel times M tokens, added to c (M, 16).
template <class Element, int M>
void AddColumns(const uint8_t* w, const uint8_t* records, int64_t columns, float* c, int64_t c_stride) {
  __m256 sum[M][2];
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    sum[m][0] = _mm256_load_ps(c + m * c_stride);
    sum[m][1] = _mm256_load_ps(c + m * c_stride + 8);
  }
  for (int64_t k = 0; k < columns; ++k, w += kRows * Element::kBytes) {
    const __m256 w0 = Element::Load8(w);
    const __m256 w1 = Element::Load8(w + 8 * Element::kBytes);
    _mm_prefetch(reinterpret_cast<const char*>(w + kStreamAhead), _MM_HINT_T1);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m256 x = BroadcastFloat(records + m * kRecordFBytes + 4 * k);
      sum[m][0] = _mm256_fmadd_ps(w0, x, sum[m][0]);
      sum[m][1] = _mm256_fmadd_ps(w1, x, sum[m][1]);
    }
  }
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    _mm256_store_ps(c + m * c_stride, sum[m][0]);
    _mm256_store_ps(c + m * c_stride + 8, sum[m][1]);
  }
}

template <class Element>
void Run(const TileArgs& a) {
  using Fn = void (*)(const uint8_t*, const uint8_t*, int64_t, float*, int64_t);
  constexpr Fn kGroup[kMaxGroup] = {AddColumns<Element, 1>, AddColumns<Element, 2>, AddColumns<Element, 3>,
                                    AddColumns<Element, 4>, AddColumns<Element, 5>, AddColumns<Element, 6>};
  const int64_t c_stride = a.panels * kRows;
  const Groups groups = SplitTokens(a.tokens, kMaxGroup);
  std::memset(a.c, 0, static_cast<size_t>(a.tokens * c_stride) * sizeof(float));
  for (int64_t begin = 0; begin < a.cols; begin += kRecordFColumns) {
    const int64_t columns = a.cols - begin < kRecordFColumns ? a.cols - begin : kRecordFColumns;
    for (int p = 0; p < a.panels; ++p) {
      const uint8_t* const w = a.w + static_cast<size_t>(p) * a.panel_bytes + begin * kRows * Element::kBytes;
      const uint8_t* records = a.records + static_cast<size_t>(begin / kRecordFColumns) * a.block_stride;
      float* c = a.c + p * kRows;
      for (int64_t g = 0; g < groups.count; ++g) {
        const int64_t size = groups.SizeOf(g);
        kGroup[size - 1](w, records, columns, c, c_stride);
        records += size * kRecordFBytes;
        c += size * c_stride;
      }
    }
  }
}

}  // namespace

void DirectF32(const TileArgs& a) { Run<Single>(a); }
void DirectF16(const TileArgs& a) { Run<Half>(a); }
void DirectBF16(const TileArgs& a) { Run<BFloat>(a); }

}  // namespace tenfold::kernels::avx2
