// Layouts with an activation scale per 32 columns times int8 activations: exact products, any number of tokens. Bytes
// (Q8_0 and the Int8 layouts) and nibbles (Q4_0, Q4_1).
//
// Bytes are stored with 128 added; accumulators start from the record's -128 * sum, which takes it out again. Nibbles:
// the high ones are used in place, as 16 times their value, first; a shift then brings the sums down, and with them the
// start of -128 * sum to the -8 * sum that Q4_0 asks for; the low nibbles follow. One mask a line and one shift a sum
// are all that unpacking costs.
#include "kernels/avx512vnni/matmul_avx512vnni.h"

namespace tenfold::kernels::avx512vnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

constexpr int kMaxGroup = 6;

// Where the parts of a panel lie. Of the block of columns [32 b, 32 b + 32): Quants(b); Scale(b, s) of its step s;
// Offset128(b, s), the factor of the records' -128 * sum.
struct Q8Panel {
  static constexpr int kStep = 32;
  static constexpr bool kOffset = false;
  static constexpr bool kNibbles = false;
  const uint8_t* scales;
  const uint8_t* quants;
  static Q8Panel At(const uint8_t* panel, int64_t cols) { return {panel, panel + ScaleHeaderBytes(cols / 32)}; }
  const uint8_t* Quants(int64_t b) const { return quants + b * kQ8BlockBytes; }
  __m512 Scale(int64_t b, int) const { return LoadHalves(scales + 32 * b); }
  __m512 Offset128(int64_t, int) const { return _mm512_setzero_ps(); }
};

template <int Step, bool Offset>
struct Int8Panel {
  static constexpr int kStep = Step;
  static constexpr bool kOffset = Offset;
  static constexpr bool kNibbles = false;
  static constexpr int kBytes = Int8BlockBytes(Step, Offset);
  const uint8_t* blocks;
  static Int8Panel At(const uint8_t* panel, int64_t) { return {panel}; }
  const uint8_t* Quants(int64_t b) const { return blocks + b * kBytes + kBytes - kQ8BlockBytes; }
  __m512 Scale(int64_t b, int s) const { return _mm512_load_ps(blocks + b * kBytes + kLine * s); }
  __m512 Offset128(int64_t b, int s) const { return Scale(b, 32 / Step + s); }
};

struct Q40Panel {
  static constexpr int kStep = 32;
  static constexpr bool kOffset = false;
  static constexpr bool kNibbles = true;
  const uint8_t* scales;
  const uint8_t* quants;
  static Q40Panel At(const uint8_t* panel, int64_t cols) { return {panel, panel + ScaleHeaderBytes(cols / 32)}; }
  const uint8_t* Quants(int64_t b) const { return quants + b * kQ4BlockBytes; }
  __m512 Scale(int64_t b, int) const { return LoadHalves(scales + 32 * b); }
  __m512 Offset128(int64_t, int) const { return _mm512_setzero_ps(); }
};

struct Q41Panel {
  static constexpr int kStep = 32;
  static constexpr bool kOffset = true;
  static constexpr bool kNibbles = true;
  const uint8_t* scales;
  const uint8_t* quants;
  static Q41Panel At(const uint8_t* panel, int64_t cols) { return {panel, panel + cols / 32 * kQ41ScaleBytes}; }
  const uint8_t* Quants(int64_t b) const { return quants + b * kQ4BlockBytes; }
  __m512 Scale(int64_t b, int) const { return LoadHalves(scales + kQ41ScaleBytes * b); }
  __m512 Offset128(int64_t b, int) const {
    return _mm512_mul_ps(LoadHalves(scales + kQ41ScaleBytes * b + 32), _mm512_set1_ps(-1.0f / 128));
  }
};

// dots += N lines of each panel, under `mask`, times 4 N activation bytes from x on. kAhead: asks for what comes next,
// with any number of tokens: the scales are a second stream, which the hardware's prefetcher follows less well (Q4_0, 1
// and 2 tokens: 15 and 13 GB/s without asking, 21 and 21 with it).
template <int R, int M, int N, bool kAhead>
TENFOLD_INLINE void AddQuads(const uint8_t* const (&lines)[R], __m512i mask, const uint8_t* x, __m512i (&dots)[R][M]) {
  TENFOLD_UNROLL
  for (int quad = 0; quad < N; ++quad) {
    __m512i w[R];
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      if (kAhead) PrefetchWeights(lines[r] + quad * kLine + kStreamAhead);
      w[r] = _mm512_and_si512(mask, LoadLine(lines[r] + quad * kLine));
    }
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const uint8_t* const xm = x + m * kRecord8Bytes + 4 * quad;
      if constexpr (R == 1) {
        Dot4Of(dots[0][m], w[0], xm);
      } else {
        const __m512i all = BroadcastQuad(xm);
        TENFOLD_UNROLL
        for (int r = 0; r < R; ++r) Dot4(dots[r][m], w[r], all);
      }
    }
  }
}

