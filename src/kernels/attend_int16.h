// Scores and weighted sums of many query rows over halves in integers: what attend_half.h does, at twice its
// multiply-adds a cycle (vpmaddwd, or vpdpwssd). Compiled in each ISA folder after a vec.h; included by attend_tiles.h
// alone.
//
// The K and V of a block are turned into int16 once for an item, in its scratch, queries once before; numerators in
// each block. Everything has one scale for each row of what is multiplied: a query, a position's K, a position's V, a
// row's numerators of a block times the scales of their V. Scales are chosen so that int32 sums cannot overflow and no
// bit is given away:
//   query, K, V   x / ||x||_2 * 32767   |sum q k| <= ||q||_2 ||k||_2 <= 32775^2 < 2^31 (rounding adds sqrt(256) / 2)
//   numerators    x / ||x||_1 * 32767   |sum w v| <= ||w||_1 max|v| <= (32767 + 32) 32767 < 2^31
// A score is then off by about 1.3e-5 of ||q|| ||k||, which is what storing K as halves costs; bfloat16 pairs
// (vdpbf16ps, the same rate on Zen 4, half of float's on Sapphire Rapids) would cost ten times that. Integer sums are
// exact, and no scale depends on another row or a later position: so neither do a row's bits.
//
// Conversion takes some 5000 cycles a block on Zen 4, so this pays from a dozen rows on; the caller says.
#pragma once

#include <cstdint>

#include "kernels/attend_half.h"
#include "kernels/attend_int8.h"
#include "kernels/attend_pages.h"
#include "kernels/unroll.h"

