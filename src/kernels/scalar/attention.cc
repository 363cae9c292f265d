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

}  // namespace

void Attend(const AttendTask& t) {
  for (int64_t r = 0; r < t.n_tokens * t.n_heads; ++r) {
    const int64_t token = r / t.n_heads;
    const int64_t head = r % t.n_heads;
    const int64_t length = t.first_position + token + 1;
    const Row row{t.query + r * t.head_dim, t.acc + r * t.acc_stride, t.max + r, t.sum + r * 16};
    const float* q = t.q + token * t.q_stride + head * t.head_dim;
    for (int64_t d = 0; d < t.head_dim; ++d) {
      t.query[r * t.head_dim + d] = q[d] * t.scale;
      row.acc[d] = 0.0f;
    }
    *row.max = -std::numeric_limits<float>::infinity();
    *row.sum = 0.0f;
    for (int64_t begin = 0; begin < length; begin += kPage) {
      const uint8_t* page = t.base + static_cast<size_t>(t.page_ids[begin / kPage]) * t.page_stride_bytes;
      const uint16_t* k = reinterpret_cast<const uint16_t*>(page);
      AddPage(row, k, k + kPage * t.head_dim, std::min(kPage, length - begin), t.head_dim);
    }
    const float inverse = *row.sum == 0.0f ? 0.0f : 1.0f / *row.sum;
    float* out = t.out + token * t.out_stride + head * t.head_dim;
    for (int64_t d = 0; d < t.head_dim; ++d) out[d] = row.acc[d] * inverse;
  }
}

}  // namespace tenfold::kernels::scalar
