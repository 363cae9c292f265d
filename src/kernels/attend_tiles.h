// Attention over pages on register tiles, written once over a vector type Vec and compiled in each ISA folder.
//
// Per block of 64 positions and KV head: (1) scores of every query row, positions in lanes, the query element
// broadcast, so that no horizontal sum is needed; (2) running softmax of each row; (3) numerators times V, dimensions
// in lanes. A tile is some rows by some registers of positions (1) or dimensions (3); each K or V register is loaded
// and converted once per tile.
//
// Why a row's bits cannot depend on its neighbours: a row's score is one chain of multiply-adds in order of dimension,
// its sums are chains in order of position, blocks start at multiples of 64, and chunks, whose states are merged in
// order of position, at multiples of chunk_tokens. Tiling only interleaves the chains; splitting an item at chunks
// only says where a state is kept. Positions that a row does not see are replaced before the maximum is taken, and
// their V is never multiplied.
//
// Prefetching: while a head's K and V are read, those of the next head (of the next block's first after the last) are
// asked into the second-level cache, 32 KiB ahead at head_dim 128. It must be that cache: a core has some 24 misses of
// the first level at a time, which is 12 GB/s from memory however early they begin, and prefetches into the first level
// are among them. Decoding at a context of 4096, one Zen 4 core that reads 34 GB/s in a row: 12.8 GB/s without, 12.6
// into the first level, 20.8 into the second; the hardware's own prefetchers do not follow four pages at once.
// Converting a block to floats once, for the many rows of a prompt, was slower than converting in every tile: a block
// of floats is as large as the first-level cache, and a conversion from memory takes no multiplier (Zen 4: 12.8
// multiply-adds a cycle against 13.3 without).
//
// Include after a vec.h that defines Vec; everything has internal linkage.
#pragma once

#include <cstddef>
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

// K or V of the pages of one block.
struct BlockPages {
  const uint16_t* at[kBlockPages];
  ptrdiff_t ahead[kBlockPages];  // from there to what is read after it, in halves
};

inline void PrefetchToSecondLevel(const uint16_t* p) { __builtin_prefetch(p, 0, 2); }

