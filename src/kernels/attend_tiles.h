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

#include "kernels/attend_half.h"
#include "kernels/attend_int16.h"
#include "kernels/attend_int8.h"
#include "kernels/float_kernels.h"

namespace tenfold::kernels {
namespace {

constexpr int kMaxTileRows = 6;

// Rows of the next tile when `left` are left: sixes, then two near-equal tiles rather than a full and a thin one.
inline int64_t TileRows(int64_t left) {
  if (left <= kMaxTileRows) return left;
  return left >= 2 * kMaxTileRows ? kMaxTileRows : (left + 1) / 2;
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
  int64_t n_pages;    // pages of the block that any row sees
  int64_t query_row;  // of the item's rows, the KV head's first
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
    const int64_t query = (b.query_row + row) * t.head_dim;
    float* const scores = t.weights + row * kBlockTokens;
    WithConstant(rows, [&]<int R>() {
      if (t.format.k == KvType::kF16) {
        ScoreRows<R>(t.query + query, k, n_pages, t.head_dim, scores);
      } else {
        ScoreRowsInt8<R>(t.query_int16 + query, t.query_scale + b.query_row + row, k, n_pages, t.head_dim, scores);
      }
    });
    for (int64_t r = row; r < row + rows; ++r) {
      SoftmaxRow(Visible(t, b, r), t.weights + r * kBlockTokens, b.state.max + r, b.state.sum + r * 16, t.rescale + r);
    }
  }
}

void AccumulateHalves(const AttendTask& t, const Block& b, const BlockPages& v) {
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

void AccumulateInt8(const AttendTask& t, const Block& b, const BlockPages& v) {
  for (int64_t row = b.first_row, rows = 0; row < b.end_row; row += rows) {
    rows = TileRows(b.end_row - row);
    int16_t* const weights = t.weights_int16 + row * kBlockTokens;
    for (int64_t r = row; r < row + rows; ++r) {
      WeightsToInt16(t.weights + r * kBlockTokens, v, Visible(t, b, r), t.weights_int16 + r * kBlockTokens,
                     t.weights_scale + r);
    }
    const int64_t seen = Visible(t, b, row + rows - 1);  // the last row sees most; the others' weights there are 0
    WithConstant(rows, [&]<int R>() {
      ValueRowsInt8<R>(weights, t.weights_scale + row, v, t.head_dim, seen, t.rescale + row,
                       b.state.acc + row * t.acc_stride, t.acc_stride);
    });
  }
}

Int16Block Int16Of(const AttendTask& t) {
  return {t.keys_int16, t.values_int16, t.keys_scale, t.keys_scale + kBlockTokens};
}

void ConvertBlock(const AttendTask& t, const Block& b, const BlockPages& k, const BlockPages& v) {
  const Int16Block block = Int16Of(t);
  for (int64_t i = 0; i < b.n_pages; ++i) {
    const int64_t at = i * kPage;
    ConvertKeys(Halves(k.at[i]), k.ahead[i], t.head_dim, block.k + at * 2, block.k_scale + at);
    ConvertValues(Halves(v.at[i]), v.ahead[i], t.head_dim, t.acc_stride, block.v + at * t.acc_stride,
                  block.v_scale + at);
  }
}

void ScoreInt16(const AttendTask& t, const Block& b) {
  const Int16Block block = Int16Of(t);
  alignas(64) int32_t scores[kMaxTileRows * kBlockTokens];
  for (int64_t row = b.first_row, rows = 0; row < b.end_row; row += rows) {
    rows = TileRows(b.end_row - row);
    const int64_t n_pages = (Visible(t, b, row + rows - 1) + kPage - 1) / kPage;
    const int16_t* const query = t.query_int16 + (b.query_row + row) * t.head_dim;
    WithConstant(rows, [&]<int R>() { ScoreRowsInt16<R>(query, block.k, n_pages, t.head_dim, scores); });
    constexpr int kTogether = Vec::kLanes == 16 ? 2 : 1;  // as many as the registers hold
    for (int64_t r = row; r < row + rows;) {
      const Int16Rows at = {scores + (r - row) * kBlockTokens,
                            t.query_scale + b.query_row + r,
                            StateAt(t, b.state, r),
                            t.rescale + r,
                            t.weights_int16 + r * kBlockTokens,
                            t.weights_scale + r};
      const int64_t visible = Visible(t, b, r);
      if (visible < kBlockTokens) {
        SoftmaxRowsInt16<1, false>(visible, block, at);
        ++r;
      } else if (r + kTogether <= row + rows) {
        SoftmaxRowsInt16<kTogether, true>(visible, block, at);
        r += kTogether;
      } else {
        SoftmaxRowsInt16<1, true>(visible, block, at);
        ++r;
      }
    }
  }
}

void AccumulateInt16(const AttendTask& t, const Block& b) {
  for (int64_t row = b.first_row, rows = 0; row < b.end_row; row += rows) {
    rows = TileRows(b.end_row - row);
    const int64_t seen = Visible(t, b, row + rows - 1);  // the last row sees most; the others' weights there are 0
    WithConstant(rows, [&]<int R>() {
      ValueRowsInt16<R>(t.weights_int16 + row * kBlockTokens, t.weights_scale + row, t.values_int16, t.acc_stride, seen,
                        t.rescale + row, b.state.acc + row * t.acc_stride, t.acc_stride);
    });
  }
}

const uint8_t* PageOf(const AttendTask& t, int64_t page) {
  return t.base + static_cast<size_t>(t.page_ids[page]) * t.page_stride_bytes;
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
      k.ahead[i] = g < t.kv_heads - 1 ? static_cast<ptrdiff_t>(t.head_stride_bytes)
                   : next < end_page  ? PageOf(t, next) - k.at[i]
                                      : 0;
    }
    BlockPages v = k;
    for (int64_t i = 0; i < n_pages; ++i) v.at[i] += t.key_bytes;
    const Block b{begin, FirstRow(t, begin), head_rows, n_pages, g * head_rows, StateAt(t, state, g * head_rows)};
    if (t.in_int16) {
      ConvertBlock(t, b, k, v);
      ScoreInt16(t, b);
      AccumulateInt16(t, b);
    } else {
      ScoreBlock(t, b, k);
      (t.format.v == KvType::kF16 ? AccumulateHalves : AccumulateInt8)(t, b, v);
    }
    for (int64_t i = 0; i < n_pages; ++i) k.at[i] += t.head_stride_bytes;
  }
}

