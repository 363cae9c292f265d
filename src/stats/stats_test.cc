// Tests of summary.h and paired.h: against published tables, and the promise of coverage itself.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "stats/paired.h"
#include "stats/summary.h"

namespace tenfold::stats {
namespace {

using Samples = std::vector<double>;
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(Summary, MedianAndMean) {
  EXPECT_EQ(Median(Samples{5}), 5);
  EXPECT_EQ(Median(Samples{9, 1, 4}), 4);
  EXPECT_EQ(Median(Samples{9, 1, 4, 2}), 3);
  EXPECT_EQ(Mean(Samples{9, 1, 4, 2}), 4);
}

// Values from numpy.percentile([1, 3, 4, 8, 10], ...) and [10, 20, ..., 100].
TEST(Summary, PercentileInterpolatesAsNumpyDoes) {
  const Samples five = {8, 1, 10, 3, 4};
  EXPECT_EQ(Percentile(five, 0), 1);
  EXPECT_EQ(Percentile(five, 100), 10);
  EXPECT_EQ(Percentile(five, 25), 3);
  EXPECT_DOUBLE_EQ(Percentile(five, 40), 3.6);
  EXPECT_DOUBLE_EQ(Percentile(five, 90), 9.2);
  const Samples ten = {10, 20, 30, 40, 50, 60, 70, 80, 90, 100};
  EXPECT_DOUBLE_EQ(Percentile(ten, 95), 95.5);
  EXPECT_DOUBLE_EQ(Percentile(ten, 99), 99.1);
  EXPECT_EQ(Percentile(Samples{7}, 33), 7);
}

TEST(Summary, InfiniteSamplesStayAtTheirPlace) {
  EXPECT_EQ(Percentile(Samples{1, 2, kInf}, 50), 2);
  EXPECT_EQ(Percentile(Samples{1, 2, kInf}, 100), kInf);
}

TEST(SummaryDeathTest, NoSamplesAndNanAreBugs) {
  EXPECT_DEATH(Median(Samples{}), "no samples");
  EXPECT_DEATH(Mean(Samples{}), "no samples");
  EXPECT_DEATH(Median(Samples{1, kNan}), "not a number");
  EXPECT_DEATH(Percentile(Samples{1}, 101), "between 0 and 100");
  EXPECT_DEATH(Percentile(Samples{1}, kNan), "between 0 and 100");
}

TEST(ComparePairs, MedianOfRatiosNotRatioOfMedians) {
  const auto r = ComparePairs(Samples{10, 200, 3}, Samples{5, 100, 6});
  ASSERT_TRUE(r.ok());
  EXPECT_EQ(r->pairs, 3u);
  EXPECT_EQ(r->median, 2);  // of 2, 2, 0.5
}

// Ranks of the 95 % interval of the median from the tables of the sign test.
TEST(ComparePairs, IntervalRanksAreThoseOfTheTables) {
  const struct {
    size_t n;
    size_t rank;
    double coverage;
  } cases[] = {{6, 1, 0.96875},   {8, 1, 0.9921875}, {9, 2, 0.9609375}, {10, 2, 0.978515625},
               {12, 3, 0.961426}, {15, 4, 0.964844}, {20, 6, 0.958611}, {30, 10, 0.957226}};
  for (const auto& c : cases) {
    Samples a;
    for (size_t i = 1; i <= c.n; ++i) a.push_back(static_cast<double>(i));
    const auto r = ComparePairs(a, Samples(c.n, 1));
    ASSERT_TRUE(r.ok());
    EXPECT_EQ(r->low, static_cast<double>(c.rank)) << c.n;
    EXPECT_EQ(r->high, static_cast<double>(c.n + 1 - c.rank)) << c.n;
    EXPECT_NEAR(r->coverage, c.coverage, 1e-6) << c.n;
  }
}

TEST(ComparePairs, TooFewPairsAdmitTheirCoverage) {
  const auto five = ComparePairs(Samples{1, 2, 3, 4, 5}, Samples(5, 1));
  EXPECT_EQ(five->low, 1);
  EXPECT_EQ(five->high, 5);
  EXPECT_NEAR(five->coverage, 0.9375, 1e-12);
  const auto one = ComparePairs(Samples{3}, Samples{2});
  EXPECT_EQ(one->low, 1.5);
  EXPECT_EQ(one->high, 1.5);
  EXPECT_NEAR(one->coverage, 0, 1e-12);
}

TEST(ComparePairs, LessCoverageIsATighterInterval) {
  const auto r = ComparePairs(Samples{1, 2, 3, 4}, Samples(4, 1), 0.1);
  EXPECT_EQ(r->low, 2);
  EXPECT_EQ(r->high, 3);
  EXPECT_NEAR(r->coverage, 0.375, 1e-12);
}

TEST(ComparePairs, OneOutlierDoesNotMoveTheVerdict) {
  Samples a(20, 1.1);
  const Samples b(20, 1.0);
  a[3] = 1000;
  a[4] = 0.001;
  const auto r = ComparePairs(a, b);
  EXPECT_DOUBLE_EQ(r->median, 1.1);
  EXPECT_TRUE(r->differs());
  EXPECT_FALSE(ComparePairs(b, b)->differs());
}

// The promise itself: over many experiments the interval contains the truth at least as often as it says.
TEST(ComparePairs, IntervalCoversTheTruth) {
  std::mt19937 random(3);
  std::lognormal_distribution<double> noise(0, 0.2);
  constexpr int kExperiments = 4'000;
  int covered = 0;
  for (int e = 0; e < kExperiments; ++e) {
    Samples a;
    Samples b;
    for (int i = 0; i < 10; ++i) {
      a.push_back(1.3 * noise(random));
      b.push_back(noise(random));
    }
    const auto r = ComparePairs(a, b);
    covered += r->low <= 1.3 && 1.3 <= r->high;
  }
  const double sigma = std::sqrt(0.978515625 * (1 - 0.978515625) / kExperiments);
  EXPECT_NEAR(static_cast<double>(covered) / kExperiments, 0.978515625, 4 * sigma);
}

TEST(ComparePairs, WhatCannotBePairedIsAnError) {
  const auto fails = [](const Samples& a, const Samples& b) {
    const auto r = ComparePairs(a, b);
    return !r.ok() && r.error().code == ErrorCode::kInvalidArgument;
  };
  EXPECT_TRUE(fails({}, {}));
  EXPECT_TRUE(fails({1, 2}, {1}));
  for (const double bad : {0.0, -1.0, kInf, kNan}) {
    EXPECT_TRUE(fails({1, bad}, {1, 1})) << bad;
    EXPECT_TRUE(fails({1, 1}, {bad, 1})) << bad;
  }
}

TEST(ComparePairs, ManyPairs) {
  const auto r = ComparePairs(Samples(100'000, 2), Samples(100'000, 1));
  EXPECT_EQ(r->low, 2);
  EXPECT_GE(r->coverage, 0.95);
  EXPECT_LT(r->coverage, 0.96);
}

}  // namespace
}  // namespace tenfold::stats