namespace tenfold::kernels {
namespace {

constexpr int kBlockRegisters = kBlockTokens / Vec::kLanes;
constexpr float kLeastNorm = 1e-15f;  // of what counts as more than zero; the smallest half is 6e-8

// One KV head's block as int16. K: [head_dim / 2][kBlockTokens][2], V: [kBlockTokens / 2][columns][2], where columns is
// head_dim rounded up to 16, with zeros past head_dim; and a scale for each position of both.
struct Int16Block {
  int16_t* k;
  int16_t* v;
  float* k_scale;
  float* v_scale;
};

// (lo, hi) of each lane as a pair of int16.
inline void StorePairs(int16_t* p, Vec::F lo, Vec::F hi) {
  Vec::StoreInt(p, Vec::PairUp(Vec::Round(lo), Vec::Round(hi)));
}

// One page's K into the block, positions in lanes.
void ConvertKeys(const uint16_t* page, ptrdiff_t ahead, int64_t head_dim, int16_t* to, float* scale) {
  for (int64_t lane = 0; lane < kPage; lane += Vec::kLanes) {
    const uint16_t* const k = page + lane;
    Vec::F square[4] = {Vec::Zero(), Vec::Zero(), Vec::Zero(), Vec::Zero()};
    for (int64_t d = 0; d < head_dim; d += 4) {
      PrefetchToSecondLevel(Bytes(k + d * kPage) + ahead);
      PrefetchToSecondLevel(Bytes(k + (d + 2) * kPage) + ahead);
      TENFOLD_UNROLL
      for (int i = 0; i < 4; ++i) {
        const Vec::F x = Vec::Load(k + (d + i) * kPage);
        square[i] = Vec::MulAdd(x, x, square[i]);
      }
    }
    const Vec::F norm = Vec::SqrtLanes(Vec::Add(Vec::Add(square[0], square[1]), Vec::Add(square[2], square[3])));
    const Vec::F inverse = Vec::Div(Vec::Set(kInt16Max), Vec::Max(Vec::Set(kLeastNorm), norm));
    Vec::Store(scale + lane, Vec::Mul(norm, Vec::Set(1.0f / kInt16Max)));
    for (int64_t d = 0; d < head_dim; d += 2) {
      StorePairs(to + (d * kBlockTokens + 2 * lane), Vec::Mul(Vec::Load(k + d * kPage), inverse),
                 Vec::Mul(Vec::Load(k + (d + 1) * kPage), inverse));
    }
  }
}

// A register of a row of head_dim halves from column c on, zeros past head_dim.
inline Vec::F LoadColumns(const uint16_t* row, int64_t c, int64_t head_dim) {
  const int64_t n = head_dim - c;
  return n >= Vec::kLanes ? Vec::Load(row + c) : n > 0 ? Vec::LoadFirst(row + c, n) : Vec::Zero();
}

// One page's V into the block, columns in lanes. Norms first, of all positions: one after another, each would wait for
// its root and its quotient.
void ConvertValues(const uint16_t* page, ptrdiff_t ahead, int64_t head_dim, int64_t columns, int16_t* to,
                   float* scale) {
  alignas(64) float square[kPage];
  alignas(64) float inverse[kPage];
  for (int64_t j = 0; j < kPage; ++j) {
    const uint16_t* const v = page + j * head_dim;
    Vec::F sum = Vec::Zero();
    for (int64_t c = 0; c < head_dim; c += Vec::kLanes) {
      if (c % 32 == 0) PrefetchToSecondLevel(Bytes(v + c) + ahead);
      const Vec::F x = LoadColumns(v, c, head_dim);
      sum = Vec::MulAdd(x, x, sum);
    }
    square[j] = Vec::SumLanes(sum);
  }
  for (int64_t j = 0; j < kPage; j += Vec::kLanes) {
    const Vec::F norm = Vec::SqrtLanes(Vec::Load(square + j));
    Vec::Store(scale + j, Vec::Mul(norm, Vec::Set(1.0f / kInt16Max)));
    Vec::Store(inverse + j, Vec::Div(Vec::Set(kInt16Max), Vec::Max(Vec::Set(kLeastNorm), norm)));
  }
  for (int64_t j = 0; j < kPage; j += 2) {
    const uint16_t* const v = page + j * head_dim;
    for (int64_t c = 0; c < columns; c += Vec::kLanes) {
      StorePairs(to + (j * columns + 2 * c), Vec::Mul(LoadColumns(v, c, head_dim), Vec::Set(inverse[j])),
                 Vec::Mul(LoadColumns(v + head_dim, c, head_dim), Vec::Set(inverse[j + 1])));
    }
  }
}

// q (head_dim) times `scale` as int16, and what to multiply it by. Magnitudes over 1e18 become that.
void QueryToInt16(const float* q, int64_t head_dim, float scale, int16_t* to, float* query_scale) {
  alignas(64) float x[256];
  const Vec::F factor = Vec::Set(scale);
  const Vec::F largest = Vec::Set(1e18f);
  const Vec::F smallest = Vec::Set(-1e18f);
  Vec::F square = Vec::Zero();
  for (int64_t d = 0; d < head_dim; d += Vec::kLanes) {
    const Vec::F a = Vec::Mul(Vec::LoadFirst(q + d, Min(Vec::kLanes, head_dim - d)), factor);
    const Vec::F b = Vec::Max(smallest, Vec::Min(largest, a));
    Vec::Store(x + d, b);
    square = Vec::MulAdd(b, b, square);
  }
  const float norm = Vec::Sqrt(Vec::SumLanes(square));
  const Vec::F inverse = Vec::Set(kInt16Max / (norm < kLeastNorm ? kLeastNorm : norm));
  *query_scale = norm / kInt16Max;
  for (int64_t d = 0; d < head_dim; d += Vec::kLanes) {
    Vec::StoreInt16(to + d, Vec::Round(Vec::Mul(Vec::Load(x + d), inverse)));
  }
}

// scores[r][j] = query[r] . K[j] for R rows and N registers of positions, the first of which is k's.
// query (R, head_dim), scores (R, kBlockTokens).
template <int R, int N>
void ScoreTileInt16(const int16_t* query, const int16_t* k, int64_t head_dim, int32_t* scores) {
  Vec::I sum[R][N];
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int i = 0; i < N; ++i) sum[r][i] = Vec::ZeroInt();
  }
  for (int64_t d = 0; d < head_dim; d += 2) {
    Vec::I key[N];
    TENFOLD_UNROLL
    for (int i = 0; i < N; ++i) key[i] = Vec::LoadInt(k + d * kBlockTokens + i * 2 * Vec::kLanes);
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec::I q = Vec::SetPair(query + r * head_dim + d);
      TENFOLD_UNROLL
      for (int i = 0; i < N; ++i) sum[r][i] = Vec::DotPairs(q, key[i], sum[r][i]);
    }
  }
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int i = 0; i < N; ++i) Vec::StoreInt(scores + r * kBlockTokens + i * Vec::kLanes, sum[r][i]);
  }
}

