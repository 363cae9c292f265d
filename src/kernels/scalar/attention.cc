// Attention over pages in plain loops: the truth the other instruction sets are tested against, and the fallback.
//
// Same running softmax, one page of 16 positions at a time, one row at a time; no attempt at speed.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/scalar/float_ops.h"
#include "tensor/fp16.h"

namespace tenfold::kernels::scalar {
namespace {

constexpr int64_t kPage = 16;

struct Row {
  const float* query;
  float* acc;
  float* max;
  float* sum;
};

// Adds positions 0 .. visible-1 of the page to the row's state.
void AddPage(const Row& row, const uint16_t* k, const uint16_t* v, int64_t visible, int64_t head_dim) {
  float p[kPage];
  float page_max = -std::numeric_limits<float>::infinity();
  for (int64_t j = 0; j < visible; ++j) {
    float score = 0.0f;
    for (int64_t d = 0; d < head_dim; ++d) score += row.query[d] * tensor::HalfToFloat(k[d * kPage + j]);
    p[j] = score;
    page_max = std::max(page_max, score);
  }
  if (page_max > *row.max) {
    const float rescale = std::exp(*row.max - page_max);  // 0 on the first page: exp(-inf)
    *row.max = page_max;
    *row.sum *= rescale;
    for (int64_t d = 0; d < head_dim; ++d) row.acc[d] *= rescale;
  }
  const float max = std::isinf(*row.max) ? 0.0f : *row.max;  // every score -inf so far: keep -inf - -inf away
  for (int64_t j = 0; j < visible; ++j) {
    p[j] = std::exp(p[j] - max);
    *row.sum += p[j];
    for (int64_t d = 0; d < head_dim; ++d) row.acc[d] += p[j] * tensor::HalfToFloat(v[j * head_dim + d]);
  }
}

// The rows' index in the item, its token, and its head among all of the item's query heads.
template <class F>
void ForEachRow(const AttendTask& t, const F& f) {
  for (int64_t r = 0; r < t.kv_heads * t.n_tokens * t.n_heads; ++r) {
    const int64_t kv_head = r / (t.n_tokens * t.n_heads);
    f(r, r / t.n_heads % t.n_tokens, kv_head * t.n_heads + r % t.n_heads);
  }
}

// The state of the row over the positions [begin, end), from nothing.
void AttendRange(const AttendTask& t, int64_t r, int64_t begin, int64_t end, const AttendState& s) {
  const int64_t kv_head = r / (t.n_tokens * t.n_heads);
  const Row row{t.query + r * t.head_dim, s.acc + r * t.acc_stride, s.max + r, s.sum + r * 16};
  std::fill_n(row.acc, t.acc_stride, 0.0f);
  *row.max = -std::numeric_limits<float>::infinity();
  *row.sum = 0.0f;
  for (int64_t p = begin; p < end; p += kPage) {
    const uint8_t* page = t.base + static_cast<size_t>(t.page_ids[p / kPage]) * t.page_stride_bytes +
                          static_cast<size_t>(kv_head) * t.head_stride_bytes;
    const uint16_t* k = reinterpret_cast<const uint16_t*>(page);
    AddPage(row, k, k + kPage * t.head_dim, std::min(kPage, end - p), t.head_dim);
  }
}

void MergeRow(const AttendTask& t, int64_t r, const AttendState& from) {
  const float max = std::max(t.total.max[r], from.max[r]);
  const float base = std::isinf(max) ? 0.0f : max;
  const float scale_a = std::exp(t.total.max[r] - base);
  const float scale_b = std::exp(from.max[r] - base);
  t.total.max[r] = max;
  t.total.sum[r * 16] = t.total.sum[r * 16] * scale_a + from.sum[r * 16] * scale_b;
  float* const a = t.total.acc + r * t.acc_stride;
  const float* const b = from.acc + r * t.acc_stride;
  for (int64_t d = 0; d < t.head_dim; ++d) a[d] = a[d] * scale_a + b[d] * scale_b;
}

}  // namespace

void Attend(const AttendTask& t) {
  ForEachRow(t, [&](int64_t r, int64_t token, int64_t head) {
    const float* q = t.q + token * t.q_stride + head * t.head_dim;
    for (int64_t d = 0; d < t.head_dim; ++d) t.query[r * t.head_dim + d] = q[d] * t.scale;
    const int64_t end = std::min(t.end, t.first_position + token + 1);
    for (int64_t chunk = t.begin; chunk < end; chunk += t.chunk_tokens) {
      AttendRange(t, r, chunk, std::min(end, chunk + t.chunk_tokens), chunk == t.begin ? t.total : t.chunk);
      if (chunk != t.begin) MergeRow(t, r, t.chunk);
    }
  });
}

void MergeChunk(const AttendTask& t, int64_t begin, const AttendState& from) {
  ForEachRow(t, [&](int64_t r, int64_t token, int64_t) {
    if (begin <= t.first_position + token) MergeRow(t, r, from);
  });
}

void FinishAttention(const AttendTask& t) {
  ForEachRow(t, [&](int64_t r, int64_t token, int64_t head) {
    const float sum = t.total.sum[r * 16];
    const float inverse = sum == 0.0f ? 0.0f : 1.0f / sum;
    float* out = t.out + token * t.out_stride + head * t.head_dim;
    for (int64_t d = 0; d < t.head_dim; ++d) out[d] = t.total.acc[r * t.acc_stride + d] * inverse;
  });
}

}  // namespace tenfold::kernels::scalar
