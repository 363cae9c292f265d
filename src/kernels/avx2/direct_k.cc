// Q4_K, Q5_K and Q6_K weights times int8 activations with vpmaddubsw, exact for every number of tokens.
//
// Products are summed in 16 bits and leave them through vpmaddwd with the sub-block's integer scale, so scaling is
// free. Why 16 bits are enough:
//   Q4_K: a lane takes 8 products of two pairs each: 8 * 2 * 15 * 127 = 30480 < 32768.
//   Q5_K: the same with 4 products: 4 * 2 * 31 * 127 = 31496, so a sub-block is scaled in two parts.
//   Q6_K: a lane starts from -32 * (the sum of its 8 activations) and takes 4 vpmaddubsw of at most 2 * 63 * 127 =
//   16002, which cannot saturate; the additions may wrap, but the true end, a sum of 8 products (q - 32) * x, is at
//   most 8 * 32 * 127 = 32512, so the wrapped end is right.
// There is no requantised panel path: int8 weights would need every product widened at once (32 multiplications a cycle
// at most on a CPU that starts two vpmaddubsw), while this exact path reaches 36 of 64 from cache.
//
// What holds it there on Zen 4: vpmaddubsw, vpmaddwd and multiply-adds share two pipes, of which products alone take
// 64 of 84 slots; an addition that waits for its product is sent to one of those two pipes often enough that loops of
// nothing but vpmaddubsw and vpaddw stop at 52. Tried, in assembly loops of one sub-block:
//   2 x 3, 2 x 4, 2 x 5, 2 x 6 registers (rows x tokens)         32, 32, 34, 35 with scales and mins
//   additions up to 7 products late; idle instructions between   no more than 3 % better; nothing
//   two sets of sums, one scaled while the other fills           slower: each needs half of the registers
//   quants less 8, so that 32 columns fit one 16-bit sum and     38, but for each tile the activations would have to be
//   two sub-blocks share a vpmaddwd; integer mins                reordered, which takes most of that back
#include "kernels/avx2/matmul_avx2.h"
#include "kernels/avx2/unpack_k.h"

namespace tenfold::kernels::avx2 {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose
using namespace ymm;     // NOLINT(google-build-using-namespace): as above

// Sums of products of M tokens and the 16 rows of a panel, in two registers of 8 rows.
template <int M>
using Sums = __m256i[M][2];

// acc16 += the pair sums of u8 * s8. In assembly because GCC 12 gathers the additions of an unrolled loop at its end,
// and spills every product on the way: 1.5 times slower.
TENFOLD_YMM_INLINE void DotPairs(__m256i& acc16, __m256i u8, __m256i s8) {
  __m256i products;
  asm("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(acc16), "=&x"(products) : "x"(u8), "x"(s8));
}

// acc16 = quads [begin, begin + N) of the block times the records' bytes from x on; added to what is there if kAdd.
template <int M, int N, bool kAdd>
TENFOLD_YMM_INLINE void DotQuads(const Quants& q, int begin, const uint8_t* x, Sums<M>& acc16) {
  TENFOLD_UNROLL
  for (int quad = 0; quad < N; ++quad) {
    const __m256i w0 = Load(q.Quad(begin + quad));
    const __m256i w1 = Load(q.Quad(begin + quad) + 32);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m256i xm = BroadcastQuad(x + m * kRecordKBytes + 4 * quad);
      if (kAdd || quad > 0) {
        DotPairs(acc16[m][0], w0, xm);
        DotPairs(acc16[m][1], w1, xm);
      } else {
        acc16[m][0] = _mm256_maddubs_epi16(w0, xm);
        acc16[m][1] = _mm256_maddubs_epi16(w1, xm);
      }
    }
  }
}

// sum32 += scale * acc16, the two 16-bit parts of each lane joined.
template <int M>
TENFOLD_YMM_INLINE void ScaleInto(const Sums<M>& acc16, const int32_t* pairs, Sums<M>& sum32) {
  TENFOLD_UNROLL
  for (int r = 0; r < 2; ++r) {
    const __m256i scale = Load(pairs + 8 * r);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) sum32[m][r] = _mm256_add_epi32(sum32[m][r], _mm256_madd_epi16(acc16[m][r], scale));
  }
}

