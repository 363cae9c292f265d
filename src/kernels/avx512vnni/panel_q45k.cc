// Q4_K and Q5_K weights requantised to int8, one scale per row and 128 columns, then multiplied as plain int8 matrices:
// the path for more than about ten tokens. How: panel_convert.h; the tokens after the first group: panel_rest.cc.
//
// Scales finer than 128 columns were tried: per 64, the rounding of Gaussian weights falls from 3.9e-5 to 3.1e-5 of
// their power, beside 4.3e-5 from the activations, for 5 % of the speed; per 256 it is 4.7e-5 and no faster.
#include "kernels/avx512vnni/panel_ahead.h"

namespace tenfold::kernels::avx512vnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

// A 4 x 4 transpose in each 128-bit lane: in one direction from quads of 16 rows to 16 columns of four rows, row 4 *
// lane
// + i in vector i; in the other back again.
struct Four {
  __m512i v[4];
};
TENFOLD_INLINE Four Transpose(Four f) {
  const __m512i t0 = _mm512_unpacklo_epi32(f.v[0], f.v[1]);
  const __m512i t1 = _mm512_unpackhi_epi32(f.v[0], f.v[1]);
  const __m512i t2 = _mm512_unpacklo_epi32(f.v[2], f.v[3]);
  const __m512i t3 = _mm512_unpackhi_epi32(f.v[2], f.v[3]);
  return {{_mm512_unpacklo_epi64(t0, t2), _mm512_unpackhi_epi64(t0, t2), _mm512_unpacklo_epi64(t1, t3),
           _mm512_unpackhi_epi64(t1, t3)}};
}

// The converted values of the 16 quants of each row: row 4 * lane + i in lane `lane` of vector i.
TENFOLD_INLINE Four Table(Affine f) {
  const __m512i two = _mm512_add_epi16(f.a, f.a);
  const __m512i four = _mm512_add_epi16(two, two);
  __m512i even = _mm512_add_epi16(f.b, _mm512_maskz_mov_epi16(0xAAAAAAAAu, two));
  __m512i odd = _mm512_add_epi16(even, f.a);
  Four rows;
  TENFOLD_UNROLL
  for (int k = 0; k < 4; ++k) {
    rows.v[k] = _mm512_mask_blend_epi8(0xAAAAAAAAAAAAAAAAull, _mm512_srli_epi16(even, 8), odd);
    even = _mm512_add_epi16(even, four);
    odd = _mm512_add_epi16(odd, four);
  }
  return Transpose(rows);
}

// By table: the 16 values of each row and sub-block are worked out once for 32 columns, and looked up without the
// multipliers. That is as many operations as converting by multiplication, but all of them run beside the products.
// (Tables for all 16 rows at once, by two-source permutes, are no use: those, and moving bits to mask registers, take
// the multipliers' ports.)
struct Q4K {
  static constexpr int kBytes = kQ4KBlockBytes;
  static constexpr size_t HeaderBytes(int64_t) { return 0; }
  using Scales = AffineScales<15>;
  using State = Four;
  static void Begin(const Scales& scales, State* state) { *state = Table(scales.Of(0)); }
  static void DecodeAll(BlockPlace place, Scales* out) {
    out->Decode<0>(place.sb, place.d);
    out->Decode<1>(place.sb, place.d);
    out->Decode<2>(place.sb, place.d);
    out->Decode<3>(place.sb, place.d);
  }

  template <class Sink>
  TENFOLD_INLINE void Walk(const uint8_t* sb, const Scales& scales, BlockPlace next, Scales* next_scales, State* state,
                           Sink& sink) {
    Four table = *state;
    SubBlock<0>(sb, scales, *next_scales, table, sink);
    next_scales->template Decode<0>(next.sb, next.d);
    SubBlock<1>(sb, scales, *next_scales, table, sink);
    SubBlock<2>(sb, scales, *next_scales, table, sink);
    next_scales->template Decode<1>(next.sb, next.d);
    SubBlock<3>(sb, scales, *next_scales, table, sink);
    sink.Half();
    SubBlock<4>(sb, scales, *next_scales, table, sink);
    next_scales->template Decode<2>(next.sb, next.d);
    SubBlock<5>(sb, scales, *next_scales, table, sink);
    SubBlock<6>(sb, scales, *next_scales, table, sink);
    next_scales->template Decode<3>(next.sb, next.d);
    SubBlock<7>(sb, scales, *next_scales, table, sink);
    *state = table;
  }

  // Sub-block j; table: its own, afterwards the next one's.
  template <int j, class Sink>
  TENFOLD_INLINE void SubBlock(const uint8_t* sb, const Scales& scales, const Scales& next_scales, Four& table,
                               Sink& sink) {
    const __m512i low4 = _mm512_set1_epi8(15);
    const uint8_t* lines = sb + kQ4KQuants + j / 2 * 8 * kLine;
    TENFOLD_UNROLL
    for (int part = 0; part < 2; ++part) {
      Four f;
      TENFOLD_UNROLL
      for (int k = 0; k < 4; ++k) f.v[k] = LoadLine(lines + (4 * part + k) * kLine);
      f = Transpose(f);
      TENFOLD_UNROLL
      for (int k = 0; k < 4; ++k) {
        const __m512i q = j % 2 == 0 ? f.v[k] : _mm512_srli_epi16(f.v[k], 4);
        f.v[k] = _mm512_shuffle_epi8(table.v[k], _mm512_and_si512(q, low4));
      }
      f = Transpose(f);
      if (part == 1) table = Table(j < 7 ? scales.Of(j + 1) : next_scales.Of(0));
      TENFOLD_UNROLL
      for (int k = 0; k < 4; ++k) {
        if (part == 0 || k == 0) PrefetchHere(sink.ahead + (9 * j / 2 + 4 * part + k) * kLine);
        sink.Add(f.v[k], 8 * j + 4 * part + k);
      }
    }
  }
};