// Scores of R rows against the first n_pages pages of the block.
template <int R>
void ScoreRowsInt16(const int16_t* query, const int16_t* k, int64_t n_pages, int64_t head_dim, int32_t* scores) {
  constexpr int kPerPage = kPage / Vec::kLanes;
  constexpr int kMost = Vec::PagesPerTile(R);
  constexpr int kHalf = kMost > 2 ? 2 : 1;
  int64_t page = 0;
  for (; page + kMost <= n_pages; page += kMost) {
    ScoreTileInt16<R, kMost * kPerPage>(query, k + page * kPage * 2, head_dim, scores + page * kPage);
  }
  for (; page + kHalf <= n_pages; page += kHalf) {
    ScoreTileInt16<R, kHalf * kPerPage>(query, k + page * kPage * 2, head_dim, scores + page * kPage);
  }
  if (page < n_pages) ScoreTileInt16<R, kPerPage>(query, k + page * kPage * 2, head_dim, scores + page * kPage);
}

// What the softmax of consecutive rows reads and writes: scores (rows, kBlockTokens), query_scale (rows), the state
// (AttendState), rescale (rows); weights (rows, kBlockTokens) become the numerators times the scales of their V over
// weights_scale (rows).
struct Int16Rows {
  const int32_t* scores;
  const float* query_scale;
  AttendState state;
  float* rescale;
  int16_t* weights;
  float* weights_scale;
};

// SoftmaxRow (attend_tiles.h) from integer scores to integer numerators, of R rows side by side: one alone waits for
// the sums of its lanes. `visible` positions of the block (at least one, all where kWhole) count, the others'
// numerators become zero.
template <int R, bool kWhole>
void SoftmaxRowsInt16(int64_t visible, const Int16Block& block, const Int16Rows& rows) {
  const auto seen = [&](int i, Vec::F x, float otherwise) {
    return kWhole ? x : Vec::SelectFirst(Max(0, Min(Vec::kLanes, visible - i * Vec::kLanes)), x, Vec::Set(otherwise));
  };
  Vec::F x[R][kBlockRegisters];  // scores over query_scale, then numerators
  Vec::F total[R];
  Vec::F weight[R];
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) total[r] = Vec::Set(-__builtin_inff());
  TENFOLD_UNROLL
  for (int i = 0; i < kBlockRegisters; ++i) {
    const Vec::F k_scale = Vec::Load(block.k_scale + i * Vec::kLanes);
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec::F score = Vec::ToFloat(Vec::LoadInt(rows.scores + r * kBlockTokens + i * Vec::kLanes));
      x[r][i] = Vec::Mul(score, k_scale);
      total[r] = Vec::Max(total[r], seen(i, x[r][i], -__builtin_inff()));
    }
  }
  constexpr float kLog2E = 0x1.715476p+0f;
  Vec::F base[R];
  Vec::F factor[R];
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    float* const max = rows.state.max + r;
    const float block_max = Vec::MaxLane(total[r]) * rows.query_scale[r];
    rows.rescale[r] = 1.0f;
    if (block_max > *max) {
      alignas(64) float lanes[Vec::kLanes];
      Vec::Store(lanes, Vec::Exp(Vec::Set(*max - block_max)));  // 0 in the first block: exp(-inf)
      rows.rescale[r] = lanes[0];
      *max = block_max;
    }
    base[r] = Vec::Set(*max == -__builtin_inff() ? 0.0f : *max * -kLog2E);  // only NaNs so far: NaN, not this
    factor[r] = Vec::Set(rows.query_scale[r] * kLog2E);
    total[r] = Vec::Mul(Vec::Load(rows.state.sum + r * 16), Vec::Set(rows.rescale[r]));
    weight[r] = Vec::Zero();
  }
  TENFOLD_UNROLL
  for (int i = 0; i < kBlockRegisters; ++i) {
    const Vec::F v_scale = Vec::Load(block.v_scale + i * Vec::kLanes);
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec::F p = seen(i, Vec::Exp2(Vec::MulAdd(x[r][i], factor[r], base[r])), 0.0f);
      total[r] = Vec::Add(total[r], p);
      x[r][i] = seen(i, Vec::Mul(p, v_scale), 0.0f);
      weight[r] = Vec::Add(weight[r], x[r][i]);
    }
  }
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    Vec::Store(rows.state.sum + r * 16, total[r]);
    const float all = Vec::SumLanes(weight[r]);
    rows.weights_scale[r] = all * (1.0f / kInt16Max);
    weight[r] = Vec::Set(kInt16Max / (all < 1e-30f ? 1e-30f : all));
  }
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int i = 0; i < kBlockRegisters; ++i) {
      Vec::StoreInt16(rows.weights + r * kBlockTokens + i * Vec::kLanes, Vec::Round(Vec::Mul(x[r][i], weight[r])));
    }
  }
}

