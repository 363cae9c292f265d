#include "sampling/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "sampling/random.h"

namespace tenfold::sampling {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

int32_t DrawOne(Params params, const std::vector<float>& logits) {
  auto sample = Sampler(params).Draw(logits, -1);
  return sample.ok() ? sample->token : -1;
}

// Pearson's statistic of the tokens of `draws` draws against the expected probabilities; a token of probability 0 must
// never come.
double ChiSquare(const Params& params, const std::vector<float>& logits, const std::vector<double>& expected,
                 int draws) {
  Sampler sampler(params);
  std::vector<int> counts(logits.size(), 0);
  for (int i = 0; i < draws; ++i) ++counts[sampler.Draw(logits, -1).value().token];
  double statistic = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double wanted = expected[i] * draws;
    if (wanted == 0) {
      EXPECT_EQ(counts[i], 0) << "token " << i;
    } else {
      statistic += (counts[i] - wanted) * (counts[i] - wanted) / wanted;
    }
  }
  return statistic;
}

std::vector<double> Softmax(const std::vector<float>& logits, double temperature) {
  std::vector<double> p;
  double sum = 0;
  for (const float x : logits) sum += p.emplace_back(std::exp(static_cast<double>(x) / temperature));
  for (double& x : p) x /= sum;
  return p;
}

const std::vector<float> kLogits = {0.1F, 2.0F, -1.0F, 1.0F, 0.5F, -kInf, 1.5F, -0.5F};
constexpr double kCritical6 = 22.46;  // chi-square, 6 degrees of freedom, 0.1 %

