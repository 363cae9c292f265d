// Layouts with an activation scale per 32 columns times int8 activations with vpdpbusd on 8 rows, exact for every
// number of tokens: bytes (Q8_0 and the Int8 layouts) and nibbles (Q4_0, Q4_1).
//
// Bytes are stored with 128 added; the lanes start from the record's -128 * sum, which takes it out again. Nibbles: the
// high ones are used in place, as 16 times their value, first; a shift then brings the sums down, and with them the
// start of -128 * sum to the -8 * sum that Q4_0 asks for; the low nibbles follow.
#include "kernels/avx2/views_32.h"
#include "kernels/avxvnni/matmul_avxvnni.h"

namespace tenfold::kernels::avxvnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose
using namespace ymm;     // NOLINT(google-build-using-namespace): as above

struct Bytes {
  static constexpr int kMaxGroup = 6;  // 12 accumulators, two weights, one activation

  template <class View, int M>
  static void AddBlock(const View& view, const uint8_t* records, int64_t b, float* c, int64_t c_stride) {
    constexpr int kQuads = View::kStep / 4;
    for (int s = 0; s < 32 / View::kStep; ++s) {
      __m256i acc[M][2];
      TENFOLD_UNROLL
      for (int m = 0; m < M; ++m) {
        acc[m][0] = acc[m][1] = BroadcastQuad(OffAt<View::kStep>(records + m * kRecord8Bytes, b, s));
      }
      const uint8_t* const w_at = view.quants + s * kQuads * kLine;
      const uint8_t* const x = records + 32 * (b % 8) + View::kStep * s;
      TENFOLD_UNROLL
      for (int quad = 0; quad < kQuads; ++quad) {
        const __m256i w0 = Load(w_at + quad * kLine);
        const __m256i w1 = Load(w_at + quad * kLine + 32);
        TENFOLD_UNROLL
        for (int m = 0; m < M; ++m) {
          const __m256i xm = BroadcastQuad(x + m * kRecord8Bytes + 4 * quad);
          Dot4(acc[m][0], w0, xm);
          Dot4(acc[m][1], w1, xm);
        }
      }
      AddScaled<View, M>(view, s, acc, records, b, c, c_stride);
    }
  }
};

struct Nibbles {
  static constexpr int kMaxGroup = 6;

  // acc += the nibbles under `mask` times the 16 activation bytes from x on.
  template <int M>
  TENFOLD_YMM_INLINE void AddHalf(const uint8_t* quants, __m256i mask, const uint8_t* x, __m256i (&acc)[M][2]) {
    TENFOLD_UNROLL
    for (int quad = 0; quad < 4; ++quad) {
      const __m256i w0 = _mm256_and_si256(mask, Load(quants + quad * kLine));
      const __m256i w1 = _mm256_and_si256(mask, Load(quants + quad * kLine + 32));
      TENFOLD_UNROLL
      for (int m = 0; m < M; ++m) {
        const __m256i xm = BroadcastQuad(x + m * kRecord8Bytes + 4 * quad);
        Dot4(acc[m][0], w0, xm);
        Dot4(acc[m][1], w1, xm);
      }
    }
  }

  template <class View, int M>
  static void AddBlock(const View& view, const uint8_t* records, int64_t b, float* c, int64_t c_stride) {
    __m256i acc[M][2];
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m256i off = BroadcastQuad(OffAt<32>(records + m * kRecord8Bytes, b, 0));
      acc[m][0] = acc[m][1] = View::kOffset ? _mm256_setzero_si256() : off;
    }
    const uint8_t* const x = records + 32 * (b % 8);
    AddHalf<M>(view.quants, _mm256_set1_epi8(static_cast<char>(0xF0)), x + 16, acc);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      TENFOLD_UNROLL
      for (int r = 0; r < 2; ++r) acc[m][r] = _mm256_srai_epi32(acc[m][r], 4);
    }
    AddHalf<M>(view.quants, _mm256_set1_epi8(0x0F), x, acc);
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

}  // namespace tenfold::kernels::avxvnni
