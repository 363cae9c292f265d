// Q4_K and Q5_K weights requantised to int8, one scale per row and 128 columns, then multiplied as plain int8 matrices:
// the path for more than about ten tokens. How: panel_convert.h; the tokens after the first group: panel_rest.cc.
//
// Scales finer than 128 columns were tried: per 64, the rounding of Gaussian weights falls from 3.9e-5 to 3.1e-5 of
// their power, beside 4.3e-5 from the activations, for 5 % of the speed; per 256 it is 4.7e-5 and no faster.
#include "kernels/avx512vnni/panel_convert.h"

namespace tenfold::kernels::avx512vnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

struct Q4K {
  static constexpr int kBytes = kQ4KBlockBytes;
  static constexpr size_t HeaderBytes(int64_t) { return 0; }
  using Scales = AffineScales<15>;
  static void DecodeAll(BlockPlace place, Scales* out) {
    out->Decode<0>(place.sb, place.d);
    out->Decode<1>(place.sb, place.d);
    out->Decode<2>(place.sb, place.d);
    out->Decode<3>(place.sb, place.d);
  }

  template <class Sink>
  TENFOLD_INLINE void Walk(const uint8_t* sb, const Scales& scales, BlockPlace next, Scales* next_scales, Sink& sink) {
    Group<0>(sb, scales, next, next_scales, sink);
    Group<1>(sb, scales, next, next_scales, sink);
    sink.Half();
    Group<2>(sb, scales, next, next_scales, sink);
    Group<3>(sb, scales, next, next_scales, sink);
  }

  // 64 columns: sub-blocks 2g and 2g + 1.
  template <int g, class Sink>
  TENFOLD_INLINE void Group(const uint8_t* sb, const Scales& scales, BlockPlace next, Scales* next_scales, Sink& sink) {
    const __m512i low4 = _mm512_set1_epi16(15);
    const Affine low = scales.Of(2 * g);
    const Affine high = scales.Of(2 * g + 1);
    TENFOLD_UNROLL
    for (int quad = 0; quad < 8; ++quad) {
      PrefetchHere(sink.ahead + (9 * g + quad) * kLine);
      const __m512i q = LoadLine(sb + kQ4KQuants + (8 * g + quad) * kLine);
      const __m512i q4 = _mm512_srli_epi16(q, 4);
      const __m512i q8 = _mm512_srli_epi16(q, 8);
      sink.Add(Convert(_mm512_and_si512(q, low4), _mm512_and_si512(q8, low4), low), 16 * g + quad);
      sink.Add(Convert(_mm512_and_si512(q4, low4), _mm512_srli_epi16(q, 12), high), 16 * g + 8 + quad);
      if (quad == 3) next_scales->template Decode<g>(next.sb, next.d);
    }
    PrefetchHere(sink.ahead + (9 * g + 8) * kLine);
  }
};

struct Q5K {
  static constexpr int kBytes = kQ5KBlockBytes;
  static constexpr size_t HeaderBytes(int64_t) { return 0; }
  using Scales = AffineScales<31>;
  static void DecodeAll(BlockPlace place, Scales* out) {
    out->Decode<0>(place.sb, place.d);
    out->Decode<1>(place.sb, place.d);
    out->Decode<2>(place.sb, place.d);
    out->Decode<3>(place.sb, place.d);
  }

  template <class Sink>
  TENFOLD_INLINE void Walk(const uint8_t* sb, const Scales& scales, BlockPlace next, Scales* next_scales, Sink& sink) {
    SubBlock<0>(sb, scales, 0, sink);
    next_scales->template Decode<0>(next.sb, next.d);
    for (int j = 1; j < 4; ++j) SubBlock<0>(sb, scales, j, sink);
    next_scales->template Decode<1>(next.sb, next.d);
    sink.Half();
    SubBlock<0>(sb, scales, 4, sink);
    next_scales->template Decode<2>(next.sb, next.d);
    for (int j = 5; j < 7; ++j) SubBlock<1>(sb, scales, j, sink);
    next_scales->template Decode<3>(next.sb, next.d);
    SubBlock<2>(sb, scales, 7, sink);
  }

  template <int kClass, class Sink>
  TENFOLD_INLINE void SubBlock(const uint8_t* sb, const Scales& scales, int j, Sink& sink) {
    constexpr int kShift = kClass == 0 ? 0 : 3;  // classes 1 and 2 come as 8 times their value
    const Affine f = scales.Of(j);
    TENFOLD_UNROLL
    for (int quad = 0; quad < 8; ++quad) {
      if (quad < 6) PrefetchHere(sink.ahead + j * (kBytes / 8) + quad * kLine);
      const __m512i q = LoadQ5K<kClass>(sb + kQ5KQuants + quad * kLine, j);
      const __m512i even = _mm512_and_si512(_mm512_srli_epi16(q, kShift), _mm512_set1_epi16(31));
      sink.Add(Convert(even, _mm512_srli_epi16(q, 8 + kShift), f), 8 * j + quad);
    }
  }
};

}  // namespace

void PanelQ4K(const TileArgs& a) { RunPanel<Q4K>(a); }
void PanelQ5K(const TileArgs& a) { RunPanel<Q5K>(a); }

}  // namespace tenfold::kernels::avx512vnni
