// Scores and weighted sums over int8 keys and values on register tiles: what attend_tiles.h does for halves, with
// integer multiplications. Compiled in each ISA folder after a vec.h; included by attend_tiles.h alone.
//
// What is int8 is stored so. The other side, queries and softmax numerators, is turned into int16 for each item: a
// query with one scale, numerators with one scale for each row and block, after they took in the scales of their V.
// int16 keeps 2^-16 of the largest, 250 times finer than what is stored. Products are added in int32 two by two
// (vpmaddwd, or vpdpwssd): twice the multiply-adds of float FMA on every ISA, and exact, so a row's bits do not depend
// on the tile. int8 queries (vpdpbusd) would be twice as fast again and three times as far from the truth.
#pragma once

#include <cstdint>

#include "kernels/attend_pages.h"
#include "kernels/unroll.h"

namespace tenfold::kernels {
namespace {

inline const uint8_t* AsBytes(const int8_t* p) { return reinterpret_cast<const uint8_t*>(p); }

constexpr float kInt16Max = 32767.0f;

// The largest magnitude of x[0, n) in every lane, NaN if any is one. n > 0.
inline float LargestMagnitude(const float* x, int64_t n) {
  Vec::F largest = Vec::Zero();
  Vec::F poison = Vec::Zero();  // 0 * x: a maximum would drop a NaN
  for (int64_t i = 0; i < n; i += Vec::kLanes) {
    const Vec::F a = Vec::LoadFirst(x + i, n - i < Vec::kLanes ? n - i : Vec::kLanes);
    largest = Vec::Max(largest, Vec::Max(a, Vec::Sub(Vec::Zero(), a)));
    poison = Vec::MulAdd(a, Vec::Zero(), poison);
  }
  return Vec::MaxLane(largest) + Vec::SumLanes(poison);
}

// to[i] = x[i] / *scale rounded to int16, n elements, zeros up to `padded`, a multiple of the lanes. x is finite, or
// the scale becomes NaN. Magnitudes whose scale would have no reciprocal count as nothing.
inline void ToInt16(const float* x, int64_t n, int64_t padded, int16_t* to, float* scale) {
  const float largest = LargestMagnitude(x, n);
  const bool nothing = largest < 1e-30f;
  const Vec::F inverse = Vec::Set(nothing ? 0.0f : kInt16Max / largest);
  *scale = nothing ? 0.0f : largest / kInt16Max;
  for (int64_t i = 0; i < padded; i += Vec::kLanes) {
    const int64_t m = n - i;
    const Vec::F a = m >= Vec::kLanes ? Vec::Load(x + i) : m > 0 ? Vec::LoadFirst(x + i, m) : Vec::Zero();
    Vec::StoreInt16(to + i, Vec::Round(Vec::Mul(a, inverse)));
  }
}

// A page's K: scales[block of 32 dims][16 positions] halves, then [head_dim / 2][16 positions][2] int8.
inline const uint16_t* KeyScales(const uint8_t* page) { return reinterpret_cast<const uint16_t*>(page); }
inline const int8_t* KeyPairs(const uint8_t* page, int64_t head_dim) {
  return reinterpret_cast<const int8_t*>(page) + (head_dim + 31) / 32 * 16 * 2;
}
// A page's V: scales[16 positions] floats, then [8 pairs of positions][head_dim][2] int8.
inline const float* ValueScales(const uint8_t* page) { return reinterpret_cast<const float*>(page); }
inline const int8_t* ValuePairs(const uint8_t* page) { return reinterpret_cast<const int8_t*>(page) + 16 * 4; }

// As ScoreTile, over the dims [begin, end) of one scale block; the first block stores, later ones add.
template <int R, int P>
void ScoreTileInt8(const int16_t* query, const float* query_scale, const BlockPages& pages, int64_t first_page,
                   int64_t head_dim, int64_t begin, int64_t end, float* scores) {
  constexpr int kPerPage = 16 / Vec::kLanes;
  constexpr int kRegisters = P * kPerPage;
  Vec::I sum[R][kRegisters];
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int i = 0; i < kRegisters; ++i) sum[r][i] = Vec::ZeroInt();
  }
  const int8_t* k[P];
  TENFOLD_UNROLL
  for (int i = 0; i < P; ++i) k[i] = KeyPairs(pages.at[first_page + i], head_dim);
  for (int64_t d = begin; d < end; d += 2) {
    Vec::I key[kRegisters];
    TENFOLD_UNROLL
    for (int i = 0; i < kRegisters; ++i) {
      key[i] = Vec::LoadPairs(k[i / kPerPage] + d * 16 + (i % kPerPage) * 2 * Vec::kLanes);
    }
    if (d % 4 == 0) {  // four dims of 16 positions are a cache line
      TENFOLD_UNROLL
      for (int i = 0; i < P; ++i) {
        PrefetchToSecondLevel(AsBytes(k[i] + d * kPage) + pages.ahead[first_page + i]);
      }
    }
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec::I q = Vec::SetPair(query + r * head_dim + d);
      TENFOLD_UNROLL
      for (int i = 0; i < kRegisters; ++i) sum[r][i] = Vec::DotPairs(q, key[i], sum[r][i]);
    }
  }
  TENFOLD_UNROLL
  for (int i = 0; i < kRegisters; ++i) {
    const uint16_t* const page_scales = KeyScales(pages.at[first_page + i / kPerPage]);
    const Vec::F scale = Vec::Load(page_scales + begin / 32 * 16 + (i % kPerPage) * Vec::kLanes);
    TENFOLD_UNROLL
    for (int r = 0; r < R; ++r) {
      float* const to = scores + r * kBlockTokens + first_page * 16 + i * Vec::kLanes;
      const Vec::F before = begin == 0 ? Vec::Zero() : Vec::Load(to);
      const Vec::F both = Vec::Mul(scale, Vec::Set(query_scale[r]));
      Vec::Store(to, Vec::MulAdd(Vec::ToFloat(sum[r][i]), both, before));
    }
  }
}

