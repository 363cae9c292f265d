// F32, F16 and BF16 weights times float activations. Every output is one chain of fused multiply-adds in column order.
#include "kernels/avx512vnni/matmul_avx512vnni.h"

namespace tenfold::kernels::avx512vnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

constexpr int kMaxGroup = 12;

struct Single {
  static constexpr int kBytes = 4;
  TENFOLD_INLINE __m512 Load16(const uint8_t* p) { return _mm512_castsi512_ps(LoadLine(p)); }
};
struct Half {
  static constexpr int kBytes = 2;
  TENFOLD_INLINE __m512 Load16(const uint8_t* p) { return LoadHalves(p); }
};
struct BFloat {
  static constexpr int kBytes = 2;
  TENFOLD_INLINE __m512 Load16(const uint8_t* p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(p)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
  }
};

// `columns` (1..64) columns of R panels times M tokens, added to c: [R][16] of each token, `stride` floats from one to
// the next. w[r]: the first column's 16 weights.
template <class Element, int R, int M>
void AddColumns(const uint8_t* const* w, int64_t columns, const uint8_t* records, float* c, int64_t stride) {
  constexpr int kColumnBytes = kRows * Element::kBytes;
  __m512 acc[M][R];
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) acc[m][r] = _mm512_load_ps(c + m * stride + r * kRows);
  }
  for (int64_t k = 0; k < columns; ++k) {
    __m512 column[R];
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      const uint8_t* p = w[r] + k * kColumnBytes;
      if (M > kStreamTokens) PrefetchWeights(p + kStreamAhead);
      column[r] = Element::Load16(p);
    }
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m512 x = BroadcastFloat(records + m * kRecordFBytes + 4 * k);
      TENFOLD_UNROLL
      for (int r = 0; r < R; ++r) acc[m][r] = _mm512_fmadd_ps(column[r], x, acc[m][r]);
    }
  }
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) _mm512_store_ps(c + m * stride + r * kRows, acc[m][r]);
  }
}

// R panels from a.w on; a.c as tile rows [a.panels][16], already zero.
template <class Element, int R>
void Run(const TileArgs& a) {
  using Fn = void (*)(const uint8_t* const*, int64_t, const uint8_t*, float*, int64_t);
  static constexpr Fn kGroup[kMaxGroup] = {
      AddColumns<Element, R, 1>, AddColumns<Element, R, 2>,  AddColumns<Element, R, 3>,  AddColumns<Element, R, 4>,
      AddColumns<Element, R, 5>, AddColumns<Element, R, 6>,  AddColumns<Element, R, 7>,  AddColumns<Element, R, 8>,
      AddColumns<Element, R, 9>, AddColumns<Element, R, 10>, AddColumns<Element, R, 11>, AddColumns<Element, R, 12>};
  const Groups groups = SplitTokens(a.tokens, kMaxGroup);
  const int64_t stride = a.panels * kRows;
  for (int64_t k = 0; k < a.cols; k += kRecordFColumns) {
    const uint8_t* w[R];
    for (int r = 0; r < R; ++r) w[r] = a.w + static_cast<size_t>(r) * a.panel_bytes + k * kRows * Element::kBytes;
    const int64_t columns = a.cols - k < kRecordFColumns ? a.cols - k : kRecordFColumns;
    const uint8_t* records = a.records + static_cast<size_t>(k / kRecordFColumns) * a.block_stride;
    float* c = a.c;
    for (int64_t g = 0; g < groups.count; ++g) {
      const int64_t tokens = groups.SizeOf(g);
      kGroup[tokens - 1](w, columns, records, c, stride);
      records += tokens * kRecordFBytes;
      c += tokens * stride;
    }
  }
}

template <class Element>
void RunEither(const TileArgs& a) {
  if (a.panels == 1 || a.tokens <= kStreamTokens) return OneByOne(a, Run<Element, 1>);
  ClearTile(a);
  Run<Element, 2>(a);
}

}  // namespace

void DirectF32(const TileArgs& a) { RunEither<Single>(a); }
void DirectF16(const TileArgs& a) { RunEither<Half>(a); }
void DirectBF16(const TileArgs& a) { RunEither<BFloat>(a); }

}  // namespace tenfold::kernels::avx512vnni