// The conversion ahead: a pair of sub-blocks, which share their lines and one of three transposes, in 16 steps; beside
// them the tables of the next pair, and a piece of the scales of the super-block after the next. Zen 4, 16 / 12 / 8
// tokens from L2: 53.7 / 50.9 / 41.3 MAC/cycle; converted a sub-block at a time into registers, right before its
// products: 50.4 / 45.7 / 36.3. Without decoding scales 56.3 / 51.3 / 44.9, without tables 54.4 / 53.3 / 49.4, the
// products alone 58.5.
struct Q4KAhead {
  static constexpr int kBytes = kQ4KBlockBytes;
  static constexpr int64_t kNear = 2 * kBytes;
  static constexpr int64_t kFar = 0;
  static constexpr size_t HeaderBytes(int64_t) { return 0; }
  using Scales = AffineScales<15>;

  Four tables[2][2];  // of even and odd pairs: of both sub-blocks
  Four quads, found;  // from step to step
  Affine factors;
  __m512i even, odd, four;
  BlockPlace next;
  const uint8_t* sb;
  const Scales* scales;  // of the super-block that is converted
  Scales* next_scales;   // of the one after it
  uint8_t (*out)[kLine];

  TENFOLD_INLINE_MEMBER void Begin(BlockPlace first, Scales* first_scales) {
    Q4K::DecodeAll(first, first_scales);
    tables[0][0] = Table(first_scales->Of(0));
    tables[0][1] = Table(first_scales->Of(1));
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
    constexpr int kPair = kStep / 16;
    constexpr int kHalf = kStep / 8 % 2;  // of the pair's lines; and which sub-block of the next pair gets its table
    constexpr int kPart = kStep % 8;
    if constexpr (kPart == 0) {
      const uint8_t* from = sb + kQ4KQuants + (8 * kPair + 4 * kHalf) * kLine;
      TENFOLD_UNROLL
      for (int k = 0; k < 4; ++k) quads.v[k] = LoadLine(from + k * kLine);
      quads = Transpose(quads);
    } else if constexpr (kPart == 1 || kPart == 4) {
      constexpr int kOdd = kPart == 4 ? 1 : 0;
      TENFOLD_UNROLL
      for (int k = 0; k < 4; ++k) {
        const __m512i q = kOdd == 0 ? quads.v[k] : _mm512_srli_epi16(quads.v[k], 4);
        found.v[k] = _mm512_shuffle_epi8(tables[kPair % 2][kOdd].v[k], _mm512_and_si512(q, _mm512_set1_epi8(15)));
      }
    } else if constexpr (kPart == 2 || kPart == 5) {
      const Four f = Transpose(found);
      TENFOLD_UNROLL
      for (int k = 0; k < 4; ++k) {
        _mm512_store_si512(out[16 * kPair + (kPart == 5 ? 8 : 0) + 4 * kHalf + k], f.v[k]);
      }
    }
    MakeTable<(kPair + 1) % 4, kHalf, kPart>(kPair < 3 ? *scales : *next_scales);
    if constexpr (kStep % 4 == 1 && kStep / 4 < kScalePieces) next_scales->DecodePiece<kStep / 4>(next.sb);
  }

  // Part 3, 6 and 7: of the table of sub-block kHalf of a pair.
  template <int kPair, int kHalf, int kPart>
  TENFOLD_INLINE_MEMBER void MakeTable(const Scales& from) {
    if constexpr (kPart == 3) {
      factors = from.Of(2 * kPair + kHalf);
    } else if constexpr (kPart == 6) {
      const __m512i two = _mm512_add_epi16(factors.a, factors.a);
      four = _mm512_add_epi16(two, two);
      even = _mm512_add_epi16(factors.b, _mm512_maskz_mov_epi16(0xAAAAAAAAu, two));
      odd = _mm512_add_epi16(even, factors.a);
      Entries<0>();
      Entries<1>();
    } else if constexpr (kPart == 7) {
      Entries<2>();
      Entries<3>();
      tables[kPair % 2][kHalf] = Transpose(found);
    }
  }
  template <int k>
  TENFOLD_INLINE_MEMBER void Entries() {
    found.v[k] = _mm512_mask_blend_epi8(0xAAAAAAAAAAAAAAAAull, _mm512_srli_epi16(even, 8), odd);
    even = _mm512_add_epi16(even, four);
    odd = _mm512_add_epi16(odd, four);
  }
};

struct Q5K {
  static constexpr int kBytes = kQ5KBlockBytes;
  static constexpr size_t HeaderBytes(int64_t) { return 0; }
  using Scales = AffineScales<31>;
  struct State {};
  static void Begin(const Scales&, State*) {}
  static void DecodeAll(BlockPlace place, Scales* out) {
    out->Decode<0>(place.sb, place.d);
    out->Decode<1>(place.sb, place.d);
    out->Decode<2>(place.sb, place.d);
    out->Decode<3>(place.sb, place.d);
  }

  template <class Sink>
  TENFOLD_INLINE void Walk(const uint8_t* sb, const Scales& scales, BlockPlace next, Scales* next_scales, State*,
                           Sink& sink) {
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

void PanelQ4K(const TileArgs& a) {
  if (a.tokens > kMaxAhead) return RunPanel<Q4K>(a);
  ClearTile(a);
  RunAheadOf<Q4KAhead>(a);
}
void PanelQ5K(const TileArgs& a) { RunPanel<Q5K>(a); }

}  // namespace tenfold::kernels::avx512vnni