// Scores of R rows against the first n_pages pages of the block.
template <int R>
void ScoreRowsInt8(const int16_t* query, const float* query_scale, const BlockPages& pages, int64_t n_pages,
                   int64_t head_dim, float* scores) {
  constexpr int kPages = Vec::PagesPerTile(R);
  for (int64_t d = 0; d < head_dim; d += 32) {
    const int64_t end = d + 32 < head_dim ? d + 32 : head_dim;
    int64_t page = 0;
    for (; page + kPages <= n_pages; page += kPages) {
      ScoreTileInt8<R, kPages>(query, query_scale, pages, page, head_dim, d, end, scores);
    }
    for (; page < n_pages; ++page) {
      ScoreTileInt8<R, 1>(query, query_scale, pages, page, head_dim, d, end, scores);
    }
  }
}

// A row's numerators of its first `visible` positions times their V's scales, as int16 with one scale; zeros after
// them.
void WeightsToInt16(const float* weights, const BlockPages& pages, int64_t visible, int16_t* to, float* scale) {
  alignas(64) float scaled[kBlockTokens];
  for (int64_t j = 0; j < visible; j += Vec::kLanes) {
    const float* const v = ValueScales(pages.at[j / 16]) + j % 16;
    Vec::Store(scaled + j, Vec::Mul(Vec::Load(weights + j), Vec::Load(v)));
  }
  ToInt16(scaled, visible, kBlockTokens, to, scale);
}

// acc[r][c] = acc[r][c] * rescale[r] + scale[r] * sum over the positions before `end` of weights[r][j] * V[j][c].
template <int R, int N, bool kPart>
void ValueTileInt8(const int16_t* weights, const float* scale, const BlockPages& pages, int64_t head_dim,
                   int64_t column, int64_t end, const float* rescale, float* acc, int64_t acc_stride) {
  Vec::I sum[R][N];
  TENFOLD_UNROLL
  for (int r = 0; r < R; ++r) {
    TENFOLD_UNROLL
    for (int i = 0; i < N; ++i) sum[r][i] = Vec::ZeroInt();
  }
  for (int64_t j = 0; j < end; j += 2) {
    const int8_t* const row = ValuePairs(pages.at[j / 16]) + (j % 16 * head_dim) + column * 2;
    TENFOLD_UNROLL
    for (int i = 0; i < N * Vec::kLanes * 2; i += 64) {
      PrefetchToSecondLevel(AsBytes(row + i) + pages.ahead[j / 16]);
    }
    Vec::I value[N];
    TENFOLD_UNROLL
    for (int i = 0; i < N; ++i) {
      value[i] = kPart && i == N - 1 ? Vec::LoadPairsFirst(row + i * 2 * Vec::kLanes, head_dim % Vec::kLanes)
                                     : Vec::LoadPairs(row + i * 2 * Vec::kLanes);
    }
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
      float* const to = acc + r * acc_stride + column + i * Vec::kLanes;
      const Vec::F before = Vec::Mul(Vec::Load(to), Vec::Set(rescale[r]));
      Vec::Store(to, Vec::MulAdd(Vec::ToFloat(sum[r][i]), Vec::Set(scale[r]), before));
    }
  }
}