// acc[r][c] = acc[r][c] * rescale[r] + scale[r] * sum over the positions before `end` of weights[r][j] * V[j][c] for R
// rows and N registers of columns, the first of which is v's.
template <int R, int N>
void ValueTileInt16(const int16_t* weights, const float* scale, const int16_t* v, int64_t columns, int64_t end,
                    const float* rescale, float* acc, int64_t acc_stride) {
  Vec::I sum[R][N];
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int i = 0; i < N; ++i) sum[r][i] = Vec::ZeroInt();
  }
  for (int64_t j = 0; j < end; j += 2) {
    Vec::I value[N];
    TENFOLD_UNROLL
    for (int i = 0; i < N; ++i) value[i] = Vec::LoadInt(v + j * columns + i * 2 * Vec::kLanes);
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec::I p = Vec::SetPair(weights + r * kBlockTokens + j);
      TENFOLD_UNROLL
      for (int i = 0; i < N; ++i) sum[r][i] = Vec::DotPairs(p, value[i], sum[r][i]);
    }
  }
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int i = 0; i < N; ++i) {
      float* const to = acc + r * acc_stride + i * Vec::kLanes;
      const Vec::F before = Vec::Mul(Vec::Load(to), Vec::Set(rescale[r]));
      Vec::Store(to, Vec::MulAdd(Vec::ToFloat(sum[r][i]), Vec::Set(scale[r]), before));
    }
  }
}

// ValueTileInt16 over all the columns.
template <int R>
void ValueRowsInt16(const int16_t* weights, const float* scale, const int16_t* v, int64_t columns, int64_t end,
                    const float* rescale, float* acc, int64_t acc_stride) {
  constexpr int kColumns = Vec::ColumnsPerTile(R);
  int64_t c = 0;
  for (; c + kColumns * Vec::kLanes <= columns; c += kColumns * Vec::kLanes) {
    ValueTileInt16<R, kColumns>(weights, scale, v + 2 * c, columns, end, rescale, acc + c, acc_stride);
  }
  for (; c < columns; c += Vec::kLanes) {
    ValueTileInt16<R, 1>(weights, scale, v + 2 * c, columns, end, rescale, acc + c, acc_stride);
  }
}

}  // namespace
}  // namespace tenfold::kernels
