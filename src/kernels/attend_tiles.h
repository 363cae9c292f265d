// Attention over pages on register tiles, written once over a vector type Vec and compiled in each ISA folder.
//
// Per block of 64 positions: (1) scores of every query row, positions in lanes, the query element broadcast, so that no
// horizontal sum is needed; (2) running softmax of each row; (3) numerators times V, dimensions in lanes. A tile is
// some rows by some registers of positions (1) or dimensions (3); each K or V register is loaded once per tile. When
// the item has more rows than one tile, the block is converted from half to float once and all tiles read that.
//
// Why a row's bits cannot depend on its neighbours: a row's score is one chain of multiply-adds in order of dimension,
// its sums are chains in order of position, and blocks start at multiples of 64. Tiling only interleaves the chains.
// Positions that a row does not see are replaced before the maximum is taken, and their V is never multiplied.
//
// Prefetching: pages lie anywhere, 4 KiB apart or more, where no hardware prefetcher follows. While a stretch of a
// block's K is read, the same stretch of its V is fetched, and with V the K of the next block: 16 KiB ahead at head_dim
// 128. Decoding at a context of 4096 from memory: 14.7 GB/s without, 22.5 with (one Zen 5 core that reads 34).
//
// Include after a vec.h that defines Vec; everything has internal linkage.
#pragma once

#include <cstdint>

#include "kernels/float_kernels.h"
#include "kernels/unroll.h"