TEST(Sampler, DrawsFollowTheSoftmax) {
  for (const uint64_t seed : {0, 1, 2, 12'345}) {
    EXPECT_LT(ChiSquare({.seed = seed}, kLogits, Softmax(kLogits, 1), 40'000), kCritical6) << seed;
  }
}

TEST(Sampler, DrawsFollowTheTemperature) {
  for (const float t : {0.5F, 0.7F, 2.0F}) {
    EXPECT_LT(ChiSquare({.temperature = t, .seed = 3}, kLogits, Softmax(kLogits, static_cast<double>(t)), 40'000),
              kCritical6)
        << t;
  }
}

TEST(Sampler, FiltersSeeThePlainSoftmaxAndTheTemperatureShapesTheRest) {
  // Softmax: token 1 0.39, 6 0.24, 3 0.14, 4 0.09, ... so top_p 0.7 keeps {1, 6, 3} at every temperature.
  std::vector<float> kept(kLogits.size(), -kInf);
  for (const int id : {1, 6, 3}) kept[id] = kLogits[id];
  constexpr double kCritical2 = 13.82;
  for (const float t : {0.3F, 1.0F, 2.0F}) {
    const auto expected = Softmax(kept, static_cast<double>(t));
    EXPECT_LT(ChiSquare({.temperature = t, .top_p = 0.7F, .seed = 4}, kLogits, expected, 20'000), kCritical2) << t;
    EXPECT_LT(ChiSquare({.temperature = t, .top_k = 3, .seed = 5}, kLogits, expected, 20'000), kCritical2) << t;
    // min_p 0.3: 0.39 * 0.3 = 0.117 keeps the same three.
    EXPECT_LT(ChiSquare({.temperature = t, .min_p = 0.3F, .seed = 6}, kLogits, expected, 20'000), kCritical2) << t;
  }
}

TEST(Sampler, TopPIsThatOfTheTopKTokens) {
  // Of the top two, token 1 has 0.62: top_p 0.6 keeps it alone, though it has 0.39 of the whole.
  EXPECT_EQ(ChiSquare({.top_p = 0.6F, .top_k = 2, .seed = 1}, kLogits, {0, 1, 0, 0, 0, 0, 0, 0}, 1'000), 0);
}

TEST(Sampler, NthDrawDependsOnlyOnSeedAndNumber) {
  std::mt19937 random(1);
  std::vector<float> other(5000);
  for (float& x : other) x = static_cast<float>(random() % 100) / 10;
  Sampler a({.seed = 9});
  Sampler b({.seed = 9});
  for (int i = 0; i < 50; ++i) {
    // b saw other logits and asked for log-probabilities before: the next draw must not notice.
    ASSERT_EQ(a.Draw(kLogits, -1)->token, b.Draw(kLogits, 3)->token);
    (void)a.Draw(kLogits, -1);
    (void)b.Draw(other, 5);
  }
}

TEST(Sampler, SeedsDiffer) {
  int same = 0;
  Sampler a({.seed = 1});
  Sampler b({.seed = 2});
  const std::vector<float> flat(64, 0);
  for (int i = 0; i < 1'000; ++i) same += a.Draw(flat, -1)->token == b.Draw(flat, -1)->token;
  EXPECT_LT(same, 40);  // 16 expected
  // Nor is one stream the other one shifted.
  for (int shift = 0; shift < 64; ++shift) EXPECT_NE(Uniform(1, shift), Uniform(2, 0));
}

TEST(Sampler, GreedyTakesTheLowestIdOfTheLargest) {
  EXPECT_EQ(DrawOne({.temperature = 0}, {1, 3, 3, 2}), 1);
  EXPECT_EQ(DrawOne({.temperature = 0, .top_p = 0.1F, .top_k = 2, .min_p = 0.5F}, {1, 3, 3, 2}), 1);
  EXPECT_EQ(DrawOne({.temperature = -1}, {1, 3, 3, 2}), 1);
  EXPECT_EQ(DrawOne({.temperature = kNan}, {1, 3, 3, 2}), 1);
  EXPECT_EQ(DrawOne({.temperature = 1e-45F}, {1, 3, 2}), 1);
  EXPECT_EQ(DrawOne({.temperature = 1e-30F}, {1, 3, 2}), 1);
}

TEST(Sampler, WhatIsNotFiniteIsNeverDrawn) {
  const std::vector<float> odd = {kNan, kInf, 0.5F, -kInf, 0.5F, -kNan};
  for (const Params& params :
       {Params{.temperature = 0}, Params{}, Params{.top_p = 0.9F}, Params{.top_k = 4}, Params{.min_p = 0.1F}}) {
    Sampler sampler(params);
    for (int i = 0; i < 200; ++i) {
      const auto sample = sampler.Draw(odd, 6);
      ASSERT_TRUE(sample.ok());
      EXPECT_TRUE(sample->token == 2 || sample->token == 4);
      EXPECT_NEAR(sample->logprob, std::log(0.5), 1e-6);
      ASSERT_EQ(sample->top.size(), 2u);
      EXPECT_EQ(sample->top[0].token, 2);
      EXPECT_EQ(sample->top[1].token, 4);
    }
  }
}

TEST(Sampler, NothingFiniteIsAnError) {
  for (const std::vector<float>& logits : {std::vector<float>{}, {kNan}, {-kInf, -kInf}, {kInf, kNan, -kInf}}) {
    const auto sample = Sampler({}).Draw(logits, 2);
    ASSERT_FALSE(sample.ok());
    EXPECT_EQ(sample.error().code, ErrorCode::kInternal);
  }
}

TEST(Sampler, LogprobsAreOfThePlainSoftmaxWhateverTheFilters) {
  const auto p = Softmax(kLogits, 1);
  Sampler sampler({.temperature = 0.2F, .top_p = 0.9F, .top_k = 3, .seed = 7});
  for (int i = 0; i < 20; ++i) {
    const auto sample = sampler.Draw(kLogits, 4);
    ASSERT_TRUE(sample.ok());
    EXPECT_NEAR(sample->logprob, std::log(p[sample->token]), 1e-6);
    ASSERT_EQ(sample->top.size(), 4u);
    const int expected[] = {1, 6, 3, 4};
    for (int j = 0; j < 4; ++j) {
      EXPECT_EQ(sample->top[j].token, expected[j]);
      EXPECT_NEAR(sample->top[j].logprob, std::log(p[expected[j]]), 1e-6);
    }
  }
}

TEST(Sampler, LogprobsAreComputedOnlyWhenAsked) {
  EXPECT_EQ(Sampler({}).Draw(kLogits, -1)->logprob, 0);
  EXPECT_TRUE(Sampler({}).Draw(kLogits, -1)->top.empty());
  EXPECT_LT(Sampler({}).Draw(kLogits, 0)->logprob, 0);
  EXPECT_TRUE(Sampler({}).Draw(kLogits, 0)->top.empty());
  EXPECT_EQ(Sampler({}).Draw(kLogits, 1000)->top.size(), 7u);  // as many as are finite
}

TEST(Sampler, LogprobsAreExactOverAWholeVocabulary) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal(10, 3);
  std::vector<float> logits(151'936);
  for (float& x : logits) x = normal(random);
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x));
  const auto sample = Sampler({.seed = 3}).Draw(logits, 20);
  ASSERT_TRUE(sample.ok());
  EXPECT_NEAR(sample->logprob, static_cast<double>(logits[sample->token]) - std::log(sum), 2e-6);
  EXPECT_EQ(sample->top.size(), 20u);
}

TEST(Sampler, HugeLogitsDoNotOverflow) {
  EXPECT_EQ(DrawOne({}, {3e38F, -3e38F, 0}), 0);
  EXPECT_EQ(DrawOne({.top_p = 0.5F}, {-3e38F, 3e38F, 0}), 1);
  EXPECT_NEAR(Sampler({}).Draw(std::vector<float>{3e38F, -3e38F}, 0)->logprob, 0, 1e-6);
}

TEST(Sampler, DrawsOnlyWhatTheMaskAllows) {
  std::vector<float> logits(200, 0.0F);
  logits[0] = 9;
  logits[70] = 5;
  logits[130] = 4;
  std::vector<uint64_t> mask(4, 0);
  for (const size_t token : {70, 71, 130, 199}) mask[token / 64] |= 1ULL << (token % 64);
  EXPECT_EQ(Sampler({.temperature = 0}).Draw(logits, -1, {}, mask)->token, 70);
  // Log-probabilities stay those of the plain logits.
  const Sample told = *Sampler({.temperature = 0}).Draw(logits, 1, {}, mask);
  const Sample plain = *Sampler({.temperature = 0}).Draw(logits, 1);
  EXPECT_EQ(told.top[0].token, 0);
  EXPECT_EQ(told.top[0].logprob, plain.top[0].logprob);
  EXPECT_LT(told.logprob, plain.logprob);
  std::vector<double> expected(200, 0.0);
  double sum = 0;
  for (const size_t token : {70, 71, 130, 199})
    sum += expected[token] = std::exp(static_cast<double>(logits[token]) / 4);
  for (double& p : expected) p /= sum;
  Sampler sampler({.temperature = 4, .seed = 5});
  std::vector<int> counts(200, 0);
  for (int i = 0; i < 20'000; ++i) ++counts[static_cast<size_t>(sampler.Draw(logits, -1, {}, mask)->token)];
  for (size_t token = 0; token < 200; ++token) EXPECT_NEAR(counts[token], expected[token] * 20'000, 400) << token;
  // A mask of everything changes nothing, and one of nothing is an error.
  const std::vector<uint64_t> all(4, ~uint64_t{0});
  for (const Params& params :
       {Params{.seed = 8}, Params{.top_k = 3, .seed = 8}, Params{.presence_penalty = 1, .seed = 8}}) {
    Sampler free(params);
    Sampler masked(params);
    for (int i = 0; i < 50; ++i) EXPECT_EQ(free.Draw(logits, -1)->token, masked.Draw(logits, -1, {}, all)->token);
  }
  const std::vector<uint64_t> none(4, 0);
  EXPECT_EQ(Sampler({}).Draw(logits, -1, {}, none).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tenfold::sampling
