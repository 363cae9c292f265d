// Norm, rotary embedding, residual add, gated activation and KV writes in plain loops, and the scalar function table.
#include "kernels/scalar/float_ops.h"

#include <cmath>

#include "tensor/fp16.h"

namespace tenfold::kernels {
namespace {

// std::fmin and fmax would lose a NaN; comparisons keep it.
uint16_t ToFiniteHalf(float x) {
  if (x > 65504.0f) x = 65504.0f;
  if (x < -65504.0f) x = -65504.0f;
  return tensor::FloatToHalf(x);
}

void WriteKv(uint8_t* page, int64_t slot, int64_t head_dim, const float* k, const float* v) {
  uint16_t* keys = reinterpret_cast<uint16_t*>(page);
  uint16_t* values = keys + 16 * head_dim + slot * head_dim;
  for (int64_t d = 0; d < head_dim; ++d) {
    keys[d * 16 + slot] = ToFiniteHalf(k[d]);
    values[d] = ToFiniteHalf(v[d]);
  }
}

void RmsNorm(const float* x, const float* weight, int64_t n, float eps, float* y) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
  const float scale = static_cast<float>(1.0 / std::sqrt(sum / static_cast<double>(n) + eps));
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] * scale * weight[i];
}

void RopeHalves(const float* cos, const float* sin, int64_t n_rot, float* head) {
  const int64_t half = n_rot / 2;
  for (int64_t i = 0; i < half; ++i) {
    const float a = head[i];
    const float b = head[i + half];
    head[i] = a * cos[i] - b * sin[i];
    head[i + half] = b * cos[i] + a * sin[i];
  }
}

void RopeInterleaved(const float* cos, const float* sin, int64_t n_rot, float* head) {
  for (int64_t i = 0; i < n_rot / 2; ++i) {
    const float a = head[2 * i];
    const float b = head[2 * i + 1];
    head[2 * i] = a * cos[i] - b * sin[i];
    head[2 * i + 1] = b * cos[i] + a * sin[i];
  }
}

void Add(const float* b, int64_t n, float* a) {
  for (int64_t i = 0; i < n; ++i) a[i] += b[i];
}

void SiluMul(const float* gate, const float* up, int64_t n, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

}  // namespace

const FloatKernels kFloatKernelsScalar = {scalar::Attend, scalar::MergeChunk, scalar::FinishAttention, WriteKv,
                                          RmsNorm,        RopeHalves,         RopeInterleaved,         Add,
                                          SiluMul};

}  // namespace tenfold::kernels