// c += d * (the records' scale of half h) * sum32.
template <int M>
TENFOLD_YMM_INLINE void AddHalf(const Sums<M>& sum32, const float* d, const uint8_t* records, int h, float* c,
                                int64_t c_stride) {
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    const __m256 x_scale = BroadcastFloat(records + m * kRecordKBytes + kRecordKScale + 4 * h);
    TENFOLD_UNROLL
    for (int r = 0; r < 2; ++r) {
      float* const out = c + m * c_stride + 8 * r;
      const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(sum32[m][r]), _mm256_load_ps(d + 8 * r));
      _mm256_store_ps(out, _mm256_fmadd_ps(scaled, x_scale, _mm256_load_ps(out)));
    }
  }
}

struct Q4K {
  static constexpr int kBytes = kQ4KBlockBytes;
  static constexpr int kQuads = 8;  // that a 16-bit lane may take
  TENFOLD_YMM_INLINE void Unpack(const uint8_t* sb, Quants* out) { UnpackQ4K(sb, out); }
};
struct Q5K {
  static constexpr int kBytes = kQ5KBlockBytes;
  static constexpr int kQuads = 4;
  TENFOLD_YMM_INLINE void Unpack(const uint8_t* sb, Quants* out) { UnpackQ5K(sb, out); }
};

template <class Format>
struct AffineK {
  static constexpr int kMaxGroup = 6;
  struct alignas(64) Block {
    Quants quants;
    int32_t pairs[8][kRows];  // scale | scale << 16
    float min[8][kRows];
    float d[kRows];
  };
  template <int M>
  struct TokenGroup {};
  template <int M>
  static void Begin(const uint8_t*, TokenGroup<M>*) {}

  static void Prepare(const uint8_t* panel, int64_t kb, int64_t, Block* out) {
    const uint8_t* const sb = panel + kb * Format::kBytes;
    PrefetchWeights(sb, Format::kBytes);
    Q4KScaleBytes bytes;
    DecodeQ4KScales(sb, &bytes);
    DecodeQ4KMins(sb, bytes, out->min);
    for (int r = 0; r < 2; ++r) _mm256_store_ps(out->d + 8 * r, LoadHalves(sb + 16 * r));
    // Rows 0-3 and 4-7 (or 8-11 and 12-15), each byte zero-extended twice.
    const __m256i spread = _mm256_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3, -1,  //
                                            4, -1, 4, -1, 5, -1, 5, -1, 6, -1, 6, -1, 7, -1, 7, -1);
    const __m256i spread_high = _mm256_add_epi8(spread, _mm256_set1_epi16(8));
    for (int j = 0; j < 8; ++j) {
      const __m128i rows = _mm_load_si128(reinterpret_cast<const __m128i*>(bytes.scale[j]));
      const __m256i both = _mm256_broadcastsi128_si256(rows);
      Store(out->pairs[j], _mm256_shuffle_epi8(both, spread));
      Store(out->pairs[j] + 8, _mm256_shuffle_epi8(both, spread_high));
    }
    Format::Unpack(sb, &out->quants);
  }

  template <int M>
  static void Add(const Block& b, const uint8_t* records, const TokenGroup<M>&, float* c, int64_t c_stride) {
    for (int h = 0; h < 2; ++h) {
      Sums<M> sum32 = {};
      for (int j = 4 * h; j < 4 * h + 4; ++j) {
        for (int quad = 0; quad < 8; quad += Format::kQuads) {
          Sums<M> acc16;
          DotQuads<M, Format::kQuads, false>(b.quants, 8 * j + quad, records + 32 * j + 4 * quad, acc16);
          ScaleInto<M>(acc16, b.pairs[j], sum32);
        }
      }
      AddHalf<M>(sum32, b.d, records, h, c, c_stride);
    }
    SubtractMins<M>(b.min, records, c, c_stride);
  }
};

