// Q6_K weights requantised to int8, one scale per row and 128 columns, then multiplied as plain int8 matrices. As
// panel_q45k.cc, with sub-blocks of 16 columns and no mins.
#include "kernels/avx512vnni/panel_ahead.h"

namespace tenfold::kernels::avx512vnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

struct Q6KScales {
  Scaling scaling;
  __m512 a_unit[2];  // factors of a scale of 1, of each half

  TENFOLD_INLINE_MEMBER void Decode(BlockPlace place) {
    DecodePiece<0>(place);
    DecodePiece<1>(place);
    DecodePiece<2>(place);
    DecodePiece<3>(place);
  }
  // In kPieces parts, for panel_ahead.h.
  static constexpr int kPieces = 4;
  __m512 d, largest[2];
  template <int kPiece>
  TENFOLD_INLINE_MEMBER void DecodePiece(BlockPlace place) {
    if constexpr (kPiece < 2) {
      if constexpr (kPiece == 0) d = LoadHalves(place.d);
      // [sub-block 0..3][row], and the other four; then one sub-block's worth.
      const __m512i eight = _mm512_max_epu8(_mm512_abs_epi8(LoadLine(place.sb + 128 * kPiece)),
                                            _mm512_abs_epi8(LoadLine(place.sb + 128 * kPiece + kLine)));
      const __m512i four = _mm512_max_epu8(eight, _mm512_shuffle_i64x2(eight, eight, 0x4E));
      const __m512i two = _mm512_max_epu8(four, _mm512_shuffle_i64x2(four, four, 0xB1));
      const __m512 most = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm512_castsi512_si128(two)));
      largest[kPiece] = _mm512_mul_ps(most, _mm512_mul_ps(_mm512_abs_ps(d), _mm512_set1_ps(32)));
    } else if constexpr (kPiece == 2) {
      scaling.Set(largest[0], largest[1]);
    } else {
      TENFOLD_UNROLL
      for (int h = 0; h < 2; ++h) a_unit[h] = _mm512_mul_ps(d, scaling.inverse[h]);
    }
  }
  TENFOLD_INLINE_MEMBER Affine Of(const uint8_t* sb, int j) const {
    const __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(SignedBytesToFloats(sb + 16 * j), a_unit[j / 8]));
    return {Twice(a), Twice(_mm512_sub_epi32(_mm512_set1_epi32(kOffsetAndHalf), _mm512_slli_epi32(a, 5)))};
  }
};

struct Q6K {
  static constexpr int kBytes = kQ6KBlockBytes;
  static constexpr size_t HeaderBytes(int64_t blocks) { return ScaleHeaderBytes(blocks); }
  using Scales = Q6KScales;
  struct State {};
  static void Begin(const Scales&, State*) {}
  static void DecodeAll(BlockPlace place, Scales* out) { out->Decode(place); }

  template <class Sink>
  TENFOLD_INLINE void Walk(const uint8_t* sb, const Scales& scales, BlockPlace next, Scales* next_scales, State*,
                           Sink& sink) {
    for (int h = 0; h < 2; ++h) {
      if (h == 1) sink.Half();
      Quarter<0>(sb, scales, h, sink);
      Quarter<1>(sb, scales, h, sink);
      if (h == 1) next_scales->Decode(next);
      Quarter<2>(sb, scales, h, sink);
      Quarter<3>(sb, scales, h, sink);
    }
  }

  // Quarter Q of half h: two sub-blocks.
  template <int Q, class Sink>
  TENFOLD_INLINE void Quarter(const uint8_t* sb, const Scales& scales, int h, Sink& sink) {
    constexpr int kShift = Q < 3 ? 0 : 2;  // quarter 3 comes as 4 times its value
    const Affine f[2] = {scales.Of(sb, 8 * h + 2 * Q), scales.Of(sb, 8 * h + 2 * Q + 1)};
    TENFOLD_UNROLL
    for (int quad = 0; quad < 8; ++quad) {
      if (quad < 7) PrefetchHere(sink.ahead + (4 * h + Q) * (kBytes / 8) + quad * kLine);
      const __m512i q = LoadQ6K<Q>(sb + kQ6KQuants + 3 * kQ6KPlaneBytes * h + quad * kLine);
      const __m512i even = _mm512_and_si512(_mm512_srli_epi16(q, kShift), _mm512_set1_epi16(63));
      sink.Add(Convert(even, _mm512_srli_epi16(q, 8 + kShift), f[quad / 4]), 32 * h + 8 * Q + quad);
    }
  }
};

// The conversion ahead: a line in each step. Zen 4, 16 / 12 tokens, from L2 49.3 / 45.7 MAC/cycle, each line converted
// right before its products 43.6 / 41.0. From memory 48.1 / 44.5; with a first-level prefetch two super-blocks ahead
// and nothing else 45.5 / 39.4, second-level ones alone 41 or less. (Q4_K, of two thirds of the bytes, is best off
// with the former.)
struct Q6KAhead {
  static constexpr int kBytes = kQ6KBlockBytes;
  static constexpr int64_t kNear = kBytes;
  static constexpr int64_t kFar = kStreamAhead;
  static constexpr size_t HeaderBytes(int64_t blocks) { return ScaleHeaderBytes(blocks); }
  using Scales = Q6KScales;

  Affine factors[2];  // of even and odd sub-blocks
  BlockPlace next;
  const uint8_t* sb;
  const Scales* scales;  // of the super-block that is converted
  Scales* next_scales;   // of the one after it
  uint8_t (*out)[kLine];

  TENFOLD_INLINE_MEMBER void Begin(BlockPlace first, Scales* first_scales) {
    first_scales->Decode(first);
    factors[0] = first_scales->Of(first.sb, 0);
  }
  TENFOLD_INLINE_MEMBER void Aim(BlockPlace to_convert, const Scales* its_scales, BlockPlace after,
                                 Scales* after_scales, uint8_t (*lines)[kLine]) {
    sb = to_convert.sb;
    scales = its_scales;
    next = after;
    next_scales = after_scales;
    out = lines;
  }
  template <int kStep>
  TENFOLD_INLINE_MEMBER void Step() {
    constexpr int kHalf = kStep / 32;
    constexpr int kQuarter = kStep / 8 % 4;
    constexpr int kQuad = kStep % 8;
    constexpr int kSub = kStep / 4;
    constexpr int kShift = kQuarter < 3 ? 0 : 2;  // quarter 3 comes as 4 times its value
    const __m512i q = LoadQ6K<kQuarter>(sb + kQ6KQuants + 3 * kQ6KPlaneBytes * kHalf + kQuad * kLine);
    const __m512i even = _mm512_and_si512(_mm512_srli_epi16(q, kShift), _mm512_set1_epi16(63));
    _mm512_store_si512(out[kStep], Convert(even, _mm512_srli_epi16(q, 8 + kShift), factors[kSub % 2]));
    if constexpr (kStep % 4 == 2) {
      factors[(kSub + 1) % 2] = kSub < 15 ? scales->Of(sb, kSub + 1) : next_scales->Of(next.sb, 0);
    }
    if constexpr (kStep % 8 == 4 && kStep / 8 < Scales::kPieces) next_scales->DecodePiece<kStep / 8>(next);
  }
};

}  // namespace

void PanelQ6K(const TileArgs& a) {
  if (a.tokens > kMaxAhead) return RunPanel<Q6K>(a);
  ClearTile(a);
  RunAheadOf<Q6KAhead>(a);
}

}  // namespace tenfold::kernels::avx512vnni
