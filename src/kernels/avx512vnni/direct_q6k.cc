// Q6_K weights, unpacked exactly in registers, times int8 activations.
//
// As direct_q45k.cc, with sub-blocks of 16 columns. The quants' offset of 32 costs nothing: accumulators start from the
// record's -32 * sum (-128 * sum where the quants are used as 4 times their value).
#include "kernels/avx512vnni/matmul_avx512vnni.h"

namespace tenfold::kernels::avx512vnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

// Most tokens of a group: as many integer and as many float accumulators.
constexpr int kMaxGroup = 12;

// One super-block. Scales of quarter 3 of each half are divided by 4. ahead: where to prefetch, if `ask`.
struct alignas(64) Block {
  float scale[16][16];  // [sub-block][row]
  const uint8_t* sb = nullptr;
  const uint8_t* ahead = nullptr;
  bool ask = false;
};

TENFOLD_INLINE void Decode(const uint8_t* d_halves, Block* out) {
  const __m512 d = LoadHalves(d_halves);
  const __m512 d4 = _mm512_mul_ps(d, _mm512_set1_ps(0.25f));
  TENFOLD_UNROLL
  for (int j = 0; j < 16; ++j) {
    _mm512_store_ps(out->scale[j], _mm512_mul_ps(SignedBytesToFloats(out->sb + 16 * j), (j & 6) == 6 ? d4 : d));
  }
}

// Quarter Q of half h (two sub-blocks of 16) times M tokens, added to sums.
template <int M, int Q>
TENFOLD_INLINE void AddQuarter(const Block& b, const uint8_t* records, int h, __m512 (&sums)[1][M]) {
  for (int i = 0; i < 2; ++i) {
    const int j = 8 * h + 2 * Q + i;
    __m512i dots[M];
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) dots[m] = BroadcastQuad(records + m * kRecordKBytes + kRecordKOff16 + 4 * j);
    TENFOLD_UNROLL
    for (int quad = 0; quad < 4; ++quad) {
      const __m512i w = LoadQ6K<Q>(b.sb + kQ6KQuants + 3 * kQ6KPlaneBytes * h + (4 * i + quad) * kLine);
      TENFOLD_UNROLL
      for (int m = 0; m < M; ++m) Dot4Of(dots[m], w, records + m * kRecordKBytes + 16 * j + 4 * quad);
    }
    const __m512 scale = _mm512_load_ps(b.scale[j]);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) sums[0][m] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[m]), scale, sums[0][m]);
  }
}

// Asks for the part of the block ahead that belongs to quarter `part` (0..7) of the work on this one.
TENFOLD_INLINE void PrefetchPart(const Block& b, int part) {
  if (!b.ask) return;
  TENFOLD_UNROLL
  for (int line = 0; line < 7; ++line) PrefetchWeights(b.ahead + part * (kQ6KBlockBytes / 8) + line * kLine);
}

// One super-block times M tokens, added to c: [16] of each token, `stride` floats from one to the next.
template <int M>
void AddBlock(const Block& b, const uint8_t* records, float* c, int64_t stride) {
  __m512 sums[1][M];
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) sums[0][m] = _mm512_setzero_ps();
  for (int h = 0; h < 2; ++h) {
    if (h == 1) ToSecondScale<1, M>(records, sums);
    if (M > kStreamTokens) PrefetchPart(b, 4 * h);
    AddQuarter<M, 0>(b, records, h, sums);
    if (M > kStreamTokens) PrefetchPart(b, 4 * h + 1);
    AddQuarter<M, 1>(b, records, h, sums);
    if (M > kStreamTokens) PrefetchPart(b, 4 * h + 2);
    AddQuarter<M, 2>(b, records, h, sums);
    if (M > kStreamTokens) PrefetchPart(b, 4 * h + 3);
    AddQuarter<M, 3>(b, records, h, sums);
  }
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    const __m512 scale = BroadcastFloat(records + m * kRecordKBytes + kRecordKScale + 4);
    float* out = c + m * stride;
    _mm512_store_ps(out, _mm512_fmadd_ps(sums[0][m], scale, _mm512_load_ps(out)));
  }
}

// The panel at a.w; a.c as tile rows [a.panels][16], already zero.
void RunPanel(const TileArgs& a) {
  using Fn = void (*)(const Block&, const uint8_t*, float*, int64_t);
  static constexpr Fn kGroup[kMaxGroup] = {AddBlock<1>, AddBlock<2>,  AddBlock<3>,  AddBlock<4>,
                                           AddBlock<5>, AddBlock<6>,  AddBlock<7>,  AddBlock<8>,
                                           AddBlock<9>, AddBlock<10>, AddBlock<11>, AddBlock<12>};
  const int64_t blocks = a.cols / 256;
  const int64_t stride = a.panels * kRows;
  const Groups groups = SplitTokens(a.tokens, kMaxGroup);
  Block b;
  for (int64_t kb = 0; kb < blocks; ++kb) {
    b.sb = a.w + ScaleHeaderBytes(blocks) + kb * kQ6KBlockBytes;
    b.ahead = b.sb + kStreamAhead;
    Decode(a.w + 32 * kb, &b);
    const uint8_t* records = a.records + static_cast<size_t>(kb) * a.block_stride;
    float* c = a.c;
    for (int64_t g = 0; g < groups.count; ++g) {
      const int64_t tokens = groups.SizeOf(g);
      b.ask = g == 0;
      kGroup[tokens - 1](b, records, c, stride);
      records += tokens * kRecordKBytes;
      c += tokens * stride;
    }
  }
}

}  // namespace

void DirectQ6K(const TileArgs& a) { OneByOne(a, RunPanel); }

}  // namespace tenfold::kernels::avx512vnni
