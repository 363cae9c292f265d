// Layouts with an activation scale per 32 columns times int8 activations with vpmaddubsw, exact for every number of
// tokens: bytes (Q8_0 and the Int8 layouts) and nibbles (Q4_0, Q4_1).
//
// vpmaddubsw takes one unsigned side. Bytes: the magnitude of the weight, and the activation with the weight's sign
// moved to it. A product pair is at most 2 * 128 * 127 = 32512, so each fits 16 bits but two do not: every product is
// widened at once. Nibbles are unsigned: 8 products of two pairs are at most 8 * 2 * 15 * 127 = 30480, so they are
// summed in 16 bits and widened once; the 8 that Q4_0 subtracts is taken out with the record's -128 * sum.
#include "kernels/avx2/matmul_avx2.h"
#include "kernels/avx2/views_32.h"

namespace tenfold::kernels::avx2 {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose
using namespace ymm;     // NOLINT(google-build-using-namespace): as above

// acc += the quad sums of u8 * s8. In assembly for the reason given in direct_k.cc.
TENFOLD_YMM_INLINE void DotQuad(__m256i& acc, __m256i u8, __m256i s8, __m256i ones) {
  __m256i products;
  asm("vpmaddubsw %3, %2, %1\n\tvpmaddwd %4, %1, %1\n\tvpaddd %1, %0, %0"
      : "+x"(acc), "=&x"(products)
      : "x"(u8), "x"(s8), "x"(ones));
}
// acc16 += the pair sums of u8 * s8.
TENFOLD_YMM_INLINE void DotPairs(__m256i& acc16, __m256i u8, __m256i s8) {
  __m256i products;
  asm("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(acc16), "=&x"(products) : "x"(u8), "x"(s8));
}

struct Bytes {
  static constexpr int kMaxGroup = 4;

  template <class View, int M>
  static void AddBlock(const View& view, const uint8_t* records, int64_t b, float* c, int64_t c_stride) {
    const __m256i flip = _mm256_set1_epi8(static_cast<char>(0x80));
    const __m256i ones = _mm256_set1_epi16(1);
    constexpr int kQuads = View::kStep / 4;
    for (int s = 0; s < 32 / View::kStep; ++s) {
      __m256i acc[M][2] = {};
      const uint8_t* const w_at = view.quants + s * kQuads * kLine;
      const uint8_t* const x = records + 32 * (b % 8) + View::kStep * s;
      TENFOLD_UNROLL
      for (int quad = 0; quad < kQuads; ++quad) {
        TENFOLD_UNROLL
        for (int r = 0; r < 2; ++r) {
          const __m256i w = _mm256_xor_si256(flip, Load(w_at + quad * kLine + 32 * r));
          const __m256i magnitude = _mm256_abs_epi8(w);
          TENFOLD_UNROLL
          for (int m = 0; m < M; ++m) {
            const __m256i xm = _mm256_sign_epi8(BroadcastQuad(x + m * kRecord8Bytes + 4 * quad), w);
            DotQuad(acc[m][r], magnitude, xm, ones);
          }
        }
      }
      AddScaled<View, M>(view, s, acc, records, b, c, c_stride);
    }
  }
};

struct Nibbles {
  static constexpr int kMaxGroup = 4;

  template <class View, int M>
  static void AddBlock(const View& view, const uint8_t* records, int64_t b, float* c, int64_t c_stride) {
    const __m256i low4 = _mm256_set1_epi8(0x0F);
    __m256i acc[M][2] = {};
    const uint8_t* const x = records + 32 * (b % 8);
    TENFOLD_UNROLL
    for (int quad = 0; quad < 4; ++quad) {
      TENFOLD_UNROLL
      for (int r = 0; r < 2; ++r) {
        const __m256i line = Load(view.quants + quad * kLine + 32 * r);
        const __m256i low = _mm256_and_si256(line, low4);
        const __m256i high = _mm256_and_si256(_mm256_srli_epi16(line, 4), low4);
        TENFOLD_UNROLL
        for (int m = 0; m < M; ++m) {
          DotPairs(acc[m][r], low, BroadcastQuad(x + m * kRecord8Bytes + 4 * quad));
          DotPairs(acc[m][r], high, BroadcastQuad(x + m * kRecord8Bytes + 16 + 4 * quad));
        }
      }
    }
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      // -128 * sum / 16 = -8 * sum.
      const __m256i off = BroadcastQuad(OffAt<32>(records + m * kRecord8Bytes, b, 0));
      const __m256i start = View::kOffset ? _mm256_setzero_si256() : _mm256_srai_epi32(off, 4);
      TENFOLD_UNROLL
      for (int r = 0; r < 2; ++r) {
        acc[m][r] = _mm256_add_epi32(start, _mm256_madd_epi16(acc[m][r], _mm256_set1_epi16(1)));
      }
    }
    AddScaled<View, M>(view, 0, acc, records, b, c, c_stride);
  }
};

}  // namespace

void DirectQ8_0(const TileArgs& a) { Run32<Bytes, Q8View>(a); }
void DirectQ4_0(const TileArgs& a) { Run32<Nibbles, Q40View>(a); }
void DirectQ4_1(const TileArgs& a) { Run32<Nibbles, Q41View>(a); }
void DirectInt8By32(const TileArgs& a) { Run32<Bytes, Int8View<32, false>>(a); }
void DirectInt8By32Offset(const TileArgs& a) { Run32<Bytes, Int8View<32, true>>(a); }
void DirectInt8By16(const TileArgs& a) { Run32<Bytes, Int8View<16, false>>(a); }
void DirectInt8By16Offset(const TileArgs& a) { Run32<Bytes, Int8View<16, true>>(a); }

}  // namespace tenfold::kernels::avx2