// ValueTileInt8 over all the columns.
template <int R>
void ValueRowsInt8(const int16_t* weights, const float* scale, const BlockPages& pages, int64_t head_dim, int64_t end,
                   const float* rescale, float* acc, int64_t acc_stride) {
  constexpr int kColumns = Vec::ColumnsPerTile(R);
  int64_t c = 0;
  for (; c + kColumns * Vec::kLanes <= head_dim; c += kColumns * Vec::kLanes) {
    ValueTileInt8<R, kColumns, false>(weights, scale, pages, head_dim, c, end, rescale, acc, acc_stride);
  }
  for (; c + Vec::kLanes <= head_dim; c += Vec::kLanes) {
    ValueTileInt8<R, 1, false>(weights, scale, pages, head_dim, c, end, rescale, acc, acc_stride);
  }
  if (c < head_dim) {
    ValueTileInt8<R, 1, true>(weights, scale, pages, head_dim, c, end, rescale, acc, acc_stride);
  }
}

// q[i] = x[i] / step rounded, n elements, at most 32 of them.
inline void ToInt8(const float* x, int64_t n, float step, int8_t* q) {
  const Vec::F inverse = Vec::Set(step == 0.0f ? 0.0f : 1.0f / step);
  for (int64_t i = 0; i < n; i += Vec::kLanes) {
    const Vec::F a = Vec::Mul(Vec::LoadFirst(x + i, Min(Vec::kLanes, n - i)), inverse);
    int16_t rounded[Vec::kLanes];  // a step that is a tiny half may be too small by far: then the ends are 127
    Vec::StoreInt16(rounded, Vec::Round(Vec::Max(Vec::Set(-127.0f), Vec::Min(Vec::Set(127.0f), a))));
    for (int64_t j = 0; j < Min(Vec::kLanes, n - i); ++j) q[i + j] = static_cast<int8_t>(rounded[j]);
  }
}

// One position's K into the page; a NaN makes its block of 32 dims NaN.
void WriteKeyInt8(uint8_t* page, int64_t slot, int64_t head_dim, const float* k) {
  uint16_t* const scales = reinterpret_cast<uint16_t*>(page);
  int8_t* const pairs = const_cast<int8_t*>(KeyPairs(page, head_dim)) + slot * 2;
  for (int64_t begin = 0; begin < head_dim; begin += 32) {
    const int64_t n = Min(32, head_dim - begin);
    uint16_t half[Vec::kLanes];
    float step[Vec::kLanes];
    Vec::StoreHalfFirst(half, Vec::kLanes, Vec::Set(LargestMagnitude(k + begin, n) / 127.0f));
    Vec::Store(step, Vec::Load(half));
    scales[begin / 32 * kPage + slot] = half[0];
    int8_t q[32];
    ToInt8(k + begin, n, step[0], q);
    for (int64_t i = 0; i < n; ++i) pairs[(begin + i) / 2 * 2 * kPage + i % 2] = q[i];
  }
}

// One position's V into the page; a NaN makes all of it NaN.
void WriteValueInt8(uint8_t* page, int64_t slot, int64_t head_dim, const float* v) {
  const float step = LargestMagnitude(v, head_dim) / 127.0f;
  reinterpret_cast<float*>(page)[slot] = step;
  int8_t* const pairs = const_cast<int8_t*>(ValuePairs(page)) + slot / 2 * 2 * head_dim + slot % 2;
  for (int64_t begin = 0; begin < head_dim; begin += 32) {
    const int64_t n = Min(32, head_dim - begin);
    int8_t q[32];
    ToInt8(v + begin, n, step, q);
    for (int64_t i = 0; i < n; ++i) pairs[(begin + i) * 2] = q[i];
  }
}

}  // namespace
}  // namespace tenfold::kernels
