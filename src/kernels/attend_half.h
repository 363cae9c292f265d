// Scores and weighted sums over halves on register tiles: K as [head_dim][16 positions], V as [16 positions][head_dim].
// Each register of K or V is converted once per tile; a conversion from memory takes no multiplier. Compiled in each
// ISA folder after a vec.h; included by attend_tiles.h alone.
#pragma once

#include <cstdint>

#include "kernels/attend_pages.h"
#include "kernels/unroll.h"

namespace tenfold::kernels {
namespace {

inline const uint16_t* Halves(const uint8_t* p) { return reinterpret_cast<const uint16_t*>(p); }
inline const uint8_t* Bytes(const uint16_t* p) { return reinterpret_cast<const uint8_t*>(p); }

// scores[r][16 i + j] = query[r] . K[page i][:, j] for R rows and P pages from first_page.
// query (R, head_dim), scores (R, kBlockTokens).
template <int R, int P>
void ScoreTile(const float* query, const BlockPages& pages, int64_t first_page, int64_t head_dim, float* scores) {
  const uint16_t* k[P];
  TENFOLD_UNROLL
  for (int i = 0; i < P; ++i) k[i] = Halves(pages.at[first_page + i]);
  constexpr int kPerPage = kPage / Vec::kLanes;
  constexpr int kRegisters = P * kPerPage;
  Vec::F sum[R][kRegisters];
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int i = 0; i < kRegisters; ++i) sum[r][i] = Vec::Zero();
  }
  for (int64_t d = 0; d < head_dim; ++d) {
    Vec::F key[kRegisters];
    TENFOLD_UNROLL
    for (int i = 0; i < kRegisters; ++i) {
      key[i] = Vec::Load(k[i / kPerPage] + d * kPage + (i % kPerPage) * Vec::kLanes);
    }
    if (d % 2 == 0) {  // two rows of 16 halves are a cache line
      TENFOLD_UNROLL
      for (int i = 0; i < P; ++i) PrefetchToSecondLevel(Bytes(k[i] + d * kPage) + pages.ahead[first_page + i]);
    }
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec::F q = Vec::Set(query[r * head_dim + d]);
      TENFOLD_UNROLL
      for (int i = 0; i < kRegisters; ++i) sum[r][i] = Vec::MulAdd(q, key[i], sum[r][i]);
    }
  }
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int i = 0; i < kRegisters; ++i) {
      Vec::Store(scores + r * kBlockTokens + first_page * kPage + i * Vec::kLanes, sum[r][i]);
    }
  }
}

// acc[r][c] = acc[r][c] * rescale[r] + sum over positions j in [begin, end) of weights[r][j] * V[j][c], for R rows and
// N registers of columns from `column`; kPart: the last register holds fewer than its lanes.
template <int R, int N, bool kPart>
void ValueTile(const float* weights, const BlockPages& pages, int64_t head_dim, int64_t column, int64_t begin,
               int64_t end, const float* rescale, float* acc, int64_t acc_stride) {
  Vec::F sum[R][N];
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    const Vec::F factor = Vec::Set(rescale[r]);
    TENFOLD_UNROLL
    for (int i = 0; i < N; ++i) {
      sum[r][i] = Vec::Mul(Vec::Load(acc + r * acc_stride + column + i * Vec::kLanes), factor);
    }
  }
  for (int64_t j = begin; j < end; ++j) {
    const uint16_t* const row = Halves(pages.at[j / kPage]) + (j % kPage) * head_dim + column;
    TENFOLD_UNROLL
    for (int i = 0; i < N * Vec::kLanes * 2; i += 64) {
      PrefetchToSecondLevel(Bytes(row + i / 2) + pages.ahead[j / kPage]);
    }
    Vec::F value[N];
    TENFOLD_UNROLL
    for (int i = 0; i < N; ++i) {
      value[i] = kPart && i == N - 1 ? Vec::LoadFirst(row + i * Vec::kLanes, head_dim % Vec::kLanes)
                                     : Vec::Load(row + i * Vec::kLanes);
    }
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec::F p = Vec::Set(weights[r * kBlockTokens + j]);
      TENFOLD_UNROLL
      for (int i = 0; i < N; ++i) sum[r][i] = Vec::MulAdd(p, value[i], sum[r][i]);
    }
  }
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int i = 0; i < N; ++i) Vec::Store(acc + r * acc_stride + column + i * Vec::kLanes, sum[r][i]);
  }
}

// Scores of R rows against the first n_pages pages of the block.
template <int R>
void ScoreRows(const float* query, const BlockPages& pages, int64_t n_pages, int64_t head_dim, float* scores) {
  constexpr int kPages = Vec::PagesPerTile(R);
  int64_t page = 0;
  for (; page + kPages <= n_pages; page += kPages) {
    ScoreTile<R, kPages>(query, pages, page, head_dim, scores);
  }
  for (; page < n_pages; ++page) ScoreTile<R, 1>(query, pages, page, head_dim, scores);
}

// ValueTile over all the columns.
template <int R>
void ValueRows(const float* weights, const BlockPages& pages, int64_t head_dim, int64_t begin, int64_t end,
               const float* rescale, float* acc, int64_t acc_stride) {
  constexpr int kColumns = Vec::ColumnsPerTile(R);
  int64_t c = 0;
  for (; c + kColumns * Vec::kLanes <= head_dim; c += kColumns * Vec::kLanes) {
    ValueTile<R, kColumns, false>(weights, pages, head_dim, c, begin, end, rescale, acc, acc_stride);
  }
  for (; c + Vec::kLanes <= head_dim; c += Vec::kLanes) {
    ValueTile<R, 1, false>(weights, pages, head_dim, c, begin, end, rescale, acc, acc_stride);
  }
  if (c < head_dim) ValueTile<R, 1, true>(weights, pages, head_dim, c, begin, end, rescale, acc, acc_stride);
}

// One position's K and V into the page, as halves; finite, or NaN.
void WriteKeyHalf(uint8_t* page, int64_t slot, int64_t head_dim, const float* k) {
  uint16_t* const keys = reinterpret_cast<uint16_t*>(page) + slot;
  for (int64_t d = 0; d < head_dim; d += Vec::kLanes) {
    const int64_t n = Min(Vec::kLanes, head_dim - d);
    uint16_t column[Vec::kLanes] = {};
    Vec::StoreHalfFirst(column, n, Vec::LoadFirst(k + d, n));
    for (int64_t i = 0; i < n; ++i) keys[(d + i) * kPage] = column[i];
  }
}

void WriteValueHalf(uint8_t* page, int64_t slot, int64_t head_dim, const float* v) {
  uint16_t* const values = reinterpret_cast<uint16_t*>(page) + slot * head_dim;
  for (int64_t d = 0; d < head_dim; d += Vec::kLanes) {
    const int64_t n = Min(Vec::kLanes, head_dim - d);
    Vec::StoreHalfFirst(values + d, n, Vec::LoadFirst(v + d, n));
  }
}

}  // namespace
}  // namespace tenfold::kernels