// scores[r][16 i + j] = query[r] . K[page i][:, j] for R rows and P pages from first_page.
// query (R, head_dim), scores (R, kBlockTokens).
template <int R, int P>
void ScoreTile(const float* query, const BlockPages& pages, int64_t first_page, int64_t head_dim, float* scores) {
  const uint16_t* const* const k = pages.at + first_page;
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
      for (int i = 0; i < P; ++i) PrefetchToSecondLevel(k[i] + d * kPage + pages.ahead[first_page + i]);
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
    const uint16_t* const row = pages.at[j / kPage] + (j % kPage) * head_dim + column;
    TENFOLD_UNROLL
    for (int i = 0; i < N * Vec::kLanes * 2; i += 64) {
      PrefetchToSecondLevel(row + i / 2 + pages.ahead[j / kPage]);
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

// What one block and one KV head of an item concern.
struct Block {
  int64_t begin;      // first position
  int64_t first_row;  // of the KV head's rows; those before it see nothing of the block
  int64_t end_row;
  int64_t n_pages;  // pages of the block that any row sees
  const float* query;
  AttendState state;
};

// The first of a KV head's rows that sees position `begin`.
inline int64_t FirstRow(const AttendTask& t, int64_t begin) { return Max(0, begin - t.first_position) * t.n_heads; }

inline AttendState StateAt(const AttendTask& t, const AttendState& s, int64_t row) {
  return {s.acc + row * t.acc_stride, s.max + row, s.sum + row * 16};
}

// Positions of the block that the row sees, at least one.
inline int64_t Visible(const AttendTask& t, const Block& b, int64_t row) {
  return Min(kBlockTokens, t.first_position + row / t.n_heads + 1 - b.begin);
}

void ScoreBlock(const AttendTask& t, const Block& b, const BlockPages& k) {
  for (int64_t row = b.first_row, rows = 0; row < b.end_row; row += rows) {
    rows = TileRows(b.end_row - row);
    const int64_t n_pages = (Visible(t, b, row + rows - 1) + kPage - 1) / kPage;
    WithConstant(rows, [&]<int R>() {
      ScoreRows<R>(b.query + row * t.head_dim, k, n_pages, t.head_dim, t.weights + row * kBlockTokens);
    });
    for (int64_t r = row; r < row + rows; ++r) {
      SoftmaxRow(Visible(t, b, r), t.weights + r * kBlockTokens, b.state.max + r, b.state.sum + r * 16, t.rescale + r);
    }
  }
}

void AccumulateBlock(const AttendTask& t, const Block& b, const BlockPages& v) {
  const float one = 1.0f;
  float* const acc = b.state.acc;
  for (int64_t row = b.first_row, rows = 0; row < b.end_row; row += rows) {
    rows = TileRows(b.end_row - row);
    const int64_t common = Visible(t, b, row);  // later rows see at least as much
    WithConstant(rows, [&]<int R>() {
      ValueRows<R>(t.weights + row * kBlockTokens, v, t.head_dim, 0, common, t.rescale + row, acc + row * t.acc_stride,
                   t.acc_stride);
    });
    for (int64_t r = row; r < row + rows; ++r) {
      const int64_t visible = Visible(t, b, r);
      if (visible == common) continue;
      ValueRows<1>(t.weights + r * kBlockTokens, v, t.head_dim, common, visible, &one, acc + r * t.acc_stride,
                   t.acc_stride);
    }
  }
}

const uint16_t* PageOf(const AttendTask& t, int64_t page) {
  return reinterpret_cast<const uint16_t*>(t.base + static_cast<size_t>(t.page_ids[page]) * t.page_stride_bytes);
}

// Adds the block of positions [begin, begin + 64) to the state of every row that sees any of it. The KV heads of a page
// are neighbours in memory: with the heads inside, each of the block's pages is read from its first byte to its last.
void AttendBlock(const AttendTask& t, int64_t begin, const AttendState& state) {
  const int64_t head_rows = t.n_tokens * t.n_heads;
  const int64_t first_page = begin / kPage;
  const int64_t end_page = (t.end + kPage - 1) / kPage;
  const int64_t n_pages = Min(kBlockPages, end_page - first_page);
  BlockPages k = {};
  for (int64_t i = 0; i < n_pages; ++i) k.at[i] = PageOf(t, first_page + i);
  for (int64_t g = 0; g < t.kv_heads; ++g) {
    for (int64_t i = 0; i < n_pages; ++i) {
      const int64_t next = first_page + kBlockPages + i;
      k.ahead[i] = g < t.kv_heads - 1 ? static_cast<ptrdiff_t>(t.head_stride_bytes / 2)
                   : next < end_page  ? PageOf(t, next) - k.at[i]
                                      : 0;
    }
    BlockPages v = k;
    for (int64_t i = 0; i < n_pages; ++i) v.at[i] += kPage * t.head_dim;
    const Block b{begin,
                  FirstRow(t, begin),
                  head_rows,
                  n_pages,
                  t.query + g * head_rows * t.head_dim,
                  StateAt(t, state, g * head_rows)};
    ScoreBlock(t, b, k);
    AccumulateBlock(t, b, v);
    for (int64_t i = 0; i < n_pages; ++i) k.at[i] += t.head_stride_bytes / 2;
  }
}

// Takes in the scaled queries.
void StartRows(const AttendTask& t) {
  const Vec::F scale = Vec::Set(t.scale);
  for (int64_t row = 0; row < t.kv_heads * t.n_tokens * t.n_heads; ++row) {
    const int64_t head = row / (t.n_tokens * t.n_heads) * t.n_heads + row % t.n_heads;
    const float* const q = t.q + row / t.n_heads % t.n_tokens * t.q_stride + head * t.head_dim;
    float* const query = t.query + row * t.head_dim;
    for (int64_t d = 0; d < t.head_dim; d += Vec::kLanes) {
      const int64_t n = Min(Vec::kLanes, t.head_dim - d);
      Vec::StoreFirst(query + d, n, Vec::Mul(Vec::LoadFirst(q + d, n), scale));
    }
  }
}

// The state before any position, of the rows that see position `begin`.
void EmptyState(const AttendTask& t, int64_t begin, const AttendState& s) {
  const int64_t head_rows = t.n_tokens * t.n_heads;
  for (int64_t row = 0; row < t.kv_heads * head_rows; ++row) {
    if (row % head_rows < FirstRow(t, begin)) continue;
    for (int64_t d = 0; d < t.acc_stride; d += Vec::kLanes) Vec::Store(s.acc + row * t.acc_stride + d, Vec::Zero());
    for (int64_t i = 0; i < 16; i += Vec::kLanes) Vec::Store(s.sum + row * 16 + i, Vec::Zero());
    s.max[row] = -__builtin_inff();
  }
}

// Both states are scaled to the larger maximum and added. Rows that see nothing of the chunk keep what they have.
void MergeWithVec(const AttendTask& t, int64_t begin, const AttendState& from) {
  const int64_t head_rows = t.n_tokens * t.n_heads;
  for (int64_t row = 0; row < t.kv_heads * head_rows; ++row) {
    if (row % head_rows < FirstRow(t, begin)) continue;
    const AttendState a = StateAt(t, t.total, row);
    const AttendState b = StateAt(t, from, row);
    const float max = *b.max > *a.max ? *b.max : *a.max;
    const Vec::F base = Vec::Set(max == -__builtin_inff() ? 0.0f : max);
    const Vec::F scale_a = Vec::Exp(Vec::Sub(Vec::Set(*a.max), base));
    const Vec::F scale_b = Vec::Exp(Vec::Sub(Vec::Set(*b.max), base));
    *a.max = max;
    for (int64_t d = 0; d < t.acc_stride; d += Vec::kLanes) {
      const Vec::F x = Vec::Mul(Vec::Load(a.acc + d), scale_a);
      Vec::Store(a.acc + d, Vec::MulAdd(Vec::Load(b.acc + d), scale_b, x));
    }
    for (int64_t i = 0; i < 16; i += Vec::kLanes) {
      const Vec::F x = Vec::Mul(Vec::Load(a.sum + i), scale_a);
      Vec::Store(a.sum + i, Vec::MulAdd(Vec::Load(b.sum + i), scale_b, x));
    }
  }
}

// out = acc / sum; 0 where every score was -inf.
void FinishWithVec(const AttendTask& t) {
  for (int64_t row = 0; row < t.kv_heads * t.n_tokens * t.n_heads; ++row) {
    const int64_t head = row / (t.n_tokens * t.n_heads) * t.n_heads + row % t.n_heads;
    float* const out = t.out + row / t.n_heads % t.n_tokens * t.out_stride + head * t.head_dim;
    const AttendState s = StateAt(t, t.total, row);
    const float sum = Vec::SumLanes(Vec::Load(s.sum));
    const Vec::F inverse = Vec::Set(sum == 0.0f ? 0.0f : 1.0f / sum);
    for (int64_t d = 0; d < t.head_dim; d += Vec::kLanes) {
      const Vec::F x = Vec::Mul(Vec::Load(s.acc + d), inverse);
      Vec::StoreFirst(out + d, Min(Vec::kLanes, t.head_dim - d), x);
    }
  }
}

void AttendWithVec(const AttendTask& t) {
  StartRows(t);
  for (int64_t chunk = t.begin; chunk < t.end; chunk += t.chunk_tokens) {
    const AttendState& state = chunk == t.begin ? t.total : t.chunk;
    const int64_t end = Min(t.end, chunk + t.chunk_tokens);
    EmptyState(t, chunk, state);
    for (int64_t begin = chunk; begin < end; begin += kBlockTokens) AttendBlock(t, begin, state);
    if (chunk != t.begin) MergeWithVec(t, chunk, state);
  }
}

}  // namespace
}  // namespace tenfold::kernels
