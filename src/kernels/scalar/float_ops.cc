// Norm, rotary embedding, residual add, gated activation and KV writes in plain loops, and the scalar function table.
#include "kernels/scalar/float_ops.h"

#include <algorithm>
#include <cmath>

#include "tensor/fp16.h"

namespace tenfold::kernels {
namespace {

// std::fmin and fmax would lose a NaN; comparisons keep it.
float ToFinite(float x) {
  if (x > 65504.0f) return 65504.0f;
  return x < -65504.0f ? -65504.0f : x;
}

// The largest magnitude, NaN if any is one.
float LargestMagnitude(const float* x, int64_t n) {
  float largest = 0.0f;
  for (int64_t i = 0; i < n; ++i) {
    if (std::isnan(x[i])) return x[i];
    largest = std::max(largest, std::fabs(x[i]));
  }
  return largest;
}

uint8_t ToInt8(float x, float step) {
  const float q = x * (step == 0.0f ? 0.0f : 1.0f / step);
  if (std::isnan(q)) return 0;  // its scale is NaN
  return static_cast<uint8_t>(static_cast<int8_t>(std::nearbyint(std::clamp(q, -127.0f, 127.0f))));
}

void WriteKeyInt8(uint8_t* page, int64_t slot, int64_t head_dim, const float* k) {
  uint8_t* const pairs = page + scalar::KeyScaleBytes(head_dim) + slot * 2;
  for (int64_t begin = 0; begin < head_dim; begin += scalar::kKeyBlock) {
    const int64_t end = std::min(head_dim, begin + scalar::kKeyBlock);
    const uint16_t half = tensor::FloatToHalf(LargestMagnitude(k + begin, end - begin) / 127.0f);
    reinterpret_cast<uint16_t*>(page)[begin / scalar::kKeyBlock * 16 + slot] = half;
    for (int64_t d = begin; d < end; ++d) pairs[d / 2 * 32 + d % 2] = ToInt8(k[d], tensor::HalfToFloat(half));
  }
}

void WriteValueInt8(uint8_t* page, int64_t slot, int64_t head_dim, const float* v) {
  const float step = LargestMagnitude(v, head_dim) / 127.0f;
  reinterpret_cast<float*>(page)[slot] = step;
  uint8_t* const pairs = page + 16 * sizeof(float) + slot / 2 * 2 * head_dim + slot % 2;
  for (int64_t d = 0; d < head_dim; ++d) pairs[d * 2] = ToInt8(v[d], step);
}

void WriteKv(uint8_t* page, const KvFormat& format, size_t key_bytes, int64_t slot, int64_t head_dim, const float* k,
             const float* v) {
  float finite_k[256];
  float finite_v[256];
  std::transform(k, k + head_dim, finite_k, ToFinite);
  std::transform(v, v + head_dim, finite_v, ToFinite);
  if (format.k == KvType::kQ8_0) {
    WriteKeyInt8(page, slot, head_dim, finite_k);
  } else {
    uint16_t* const keys = reinterpret_cast<uint16_t*>(page) + slot;
    for (int64_t d = 0; d < head_dim; ++d) keys[d * 16] = tensor::FloatToHalf(finite_k[d]);
  }
  if (format.v == KvType::kQ8_0) {
    WriteValueInt8(page + key_bytes, slot, head_dim, finite_v);
  } else {
    uint16_t* const values = reinterpret_cast<uint16_t*>(page + key_bytes) + slot * head_dim;
    std::transform(finite_v, finite_v + head_dim, values, tensor::FloatToHalf);
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
