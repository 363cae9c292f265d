#include "sampling/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace tenfold::sampling {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> RandomLogits(size_t n, uint32_t seed, float spread = 3) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> out(n);
  for (float& x : out) x = normal(random);
  return out;
}

TEST(FindPeak, LowestIdAmongEqualsAtAnyLengthAndPlace) {
  for (const size_t n : {1, 3, 15, 16, 17, 1023, 1024, 1025, 5000}) {
    for (const size_t at : {size_t{0}, n / 3, n / 2, n - 1}) {
      std::vector<float> x(n, -5);
      x[at] = 2;
      x[n - 1] = 2;
      const Peak peak = FindPeak(x);
      EXPECT_EQ(peak.token, static_cast<int>(at)) << n;
      EXPECT_EQ(peak.logit, 2);
    }
  }
}

TEST(FindPeak, NanNeverIs) {
  for (const size_t n : {1, 16, 40}) {
    std::vector<float> x(n, kNan);
    EXPECT_EQ(FindPeak(x).token, -1);
    x[n / 2] = -7;
    EXPECT_EQ(FindPeak(x).token, static_cast<int>(n / 2));
    x[n - 1] = -kInf;
    EXPECT_EQ(FindPeak(std::vector<float>(n, -kInf)).token, -1);
  }
  EXPECT_EQ(FindPeak({}).token, -1);
  EXPECT_TRUE(FindPeak(std::vector<float>{1, kInf}).has_infinity);
}

TEST(ExpRelative, AgreesWithTheLibrary) {
  std::vector<float> x;
  for (double z = 0; z > -86.9; z -= 0.00137) x.push_back(static_cast<float>(z) + 10);
  std::vector<float> out(x.size());
  for (const float scale : {1.0F, 0.5F}) {
    ExpRelative(x, 10, scale, out.data());
    for (size_t i = 0; i < x.size(); ++i) {
      const double argument = (static_cast<double>(x[i]) - 10) * static_cast<double>(scale);
      const double expected = std::exp(argument);
      ASSERT_NEAR(static_cast<double>(out[i]) / expected, 1, 2e-7 + 1.2e-7 * -argument) << argument;
    }
  }
}

TEST(ExpRelative, ZeroFarBelowAndForNan) {
  std::vector<float> x = {5, 5 - 87.5F, -kInf, kNan, -3e38F};
  ExpRelative(x, 5, 1, x.data());  // in place
  EXPECT_EQ(x, (std::vector<float>{1, 0, 0, 0, 0}));
}

TEST(ExpSum, AgreesWithTheLibraryOverAVocabulary) {
  for (const size_t n : {1, 5, 1024, 1027, 151'936}) {
    const auto x = RandomLogits(n, static_cast<uint32_t>(n));
    const float peak = FindPeak(x).logit;
    double expected = 0;
    for (const float v : x) expected += std::exp(static_cast<double>(v) - static_cast<double>(peak));
    EXPECT_NEAR(ExpSum(x, peak, 1) / expected, 1, 5e-7);
  }
}

TEST(PickByWeight, NeverPicksAZero) {
  const std::vector<float> w = {0, 1, 0, 2, 0};
  EXPECT_EQ(PickByWeight(w, 0), 1);
  EXPECT_EQ(PickByWeight(w, 0.999), 1);
  EXPECT_EQ(PickByWeight(w, 1), 3);
  EXPECT_EQ(PickByWeight(w, 3), 3);  // rounding
  EXPECT_EQ(PickByWeight(w, 100), 3);
  EXPECT_EQ(PickByWeight({}, 0), -1);
}

TEST(PickFromAll, IsTheInverseOfTheCumulativeDistribution) {
  const auto x = RandomLogits(5000, 3);
  const float peak = FindPeak(x).logit;
  std::vector<double> scratch;
  double total = 0;
  for (const float v : x) total += std::exp((static_cast<double>(v) - static_cast<double>(peak)) * 0.5);
  double below = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double weight = std::exp((static_cast<double>(x[i]) - static_cast<double>(peak)) * 0.5);
    const double middle = (below + weight / 2) / total;
    if (weight / total > 1e-5) {
      ASSERT_EQ(PickFromAll(x, peak, 0.5F, middle, scratch), static_cast<int>(i));
    }
    below += weight;
  }
  EXPECT_EQ(PickFromAll(x, peak, 0.5F, 1, scratch), 4999);  // beyond the end: the last one
}

}  // namespace
}  // namespace tenfold::sampling
