// Norm, rotary embedding, add and gated activation on every instruction set against double precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>
#include <thread>
#include <vector>

#include "kernels/attention.h"
#include "kernels/test_isas.h"

namespace tenfold::kernels {
namespace {

constexpr float kGuard = 12345.0f;

std::vector<float> Gaussian(int64_t n, unsigned seed, float spread = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> x(n);
  for (float& value : x) value = normal(random);
  return x;
}

class FloatOpsTest : public ::testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Isas, FloatOpsTest, ::testing::ValuesIn(TestIsas()), TestIsaName);

// Rows of every tail length, then the sizes of real models. A sum of n squares has a relative error of at most n u; its
// root half that, and three more roundings follow; n u / 8 allows for the partial sums of the widest tails.
TEST_P(FloatOpsTest, RmsNorm) {
  std::vector<int64_t> sizes = {127, 128, 2560, 4099, 9728};
  for (int64_t n = 1; n <= 70; ++n) sizes.push_back(n);
  for (const int64_t n : sizes) {
    const std::vector<float> x = Gaussian(n, n, 3.0f);
    const std::vector<float> weight = Gaussian(n, n + 1);
    double sum = 0.0;
    for (const float value : x) sum += static_cast<double>(value) * value;
    const double scale = 1.0 / std::sqrt(sum / static_cast<double>(n) + 1e-6);
    const double tolerance = 0x1p-24 * (5.0 + static_cast<double>(n) / 8.0);
    std::vector<float> y(n + 1, kGuard);
    RmsNorm(GetParam(), x.data(), weight.data(), n, 1e-6f, y.data());
    std::vector<float> in_place = x;
    RmsNorm(GetParam(), in_place.data(), weight.data(), n, 1e-6f, in_place.data());
    for (int64_t i = 0; i < n; ++i) {
      const double want = x[i] * scale * weight[i];
      ASSERT_LE(std::fabs(y[i] - want), tolerance * std::fabs(want) + 1e-37) << n << " at " << i;
      ASSERT_EQ(y[i], in_place[i]);
    }
    ASSERT_EQ(y[n], kGuard);
  }
}

TEST_P(FloatOpsTest, RmsNormOfZerosIsZero) {
  const std::vector<float> zeros(33, 0.0f);
  std::vector<float> y(33, kGuard);
  RmsNorm(GetParam(), zeros.data(), zeros.data(), 33, 1e-6f, y.data());
  for (const float value : y) EXPECT_EQ(value, 0.0f);
}

TEST_P(FloatOpsTest, Rope) {
  constexpr int64_t kHeadDim = 136;
  for (const RopePairing pairing : {RopePairing::kHalves, RopePairing::kInterleaved}) {
    for (int64_t n_rot = 2; n_rot <= kHeadDim - 2; n_rot += 2) {
      const int64_t pairs = n_rot / 2;
      std::vector<float> cos(pairs);
      std::vector<float> sin(pairs);
      for (int64_t i = 0; i < pairs; ++i) {
        cos[i] = static_cast<float>(std::cos(0.37 * static_cast<double>(i + n_rot)));
        sin[i] = static_cast<float>(std::sin(0.37 * static_cast<double>(i + n_rot)));
      }
      const std::vector<float> before = Gaussian(kHeadDim, n_rot);
      std::vector<float> head = before;
      Rope(GetParam(), pairing, cos.data(), sin.data(), n_rot, head.data());
      for (int64_t i = 0; i < pairs; ++i) {
        const int64_t first = pairing == RopePairing::kHalves ? i : 2 * i;
        const int64_t second = pairing == RopePairing::kHalves ? i + pairs : 2 * i + 1;
        const double a = before[first];
        const double b = before[second];
        const double tolerance = 3 * 0x1p-24 * (std::fabs(a) + std::fabs(b));
        ASSERT_NEAR(head[first], a * cos[i] - b * sin[i], tolerance) << n_rot << " pair " << i;
        ASSERT_NEAR(head[second], b * cos[i] + a * sin[i], tolerance) << n_rot << " pair " << i;
      }
      for (int64_t i = n_rot; i < kHeadDim; ++i) ASSERT_EQ(head[i], before[i]) << "past n_rot " << n_rot;
    }
  }
}

TEST_P(FloatOpsTest, AddInPlace) {
  for (int64_t n = 0; n <= 70; ++n) {
    const std::vector<float> b = Gaussian(n, n);
    const std::vector<float> before = Gaussian(n + 1, n + 100);
    std::vector<float> a = before;
    AddInPlace(GetParam(), b.data(), n, a.data());
    for (int64_t i = 0; i < n; ++i) ASSERT_EQ(a[i], before[i] + b[i]);
    ASSERT_EQ(a[n], before[n]);
  }
}

TEST_P(FloatOpsTest, SiluMul) {
  for (int64_t n = 1; n <= 70; ++n) {
    const std::vector<float> gate = Gaussian(n, n, 8.0f);
    const std::vector<float> up = Gaussian(n, n + 100);
    std::vector<float> y(n + 1, kGuard);
    SiluMul(GetParam(), gate.data(), up.data(), n, y.data());
    for (int64_t i = 0; i < n; ++i) {
      const double want = gate[i] / (1.0 + std::exp(-static_cast<double>(gate[i]))) * up[i];
      ASSERT_LE(std::fabs(y[i] - want), 5e-7 * std::fabs(want)) << gate[i];
    }
    ASSERT_EQ(y[n], kGuard);
  }
}

// A fine sweep of the gate is also the accuracy test of each instruction set's exp.
TEST_P(FloatOpsTest, SiluMulOverTheWholeRange) {
  std::vector<float> gate;
  for (float g = -87.0f; g <= 100.0f; g += 0.00317f) gate.push_back(g);
  const std::vector<float> up(gate.size(), 1.0f);
  std::vector<float> y(gate.size());
  SiluMul(GetParam(), gate.data(), up.data(), static_cast<int64_t>(gate.size()), y.data());
  for (size_t i = 0; i < gate.size(); ++i) {
    const double want = gate[i] / (1.0 + std::exp(-static_cast<double>(gate[i])));
    ASSERT_LE(std::fabs(y[i] - want), 4e-7 * std::fabs(want)) << gate[i];
  }
}

TEST_P(FloatOpsTest, SiluMulOfExtremeGates) {
  const std::vector<float> gate = {-1e30f, -1000.0f, -90.0f, 0.0f, 90.0f, 1000.0f, 1e30f};
  const std::vector<float> up(gate.size(), 1.0f);
  std::vector<float> y(gate.size());
  SiluMul(GetParam(), gate.data(), up.data(), static_cast<int64_t>(gate.size()), y.data());
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(y[i], 0.0f, 1e-35f);
  for (size_t i = 3; i < gate.size(); ++i) EXPECT_EQ(y[i], gate[i]);
}

TEST(FlushDenormalsTest, AppliesToTheCallingThreadOnly) {
  const auto halve_the_smallest_normal = [] {
    volatile float smallest = 0x1p-126f;
    return smallest * 0.5f;
  };
  const auto double_a_subnormal = [] {
    volatile float subnormal = 0x1p-130f;
    return subnormal * 0x1p10f;
  };
  EXPECT_NE(halve_the_smallest_normal(), 0.0f);
  std::thread worker([&] {
    SetFlushDenormals();
    EXPECT_EQ(halve_the_smallest_normal(), 0.0f);  // flush to zero
    EXPECT_EQ(double_a_subnormal(), 0.0f);         // denormals are zero
  });
  worker.join();
  EXPECT_NE(halve_the_smallest_normal(), 0.0f);
  EXPECT_NE(double_a_subnormal(), 0.0f);
}

}  // namespace
}  // namespace tenfold::kernels