// Step s of block b of R panels times M tokens, added to acc. records: of b's 256 columns; `in` is b % 8.
template <class Panel, int R, int M>
TENFOLD_INLINE void AddStep(const Panel (&panels)[R], int64_t b, int64_t in, int s, const uint8_t* records,
                            __m512 (&acc)[R][M]) {
  const uint8_t* const off = records + (Panel::kStep == 32 ? kRecord8Off + 4 * in : kRecord8Off16 + 8 * in + 4 * s);
  __m512i dots[R][M];
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      dots[r][m] = Panel::kNibbles && Panel::kOffset ? _mm512_setzero_si512() : BroadcastQuad(off + m * kRecord8Bytes);
    }
  }
  const uint8_t* const x = records + 32 * in + Panel::kStep * s;
  const uint8_t* lines[R];
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) lines[r] = panels[r].Quants(b) + Panel::kStep / 4 * kLine * s;
  if constexpr (Panel::kNibbles) {
    AddQuads<R, M, 4, true>(lines, _mm512_set1_epi8(static_cast<char>(0xF0)), x + 16, dots);
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      TENFOLD_UNROLL
      for (int m = 0; m < M; ++m) dots[r][m] = _mm512_srai_epi32(dots[r][m], 4);
    }
    AddQuads<R, M, 4, false>(lines, _mm512_set1_epi8(0x0F), x, dots);
  } else {
    AddQuads<R, M, Panel::kStep / 4, true>(lines, _mm512_set1_epi8(-1), x, dots);
  }
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    const __m512 scale = panels[r].Scale(b, s);
    const __m512 offset = panels[r].Offset128(b, s);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const uint8_t* const record = records + m * kRecord8Bytes;
      __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[r][m]), scale);
      if (Panel::kOffset) {
        scaled = _mm512_fmadd_ps(_mm512_cvtepi32_ps(BroadcastQuad(off + m * kRecord8Bytes)), offset, scaled);
      }
      acc[r][m] = _mm512_fmadd_ps(scaled, BroadcastFloat(record + kRecord8Scale + 4 * in), acc[r][m]);
    }
  }
}

// `blocks` (1..8) blocks of 32 columns from block `first` (a multiple of 8) on, of R panels, times M tokens, added to
// c: [R][16] of each token, `stride` floats from one to the next.
template <class Panel, int R, int M>
void AddBlocks(const Panel (&panels)[R], int64_t first, int64_t blocks, const uint8_t* records, float* c,
               int64_t stride) {
  __m512 acc[R][M];
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) acc[r][m] = _mm512_load_ps(c + m * stride + r * kRows);
  }
  for (int64_t in = 0; in < blocks; ++in) {
    AddStep<Panel, R, M>(panels, first + in, in, 0, records, acc);
    if constexpr (Panel::kStep == 16) AddStep<Panel, R, M>(panels, first + in, in, 1, records, acc);
  }
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) _mm512_store_ps(c + m * stride + r * kRows, acc[r][m]);
  }
}

// R panels from a.w on; a.c as tile rows [a.panels][16], already zero.
template <class Panel, int R>
void Run(const TileArgs& a) {
  using Fn = void (*)(const Panel(&)[R], int64_t, int64_t, const uint8_t*, float*, int64_t);
  static constexpr Fn kGroup[kMaxGroup] = {AddBlocks<Panel, R, 1>, AddBlocks<Panel, R, 2>, AddBlocks<Panel, R, 3>,
                                           AddBlocks<Panel, R, 4>, AddBlocks<Panel, R, 5>, AddBlocks<Panel, R, 6>};
  const int64_t blocks = a.cols / 32;
  const Groups groups = SplitTokens(a.tokens, kMaxGroup);
  const int64_t stride = a.panels * kRows;
  Panel panels[R];
  for (int r = 0; r < R; ++r) panels[r] = Panel::At(a.w + static_cast<size_t>(r) * a.panel_bytes, a.cols);
  for (int64_t b = 0; b < blocks; b += 8) {
    const uint8_t* records = a.records + static_cast<size_t>(b / 8) * a.block_stride;
    float* c = a.c;
    for (int64_t g = 0; g < groups.count; ++g) {
      const int64_t tokens = groups.SizeOf(g);
      kGroup[tokens - 1](panels, b, blocks - b < 8 ? blocks - b : 8, records, c, stride);
      records += tokens * kRecord8Bytes;
      c += tokens * stride;
    }
  }
}

template <class Panel>
void RunEither(const TileArgs& a) {
  if (a.panels == 1 || a.tokens <= kStreamTokens) return OneByOne(a, Run<Panel, 1>);
  ClearTile(a);
  Run<Panel, 2>(a);
}

}  // namespace

void DirectQ8_0(const TileArgs& a) { RunEither<Q8Panel>(a); }
void DirectQ4_0(const TileArgs& a) { RunEither<Q40Panel>(a); }
void DirectQ4_1(const TileArgs& a) { RunEither<Q41Panel>(a); }
void DirectInt8By32(const TileArgs& a) { RunEither<Int8Panel<32, false>>(a); }
void DirectInt8By32Offset(const TileArgs& a) { RunEither<Int8Panel<32, true>>(a); }
void DirectInt8By16(const TileArgs& a) { RunEither<Int8Panel<16, false>>(a); }
void DirectInt8By16Offset(const TileArgs& a) { RunEither<Int8Panel<16, true>>(a); }

}  // namespace tenfold::kernels::avx512vnni
