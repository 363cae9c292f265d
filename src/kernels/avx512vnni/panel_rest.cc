// Converted panels times the tokens after the first group: plain int8 matrices, at nine tenths of the machine's integer
// peak. Two panels x 256 columns lie in 8 KB of L1 and are used for every token before the next 256 columns.
//
// Weights are unsigned bytes w + 128; accumulators start from the record's -128 * sum, which takes the offset out
// again.
#include "kernels/avx512vnni/panel_convert.h"

namespace tenfold::kernels::avx512vnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

// acc += half h of the converted panels times that of M tokens.
template <int R, int M>
TENFOLD_INLINE void AddHalf(const Converted<R>& w, const uint8_t* records, int h, __m512i (&acc)[M][R]) {
  const uint8_t* x = records + kActBlock * h;
  const uint8_t* lines = w.w[32 * h][0];
  // The next group's records are fetched while this one runs.
  const uint8_t* ahead = records + M * kRecordKBytes + M * kRecordKBytes / 2 * h;
  for (int quad = 0; quad < 32; ++quad, x += 4, lines += R * kLine, ahead += M * kRecordKBytes / 64) {
    Prefetch(ahead);
    __m512i line[R];
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) line[r] = LoadLine(lines + r * kLine);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m512i quads = BroadcastQuad(x + m * kRecordKBytes);
      TENFOLD_UNROLL
      for (int r = 0; r < R; ++r) Dot4(acc[m][r], line[r], quads);
    }
  }
}

// Converted panels times M tokens, added to c [token][R][16]. Between the halves the sums are brought to the second
// half's scales as integers: loading and storing results twice instead cost a tenth of the speed (on Zen 5).
template <int R, int M>
void AddGroup(const Converted<R>& w, const uint8_t* records, float* c) {
  __m512i acc[M][R];
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) acc[m][r] = BroadcastQuad(records + m * kRecordKBytes + kRecordKOff128);
  }
  AddHalf<R, M>(w, records, 0, acc);
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    const uint8_t* record = records + m * kRecordKBytes;
    const __m512 x_ratio = BroadcastFloat(record + kRecordKRatio);
    const __m512i off = BroadcastQuad(record + kRecordKOff128 + 4);
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[m][r]), _mm512_load_ps(w.ratio[r]));
      acc[m][r] = _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(scaled, x_ratio)), off);
    }
  }
  AddHalf<R, M>(w, records, 1, acc);
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    const __m512 x_scale = BroadcastFloat(records + m * kRecordKBytes + kRecordKScale + 4);
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      float* out = c + (m * R + r) * kRows;
      const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[m][r]), _mm512_load_ps(w.scale[r]));
      _mm512_store_ps(out, _mm512_fmadd_ps(scaled, x_scale, _mm512_load_ps(out)));
    }
  }
}

template <int R>
TENFOLD_INLINE void AddTokens(const Converted<R>& w, const uint8_t* records, int64_t tokens, float* c) {
  using Fn = void (*)(const Converted<R>&, const uint8_t*, float*);
  static constexpr Fn kGroup[kMaxGroup] = {AddGroup<R, 1>, AddGroup<R, 2>,  AddGroup<R, 3>,  AddGroup<R, 4>,
                                           AddGroup<R, 5>, AddGroup<R, 6>,  AddGroup<R, 7>,  AddGroup<R, 8>,
                                           AddGroup<R, 9>, AddGroup<R, 10>, AddGroup<R, 11>, AddGroup<R, 12>};
  const Groups groups = SplitTokens(tokens, kMaxGroup);
  for (int64_t g = 0; g < groups.count; ++g) {
    const int64_t size = groups.SizeOf(g);
    kGroup[size - 1](w, records, c);
    records += size * kRecordKBytes;
    c += size * R * kRows;
  }
}

}  // namespace

void AddConverted1(const Converted<1>& w, const uint8_t* records, int64_t tokens, float* c) {
  AddTokens<1>(w, records, tokens, c);
}
void AddConverted2(const Converted<2>& w, const uint8_t* records, int64_t tokens, float* c) {
  AddTokens<2>(w, records, tokens, c);
}

}  // namespace tenfold::kernels::avx512vnni
