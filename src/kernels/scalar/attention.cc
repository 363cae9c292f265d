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

// The K and V of one position of a page, as floats.
class Position {
 public:
  Position(const AttendTask& t, const uint8_t* page, int64_t slot)
      : t_(t), k_(page), v_(page + t.key_bytes), slot_(slot) {}

  float K(int64_t d) const {
    if (t_.format.k == KvType::kF16) return tensor::HalfToFloat(Halves(k_)[d * kPage + slot_]);
    const uint8_t* const pairs = k_ + KeyScaleBytes(t_.head_dim);
    const auto q = static_cast<int8_t>(pairs[d / 2 * 2 * kPage + slot_ * 2 + d % 2]);
    return tensor::HalfToFloat(Halves(k_)[d / kKeyBlock * kPage + slot_]) * static_cast<float>(q);
  }
  float V(int64_t d) const {
    if (t_.format.v == KvType::kF16) return tensor::HalfToFloat(Halves(v_)[slot_ * t_.head_dim + d]);
    const uint8_t* const pairs = v_ + kPage * sizeof(float);
    const auto q = static_cast<int8_t>(pairs[(slot_ / 2 * t_.head_dim + d) * 2 + slot_ % 2]);
    return reinterpret_cast<const float*>(v_)[slot_] * static_cast<float>(q);
  }

 private:
  static const uint16_t* Halves(const uint8_t* p) { return reinterpret_cast<const uint16_t*>(p); }
  const AttendTask& t_;
  const uint8_t* k_;
  const uint8_t* v_;
  int64_t slot_;
};

// Adds positions 0 .. visible-1 of the page to the row's state.
void AddPage(const AttendTask& t, const Row& row, const uint8_t* page, int64_t visible) {
  float p[kPage];
  float page_max = -std::numeric_limits<float>::infinity();
  for (int64_t j = 0; j < visible; ++j) {
    const Position position(t, page, j);
    float score = 0.0f;
    for (int64_t d = 0; d < t.head_dim; ++d) score += row.query[d] * position.K(d);
    p[j] = score;
    page_max = std::max(page_max, score);
  }
  if (page_max > *row.max) {
    const float rescale = std::exp(*row.max - page_max);  // 0 on the first page: exp(-inf)
    *row.max = page_max;
    *row.sum *= rescale;
    for (int64_t d = 0; d < t.head_dim; ++d) row.acc[d] *= rescale;
  }
  const float max = std::isinf(*row.max) ? 0.0f : *row.max;  // every score -inf so far: keep -inf - -inf away
  for (int64_t j = 0; j < visible; ++j) {
    const Position position(t, page, j);
    p[j] = std::exp(p[j] - max);
    *row.sum += p[j];
    for (int64_t d = 0; d < t.head_dim; ++d) row.acc[d] += p[j] * position.V(d);
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
    AddPage(t, row, page, std::min(kPage, end - p));
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
