// Panels of K-quants times one group of tokens, the next super-block being converted to int8, in L1, between the
// products of the one before it. Included only by the panel files of this folder.
//
// Why ahead, and through L1: of the four vector pipes of Zen 4, products, FMA and multiplications have two (0 and 1);
// int-to-float conversions, float additions and shifts 2 and 3, byte shuffles 1 and 2, interleaves 1 to 3, logic and
// integer additions all. A conversion by lookup so fits beside the products of ten and more tokens, if at every moment
// both kinds of work are within reach of the schedulers, which hold some 64 operations, the products of four lines
// with 16 tokens. So a conversion is cut into 64 steps of about 13 operations, one for each line of products, and no
// step's result is needed soon.
//
// Measured beside a product each cycle: free are logic, integer and float additions, maxima (also of floats), blends,
// interleaves, shifts, int-to-float conversions and back; free at one for two products byte and word shuffles. A slot
// of a product each take multiplications of any kind, vpmaddubsw, FMA, vrcp14ps, vpabsw, saturating subtractions,
// vpshldw, vpmultishiftqb and vgf2p8affineqb; vdivps takes four. 16 tokens of Q4_K have 1139 slots of a super-block so,
// 57.5 MAC/cycle at most.
//
// Where the rest goes (Q4_K, 9728 columns, 16 tokens, from L2, 53.3 MAC/cycle; each a try with one part left out, its
// results wrong): without bounds of scales 54.4, without Half() 55.3, without stores of converted lines the same.
//
// Did not help: several tiles in one call, their conversions one sequence, with the next run's first weights asked for.
// It saves the first conversion, which has no products beside it, but the loop then keeps a place within tiles, and
// each tile became 2 to 5 % slower; a whole prompt of 16 on one thread took 1.01 times as long (five interleaved pairs:
// 334/349, 333/335, 344/373, 334/338, 347/341 ms). No difference (53.1 to 53.6 all of
// them): vrcp14ps for vdivps in Scaling; scales as floats kept from the bounds for the factors; the first half's sums
// added to the results as floats, so that no product waits for Half().
#pragma once

#include <utility>

#include "kernels/avx512vnni/panel_convert.h"

namespace tenfold::kernels::avx512vnni {

// A Converter has kNear and kFar, how many bytes beyond the super-block that it converts weights are asked for: into
// the first level, and into the second (0: not at all).

// Most tokens of the group.
inline constexpr int kMaxAhead = 16;

// The panels of a tile as one sequence of super-blocks.
struct BlockSequence {
  const TileArgs& a;
  int64_t blocks;  // of a panel
  size_t header_bytes;
  int block_bytes;

  TENFOLD_INLINE_MEMBER int64_t Count() const { return blocks * a.panels; }
  // The i-th, or the last.
  TENFOLD_INLINE_MEMBER BlockPlace At(int64_t i) const {
    if (i >= Count()) i = Count() - 1;
    const uint8_t* panel = a.w + static_cast<size_t>(i / blocks) * a.panel_bytes;
    return BlockPlace{panel + header_bytes + i % blocks * block_bytes, panel + 32 * (i % blocks)};
  }
};

// Step 0 .. 63 of a conversion, each before the products of a line with M tokens. M may be 0.
template <int M, class Converter, int... k>
TENFOLD_INLINE void RunSteps(const uint8_t (*lines)[layout::kLine], First<M == 0 ? 1 : M, false>& first,
                             Converter& converter, std::integer_sequence<int, k...>) {
  const auto run = [&]<int kStep>(std::integral_constant<int, kStep>) __attribute__((always_inline)) {
    if constexpr (M > 0 && kStep == 32) first.Half();
    converter.template Step<kStep>();
    constexpr int kWeightLines = Converter::kBytes / layout::kLine;
    if constexpr (kStep * kWeightLines % 64 < kWeightLines) {
      const uint8_t* line = first.ahead + kStep * kWeightLines / 64 * layout::kLine;
      PrefetchHere(line + Converter::kNear);
      if constexpr (Converter::kFar != 0) PrefetchWeights(line + Converter::kFar);
    }
    if constexpr (M > 0) first.Add(LoadLine(lines[kStep]), kStep);
  };
  (run(std::integral_constant<int, k>{}), ...);
}

// All of `a` times its M tokens.
template <class Converter, int M>
void RunAhead(const TileArgs& a) {
  const BlockSequence sequence{a, a.cols / 256, Converter::HeaderBytes(a.cols / 256), Converter::kBytes};
  alignas(64) uint8_t lines[2][64][layout::kLine];
  typename Converter::Scales scales[2];  // of super-block i in i % 2
  Converter converter;
  const auto steps = std::make_integer_sequence<int, 64>{};
  First<1, false> nothing;
  converter.Begin(sequence.At(0), &scales[0]);
  converter.Aim(sequence.At(0), &scales[0], sequence.At(1), &scales[1], lines[0]);
  nothing.ahead = sequence.At(0).sb;
  RunSteps<0>(lines[1], nothing, converter, steps);
  int64_t kb = 0;
  float* c = a.c;
  for (int64_t i = 0; i < sequence.Count(); ++i) {
    First<M, false> first;
    first.records = a.records + static_cast<size_t>(kb) * a.block_stride;
    const __m512 scale = scales[i & 1].scaling.scale;
    first.ratio = scales[i & 1].scaling.ratio;
    first.Start();
    const BlockPlace next = sequence.At(i + 1);
    first.ahead = next.sb;
    converter.Aim(next, &scales[(i + 1) & 1], sequence.At(i + 2), &scales[i & 1], lines[(i + 1) & 1]);
    RunSteps<M>(lines[i & 1], first, converter, steps);
    first.Finish(scale, c, a.panels * layout::kRows);
    if (++kb < sequence.blocks) continue;
    kb = 0;
    c += layout::kRows;
  }
}

// a.tokens in 1 .. M.
template <class Converter, int M = kMaxAhead>
void RunAheadOf(const TileArgs& a) {
  if (a.tokens == M) return RunAhead<Converter, M>(a);
  if constexpr (M > 1) RunAheadOf<Converter, M - 1>(a);
}

}  // namespace tenfold::kernels::avx512vnni