// Asks for a row of head_dim floats of the token after next: tokens lie further apart than hardware prefetchers follow.
inline void PrefetchLaterRow(const AttendTask& t, int64_t token, const float* row, int64_t stride) {
  constexpr int64_t kAhead = 2;
  if (token + kAhead >= t.n_tokens) return;
  for (int64_t d = 0; d < t.head_dim; d += 16) __builtin_prefetch(row + kAhead * stride + d);
}

// Takes in the scaled queries.
void StartRows(const AttendTask& t) {
  const Vec::F scale = Vec::Set(t.scale);
  for (int64_t row = 0; row < t.kv_heads * t.n_tokens * t.n_heads; ++row) {
    const int64_t head = row / (t.n_tokens * t.n_heads) * t.n_heads + row % t.n_heads;
    const int64_t token = row / t.n_heads % t.n_tokens;
    const float* const q = t.q + token * t.q_stride + head * t.head_dim;
    PrefetchLaterRow(t, token, q, t.q_stride);
    if (t.in_int16) {
      QueryToInt16(q, t.head_dim, t.scale, t.query_int16 + row * t.head_dim, t.query_scale + row);
      continue;
    }
    float* const query = t.query + row * t.head_dim;
    for (int64_t d = 0; d < t.head_dim; d += Vec::kLanes) {
      const int64_t n = Min(Vec::kLanes, t.head_dim - d);
      Vec::StoreFirst(query + d, n, Vec::Mul(Vec::LoadFirst(q + d, n), scale));
    }
    if (t.format.k == KvType::kQ8_0) {
      ToInt16(query, t.head_dim, t.head_dim, t.query_int16 + row * t.head_dim, t.query_scale + row);
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
    const int64_t token = row / t.n_heads % t.n_tokens;
    float* const out = t.out + token * t.out_stride + head * t.head_dim;
    PrefetchLaterRow(t, token, out, t.out_stride);
    const AttendState s = StateAt(t, t.total, row);
    const float sum = Vec::SumLanes(Vec::Load(s.sum));
    const Vec::F inverse = Vec::Set(sum == 0.0f ? 0.0f : 1.0f / sum);
    for (int64_t d = 0; d < t.head_dim; d += Vec::kLanes) {
      const Vec::F x = Vec::Mul(Vec::Load(s.acc + d), inverse);
      Vec::StoreFirst(out + d, Min(Vec::kLanes, t.head_dim - d), x);
    }
  }
}

// k and v (head_dim, at most 256) of one position into slot 0 .. 15 of a page.
void WriteKvWithVec(uint8_t* page, const KvFormat& format, size_t key_bytes, int64_t slot, int64_t head_dim,
                    const float* k, const float* v) {
  alignas(64) float finite_k[256];
  alignas(64) float finite_v[256];
  const Vec::F largest = Vec::Set(65504.0f);
  const Vec::F smallest = Vec::Set(-65504.0f);
  for (int64_t d = 0; d < head_dim; d += Vec::kLanes) {
    const int64_t n = Min(Vec::kLanes, head_dim - d);
    Vec::StoreFirst(finite_k + d, n, Vec::Max(smallest, Vec::Min(largest, Vec::LoadFirst(k + d, n))));
    Vec::StoreFirst(finite_v + d, n, Vec::Max(smallest, Vec::Min(largest, Vec::LoadFirst(v + d, n))));
  }
  (format.k == KvType::kF16 ? WriteKeyHalf : WriteKeyInt8)(page, slot, head_dim, finite_k);
  (format.v == KvType::kF16 ? WriteValueHalf : WriteValueInt8)(page + key_bytes, slot, head_dim, finite_v);
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
