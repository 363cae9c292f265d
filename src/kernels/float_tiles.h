// Norm, rotary embedding, residual add and gated activation, written once over a vector type Vec and
// compiled in each ISA folder. Include after a vec.h that defines Vec; everything has internal linkage.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/float_kernels.h"

namespace tenfold::kernels {
namespace {

// Four partial sums hide the multiply-add latency and keep the rounding error of long rows small.
void RmsNormWithVec(const float* x, const float* weight, int64_t n, float eps, float* y) {
  constexpr int64_t kLanes = Vec::kLanes;
  Vec::F sum[4] = {Vec::Zero(), Vec::Zero(), Vec::Zero(), Vec::Zero()};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int64_t s = 0; s < 4; ++s) {
      const Vec::F a = Vec::Load(x + i + s * kLanes);
      sum[s] = Vec::MulAdd(a, a, sum[s]);
    }
  }
  for (; i < n; i += kLanes) {
    const Vec::F a = Vec::LoadFirst(x + i, n - i < kLanes ? n - i : kLanes);
    sum[0] = Vec::MulAdd(a, a, sum[0]);
  }
  const float total = Vec::SumLanes(Vec::Add(Vec::Add(sum[0], sum[1]), Vec::Add(sum[2], sum[3])));
  const Vec::F scale = Vec::Set(1.0f / Vec::Sqrt(total / static_cast<float>(n) + eps));
  for (i = 0; i + kLanes <= n; i += kLanes) {
    Vec::Store(y + i, Vec::Mul(Vec::Mul(Vec::Load(x + i), scale), Vec::Load(weight + i)));
  }
  if (i < n) {
    const Vec::F a = Vec::Mul(Vec::Mul(Vec::LoadFirst(x + i, n - i), scale), Vec::LoadFirst(weight + i, n - i));
    Vec::StoreFirst(y + i, n - i, a);
  }
}

void RopeHalvesWithVec(const float* cos, const float* sin, int64_t n_rot, float* head) {
  const int64_t half = n_rot / 2;
  for (int64_t i = 0; i < half; i += Vec::kLanes) {
    const int64_t n = half - i < Vec::kLanes ? half - i : Vec::kLanes;
    const Vec::F c = Vec::LoadFirst(cos + i, n);
    const Vec::F s = Vec::LoadFirst(sin + i, n);
    const Vec::F a = Vec::LoadFirst(head + i, n);
    const Vec::F b = Vec::LoadFirst(head + half + i, n);
    Vec::StoreFirst(head + i, n, Vec::Sub(Vec::Mul(a, c), Vec::Mul(b, s)));
    Vec::StoreFirst(head + half + i, n, Vec::MulAdd(b, c, Vec::Mul(a, s)));
  }
}

void RopeInterleavedWithVec(const float* cos, const float* sin, int64_t n_rot, float* head) {
  constexpr int64_t kPairs = Vec::kLanes / 2;
  const int64_t pairs = n_rot / 2;
  int64_t i = 0;
  for (; i + kPairs <= pairs; i += kPairs) {
    const Vec::F x = Vec::Load(head + 2 * i);
    const Vec::F y = Vec::Mul(Vec::SwapPairs(x), Vec::LoadTwice(sin + i));
    Vec::Store(head + 2 * i, Vec::MulAddSub(x, Vec::LoadTwice(cos + i), y));
  }
  for (; i < pairs; ++i) {
    const float a = head[2 * i];
    const float b = head[2 * i + 1];
    head[2 * i] = a * cos[i] - b * sin[i];
    head[2 * i + 1] = b * cos[i] + a * sin[i];
  }
}

void AddWithVec(const float* b, int64_t n, float* a) {
  int64_t i = 0;
  for (; i + Vec::kLanes <= n; i += Vec::kLanes) Vec::Store(a + i, Vec::Add(Vec::Load(a + i), Vec::Load(b + i)));
  for (; i < n; ++i) a[i] += b[i];
}

// x e / (1 + e) with e = e^x: both ends behave, 1 for large x (where e would overflow) and 0 for very negative x.
inline Vec::F Silu(Vec::F x) {
  const Vec::F e = Vec::Exp(Vec::Min(Vec::Set(40.0f), x));
  return Vec::Mul(x, Vec::Quotient(e, Vec::Add(Vec::Set(1.0f), e)));
}

void SiluMulWithVec(const float* gate, const float* up, int64_t n, float* y) {
  for (int64_t i = 0; i < n; i += Vec::kLanes) {
    const int64_t m = n - i < Vec::kLanes ? n - i : Vec::kLanes;
    Vec::StoreFirst(y + i, m, Vec::Mul(Silu(Vec::LoadFirst(gate + i, m)), Vec::LoadFirst(up + i, m)));
  }
}

}  // namespace
}  // namespace tenfold::kernels