namespace tenfold::kernels {
namespace {

constexpr int64_t kPage = 16;
constexpr int64_t kBlockPages = kBlockTokens / kPage;
constexpr int kMaxTileRows = 6;

inline int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t Max(int64_t a, int64_t b) { return a > b ? a : b; }

// Rows of the next tile when `left` are left: sixes, then two near-equal tiles rather than a full and a thin one.
inline int64_t TileRows(int64_t left) {
  if (left <= kMaxTileRows) return left;
  return left >= 2 * kMaxTileRows ? kMaxTileRows : (left + 1) / 2;
}

// Pages of one block, K or V, in the element type the tiles read: half, or float once converted. ahead[i] is what to
// prefetch while reading half page i: a page of the same size, or page i itself when nothing follows.
template <class T>
struct BlockPages {
  const T* at[kBlockPages];
  const uint16_t* ahead[kBlockPages];
};

// Fetches what lies in `ahead` where p lies in `page`.
inline void PrefetchAlike(const uint16_t* p, const uint16_t* page, const uint16_t* ahead) {
  __builtin_prefetch(ahead + (p - page));
}
inline void PrefetchAlike(const float*, const float*, const uint16_t*) {}  // done while converting

// scores[r][16 i + j] = query[r] . K[page i][:, j] for R rows and P pages from first_page.
// query (R, head_dim), scores (R, kBlockTokens).
template <int R, int P, class T>
void ScoreTile(const float* query, const BlockPages<T>& pages, int64_t first_page, int64_t head_dim, float* scores) {
  const T* const* const k = pages.at + first_page;
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
      for (int i = 0; i < P; ++i) PrefetchAlike(k[i] + d * kPage, k[i], pages.ahead[first_page + i]);
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
template <int R, int N, bool kPart, class T>
void ValueTile(const float* weights, const BlockPages<T>& pages, int64_t head_dim, int64_t column, int64_t begin,
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
    const T* const page = pages.at[j / kPage];
    const T* const row = page + (j % kPage) * head_dim + column;
    TENFOLD_UNROLL
    for (int i = 0; i < N * Vec::kLanes * 2; i += 64) PrefetchAlike(row + i / 2, page, pages.ahead[j / kPage]);
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
template <int R, class T>
void ScoreRows(const float* query, const BlockPages<T>& pages, int64_t n_pages, int64_t head_dim, float* scores) {
  constexpr int kPages = Vec::PagesPerTile(R);
  int64_t page = 0;
  for (; page + kPages <= n_pages; page += kPages) {
    ScoreTile<R, kPages>(query, pages, page, head_dim, scores);
  }
  for (; page < n_pages; ++page) ScoreTile<R, 1>(query, pages, page, head_dim, scores);
}

// ValueTile over all the columns.
template <int R, class T>
void ValueRows(const float* weights, const BlockPages<T>& pages, int64_t head_dim, int64_t begin, int64_t end,
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

// Calls f.template operator()<rows>() with rows, 1..kMaxTileRows, as a constant.
template <class F>
void WithConstant(int64_t rows, const F& f) {
  switch (rows) {
    case 1:
      return f.template operator()<1>();
    case 2:
      return f.template operator()<2>();
    case 3:
      return f.template operator()<3>();
    case 4:
      return f.template operator()<4>();
    case 5:
      return f.template operator()<5>();
    default:
      return f.template operator()<6>();
  }
}

// One row's running softmax over the block's first `visible` positions (at least one): turns scores into numerators
// exp(score - max), updates max and sum, and leaves in *rescale what the accumulator must be multiplied by.
void SoftmaxRow(int64_t visible, float* scores, float* max, float* sum, float* rescale) {
  const Vec::F minus_infinity = Vec::Set(-__builtin_inff());
  Vec::F lane_max = minus_infinity;
  for (int64_t j = 0; j < visible; j += Vec::kLanes) {
    Vec::F s = Vec::Load(scores + j);
    if (visible - j < Vec::kLanes) {
      s = Vec::SelectFirst(visible - j, s, minus_infinity);
      Vec::Store(scores + j, s);
    }
    lane_max = Vec::Max(lane_max, s);
  }
  const float block_max = Vec::MaxLane(lane_max);
  *rescale = 1.0f;
  if (block_max > *max) {
    alignas(64) float factor[Vec::kLanes];
    Vec::Store(factor, Vec::Exp(Vec::Set(*max - block_max)));  // 0 in the first block: exp(-inf)
    *rescale = factor[0];
    *max = block_max;
  }
  // All scores -inf so far: subtracting 0 keeps their numerators 0 instead of NaN.
  const Vec::F base = Vec::Set(*max == -__builtin_inff() ? 0.0f : *max);
  Vec::F total = Vec::Mul(Vec::Load(sum), Vec::Set(*rescale));
  for (int64_t j = 0; j < visible; j += Vec::kLanes) {
    const Vec::F p = Vec::Exp(Vec::Sub(Vec::Load(scores + j), base));
    Vec::Store(scores + j, p);
    total = Vec::Add(total, p);
  }
  Vec::Store(sum, total);
}

// Converts n_pages pages of 16 * head_dim halves to floats, one after another in `buffer`.
BlockPages<float> ConvertPages(const BlockPages<uint16_t>& from, int64_t n_pages, int64_t head_dim, float* buffer) {
  BlockPages<float> to = {};
  const int64_t n = kPage * head_dim;
  for (int64_t page = 0; page < n_pages; ++page) {
    float* const dst = buffer + page * n;
    const uint16_t* const src = from.at[page];
    for (int64_t i = 0; i < n; i += 32) {  // a cache line of halves; n is a multiple of 128
      PrefetchAlike(src + i, src, from.ahead[page]);
      for (int64_t j = i; j < i + 32; j += Vec::kLanes) Vec::Store(dst + j, Vec::Load(src + j));
    }
    to.at[page] = dst;
  }
  return to;
}

// The part of the item that one block concerns.
struct Block {
  int64_t begin;      // first position
  int64_t first_row;  // rows before it see nothing of the block
  int64_t end_row;
  int64_t n_pages;  // pages of the block that any row sees
};

// Positions of the block that the row sees, at least one.
inline int64_t Visible(const AttendTask& t, const Block& b, int64_t row) {
  return Min(kBlockTokens, t.first_position + row / t.n_heads + 1 - b.begin);
}

template <class T>
void ScoreBlock(const AttendTask& t, const Block& b, const BlockPages<T>& k) {
  for (int64_t row = b.first_row, rows = 0; row < b.end_row; row += rows) {
    rows = TileRows(b.end_row - row);
    const int64_t n_pages = (Visible(t, b, row + rows - 1) + kPage - 1) / kPage;
    WithConstant(rows, [&]<int R>() {
      ScoreRows<R>(t.query + row * t.head_dim, k, n_pages, t.head_dim, t.weights + row * kBlockTokens);
    });
    for (int64_t r = row; r < row + rows; ++r) {
      SoftmaxRow(Visible(t, b, r), t.weights + r * kBlockTokens, t.max + r, t.sum + r * 16, t.rescale + r);
    }
  }
}

template <class T>
void AccumulateBlock(const AttendTask& t, const Block& b, const BlockPages<T>& v) {
  const float one = 1.0f;
  for (int64_t row = b.first_row, rows = 0; row < b.end_row; row += rows) {
    rows = TileRows(b.end_row - row);
    const int64_t common = Visible(t, b, row);  // later rows see at least as much
    WithConstant(rows, [&]<int R>() {
      ValueRows<R>(t.weights + row * kBlockTokens, v, t.head_dim, 0, common, t.rescale + row,
                   t.acc + row * t.acc_stride, t.acc_stride);
    });
    for (int64_t r = row; r < row + rows; ++r) {
      const int64_t visible = Visible(t, b, r);
      if (visible == common) continue;
      ValueRows<1>(t.weights + r * kBlockTokens, v, t.head_dim, common, visible, &one, t.acc + r * t.acc_stride,
                   t.acc_stride);
    }
  }
}

const uint16_t* KeysOfPage(const AttendTask& t, int64_t page) {
  return reinterpret_cast<const uint16_t*>(t.base + static_cast<size_t>(t.page_ids[page]) * t.page_stride_bytes);
}

// Adds the block of positions [begin, begin + 64) to the state of every row that sees any of it.
void AttendBlock(const AttendTask& t, int64_t begin) {
  const int64_t length = t.first_position + t.n_tokens;
  const int64_t first_page = begin / kPage;
  const int64_t all_pages = (length + kPage - 1) / kPage;
  const Block b{begin, Max(0, begin - t.first_position) * t.n_heads, t.n_tokens * t.n_heads,
                Min(kBlockPages, all_pages - first_page)};
  BlockPages<uint16_t> k;
  BlockPages<uint16_t> v;
  for (int64_t i = 0; i < b.n_pages; ++i) {
    const int64_t next = first_page + kBlockPages + i;
    k.at[i] = KeysOfPage(t, first_page + i);
    v.at[i] = k.at[i] + kPage * t.head_dim;
    k.ahead[i] = v.at[i];
    v.ahead[i] = next < all_pages ? KeysOfPage(t, next) : v.at[i];
  }
  if (b.end_row - b.first_row <= kMaxTileRows) {
    ScoreBlock(t, b, k);
    AccumulateBlock(t, b, v);
  } else {
    ScoreBlock(t, b, ConvertPages(k, b.n_pages, t.head_dim, t.converted));
    AccumulateBlock(t, b, ConvertPages(v, b.n_pages, t.head_dim, t.converted));
  }
}

// Empties the state of every row and takes in the scaled queries.
void StartRows(const AttendTask& t) {
  const Vec::F scale = Vec::Set(t.scale);
  for (int64_t row = 0; row < t.n_tokens * t.n_heads; ++row) {
    const float* q = t.q + row / t.n_heads * t.q_stride + row % t.n_heads * t.head_dim;
    float* const query = t.query + row * t.head_dim;
    for (int64_t d = 0; d < t.head_dim; d += Vec::kLanes) {
      const int64_t n = Min(Vec::kLanes, t.head_dim - d);
      Vec::StoreFirst(query + d, n, Vec::Mul(Vec::LoadFirst(q + d, n), scale));
    }
    for (int64_t d = 0; d < t.acc_stride; d += Vec::kLanes) Vec::Store(t.acc + row * t.acc_stride + d, Vec::Zero());
    for (int64_t i = 0; i < 16; i += Vec::kLanes) Vec::Store(t.sum + row * 16 + i, Vec::Zero());
    t.max[row] = -__builtin_inff();
  }
}

// out = acc / sum; 0 where every score was -inf.
void FinishRows(const AttendTask& t) {
  for (int64_t row = 0; row < t.n_tokens * t.n_heads; ++row) {
    float* const out = t.out + row / t.n_heads * t.out_stride + row % t.n_heads * t.head_dim;
    const float sum = Vec::SumLanes(Vec::Load(t.sum + row * 16));
    const Vec::F inverse = Vec::Set(sum == 0.0f ? 0.0f : 1.0f / sum);
    for (int64_t d = 0; d < t.head_dim; d += Vec::kLanes) {
      const Vec::F x = Vec::Mul(Vec::Load(t.acc + row * t.acc_stride + d), inverse);
      Vec::StoreFirst(out + d, Min(Vec::kLanes, t.head_dim - d), x);
    }
  }
}

void AttendWithVec(const AttendTask& t) {
  StartRows(t);
  for (int64_t begin = 0; begin < t.first_position + t.n_tokens; begin += kBlockTokens) AttendBlock(t, begin);
  FinishRows(t);
}

}  // namespace
}  // namespace tenfold::kernels