struct Q6K {
  static constexpr int kMaxGroup = 6;
  struct alignas(64) Block {
    Quants quants;
    int32_t pairs[16][kRows];
    float d[kRows];
  };
  // What the lanes of each 16 columns start from: two 16-bit numbers, -32 times the sums of the activations that meet
  // in the lower and upper part of a lane. Steps are kept in the order of Slot().
  template <int M>
  struct alignas(64) TokenGroup {
    int32_t start[M][16];
  };
  static constexpr int Slot(int step) { return step / 8 * 8 + step % 2 * 4 + step % 8 / 2; }

  template <int M>
  static void Begin(const uint8_t* records, TokenGroup<M>* out) {
    const __m256i ones = _mm256_set1_epi8(1);
    for (int m = 0; m < M; ++m) {
      for (int h = 0; h < 2; ++h) {
        const uint8_t* const x = records + m * kRecordKBytes + 128 * h;
        // Pair sums of 8 quads each; then a sum over the 4 quads of each step while transposing.
        const __m256i a = _mm256_maddubs_epi16(ones, Load(x));
        const __m256i b = _mm256_maddubs_epi16(ones, Load(x + 32));
        const __m256i c = _mm256_maddubs_epi16(ones, Load(x + 64));
        const __m256i d = _mm256_maddubs_epi16(ones, Load(x + 96));
        const __m256i ab = _mm256_add_epi16(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
        const __m256i cd = _mm256_add_epi16(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
        const __m256i sum = _mm256_add_epi16(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
        Store(out->start[m] + 8 * h, _mm256_sub_epi16(_mm256_setzero_si256(), _mm256_slli_epi16(sum, 5)));
      }
    }
  }

  static void Prepare(const uint8_t* panel, int64_t kb, int64_t cols, Block* out) {
    const uint8_t* const sb = panel + ScaleHeaderBytes(cols / 256) + kb * kQ6KBlockBytes;
    PrefetchWeights(sb, kQ6KBlockBytes);
    for (int r = 0; r < 2; ++r) _mm256_store_ps(out->d + 8 * r, LoadHalves(panel + 32 * kb + 16 * r));
    // Each signed byte into the upper half of two 16-bit lanes, then shifted down.
    const __m256i spread = _mm256_setr_epi8(-1, 0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3,  //
                                            -1, 4, -1, 4, -1, 5, -1, 5, -1, 6, -1, 6, -1, 7, -1, 7);
    const __m256i spread_high = _mm256_add_epi8(spread, _mm256_set1_epi16(0x0800));
    for (int j = 0; j < 16; ++j) {
      const __m128i rows = _mm_load_si128(reinterpret_cast<const __m128i*>(sb + 16 * j));
      const __m256i both = _mm256_broadcastsi128_si256(rows);
      Store(out->pairs[j], _mm256_srai_epi16(_mm256_shuffle_epi8(both, spread), 8));
      Store(out->pairs[j] + 8, _mm256_srai_epi16(_mm256_shuffle_epi8(both, spread_high), 8));
    }
    UnpackQ6K(sb, &out->quants);
  }

  template <int M>
  static void Add(const Block& b, const uint8_t* records, const TokenGroup<M>& group, float* c, int64_t c_stride) {
    for (int h = 0; h < 2; ++h) {
      Sums<M> sum32 = {};
      for (int j = 8 * h; j < 8 * h + 8; ++j) {
        Sums<M> acc16;
        TENFOLD_UNROLL
        for (int m = 0; m < M; ++m) acc16[m][0] = acc16[m][1] = _mm256_set1_epi32(group.start[m][Slot(j)]);
        DotQuads<M, 4, true>(b.quants, 4 * j, records + 16 * j, acc16);
        ScaleInto<M>(acc16, b.pairs[j], sum32);
      }
      AddHalf<M>(sum32, b.d, records, h, c, c_stride);
    }
  }
};

}  // namespace

void DirectQ4K(const TileArgs& a) { RunK<AffineK<Q4K>>(a); }
void DirectQ5K(const TileArgs& a) { RunK<AffineK<Q5K>>(a); }
void DirectQ6K(const TileArgs& a) { RunK<Q6K>(a); }

}  // namespace tenfold::kernels::avx2
