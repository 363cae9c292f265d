// Converted panels times the tokens after the first group: plain int8 matrices, at nine tenths of the machine's integer
// peak. Two panels x 256 columns lie in 8 KB of L1 and are used for every token before the next 256 columns.
//
// Weights are unsigned bytes w + 128; accumulators start from the record's -128 * sum, which takes the offset out
// again.
//
// Twelve integer accumulators and as many sums of floats: what Zen 4 can do beside a product each cycle. Every 128
// columns an accumulator is scaled twice, on the products' pipes: 384 of 408 slots are products, 60.2 MAC/cycle of 64;
// measured 59.6. The next 128 columns start in other registers, so that nothing waits for the scaling. With 24
// accumulators, brought to the second half's scales as integers, it was 58.5, probably because each product of the
// second half waited for its accumulator's five operations and 24 stores came in a row (alone, a store of 64 bytes cost
// one to two and a half products). Not better: 1 x 12, 4 x 3; sums kept over more than 256 columns.
#include "kernels/avx512vnni/panel_convert.h"

namespace tenfold::kernels::avx512vnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

// Panels times tokens of a tile.
constexpr int kAccumulators = 12;

// The products, and the scaling, in program order: GCC converts half of the accumulators first and the products then
// wait for the others.
TENFOLD_INLINE void DotInPlace(__m512i& acc, __m512i u8, __m512i s8) {
  asm volatile("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u8), "v"(s8));
}

// sum += dots * scale * x_scale.
TENFOLD_INLINE void AddScaled(__m512& sum, __m512i dots, const float* scale, const uint8_t* x_scale) {
  using Vector = const float[layout::kRows];
  using Scalar = const uint8_t[4];
  asm volatile(
      "vcvtdq2ps %1, %1\n\t"
      "vmulps %2, %1, %1\n\t"
      "vfmadd231ps %3%{1to16%}, %1, %0"
      : "+v"(sum), "+v"(dots)
      : "m"(*reinterpret_cast<Vector*>(scale)), "m"(*reinterpret_cast<Scalar*>(x_scale)));
}

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
      for (int r = 0; r < R; ++r) DotInPlace(acc[m][r], line[r], quads);
    }
  }
}

// Converted panels times M tokens, added to c [token][R][16].
template <int R, int M>
void AddGroup(const Converted<R>& w, const uint8_t* records, float* c) {
  __m512 sum[M][R];
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) sum[m][r] = _mm512_load_ps(c + (m * R + r) * kRows);
  }
  for (int h = 0; h < 2; ++h) {
    __m512i acc[M][R];
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      TENFOLD_UNROLL
      for (int r = 0; r < R; ++r) acc[m][r] = BroadcastQuad(records + m * kRecordKBytes + kRecordKOff128 + 4 * h);
    }
    AddHalf<R, M>(w, records, h, acc);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const uint8_t* x_scale = records + m * kRecordKBytes + kRecordKScale + 4 * h;
      TENFOLD_UNROLL
      for (int r = 0; r < R; ++r) AddScaled(sum[m][r], acc[m][r], w.scale[h][r], x_scale);
    }
  }
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) _mm512_store_ps(c + (m * R + r) * kRows, sum[m][r]);
  }
}

template <int R, int M>
TENFOLD_INLINE void AddGroupOf(int64_t tokens, const Converted<R>& w, const uint8_t* records, float* c) {
  if (tokens == M) return AddGroup<R, M>(w, records, c);
  if constexpr (M > 1) AddGroupOf<R, M - 1>(tokens, w, records, c);
}

template <int R>
TENFOLD_INLINE void AddTokens(const Converted<R>& w, const uint8_t* records, int64_t tokens, float* c) {
  constexpr int kMost = kAccumulators / R;
  const Groups groups = SplitTokens(tokens, kMost);
  for (int64_t g = 0; g < groups.count; ++g) {
    const int64_t size = groups.SizeOf(g);
    AddGroupOf<R, kMost>(size, w, records, c);
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
