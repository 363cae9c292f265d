// Bias and penalties against a plain reading of their definition, on random logits and histories.
#include "sampling/penalties.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace tenfold::sampling {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// Token by token, counting the history anew: OpenAI's documented formula and llama.cpp's repeat penalty.
std::vector<float> Reference(std::vector<float> logits, const Params& params, History history) {
  const auto size = static_cast<int64_t>(history.tokens.size());
  const int64_t window = params.repeat_last_n < 0 ? size : std::min<int64_t>(size, params.repeat_last_n);
  for (size_t token = 0; token < logits.size(); ++token) {
    float& logit = logits[token];
    for (const TokenBias& bias : params.bias) {
      if (bias.token == static_cast<int32_t>(token)) logit += bias.bias;
    }
    const auto count = [&](int64_t begin) {
      return std::count(history.tokens.begin() + begin, history.tokens.end(), static_cast<int32_t>(token));
    };
    if (count(size - window) > 0) logit = logit > 0 ? logit / params.repeat_penalty : logit * params.repeat_penalty;
    const auto generated = static_cast<float>(count(history.prompt_tokens));
    if (generated > 0) logit -= params.presence_penalty + params.frequency_penalty * generated;
  }
  return logits;
}

TEST(Penalties, AgreeWithTheDefinitionAsTheHistoryGrows) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, 3);
  for (int round = 0; round < 60; ++round) {
    Params params;
    params.presence_penalty = round % 3 == 0 ? 0 : 0.5F * static_cast<float>(round % 5) - 1;
    params.frequency_penalty = round % 4 == 0 ? 0 : 0.25F * static_cast<float>(round % 7) - 0.5F;
    params.repeat_penalty = round % 5 == 0 ? 1 : 0.8F + 0.1F * static_cast<float>(round % 6);
    params.repeat_last_n = std::vector<int32_t>{-1, 0, 1, 5, 64}[static_cast<size_t>(round % 5)];
    if (round % 2 == 0) params.bias = {{3, 2.5F}, {5, -kInf}, {3, 1}, {900, 4}, {-1, 4}};
    Penalties penalties(params);
    std::vector<int32_t> tokens;
    const int64_t prompt = 1 + round % 9;
    for (int64_t i = 0; i < prompt; ++i) tokens.push_back(static_cast<int32_t>(random() % 24));
    for (int step = 0; step < 40; ++step) {
      std::vector<float> logits(20);  // some tokens of the history are beyond it
      for (float& x : logits) x = normal(random);
      const History history{tokens, prompt};
      const std::vector<float> expected = Reference(logits, params, history);
      penalties.Follow(history);
      penalties.Apply(logits);
      for (size_t i = 0; i < logits.size(); ++i) {
        if (std::isinf(expected[i])) {
          ASSERT_EQ(logits[i], expected[i]);
        } else {
          ASSERT_NEAR(logits[i], expected[i], 1e-5) << "round " << round << " step " << step << " token " << i;
        }
      }
      for (uint32_t more = random() % 3; more > 0; --more) tokens.push_back(static_cast<int32_t>(random() % 24));
    }
  }
}

TEST(Penalties, AnyIsFalseOnlyWhereNothingCanChange) {
  EXPECT_FALSE(Penalties({}).any());
  EXPECT_FALSE(Penalties({.repeat_penalty = 1.5F, .repeat_last_n = 0}).any());
  EXPECT_TRUE(Penalties({.repeat_penalty = 1.5F}).any());
  EXPECT_TRUE(Penalties({.presence_penalty = 1}).any());
  EXPECT_TRUE(Penalties({.frequency_penalty = -1}).any());
  EXPECT_TRUE(Penalties({.bias = {{1, 1}}}).any());
}

// Greedy with a frequency penalty walks down the list instead of repeating its peak.
TEST(Penalties, GreedyObeysThem) {
  const std::vector<float> logits = {1, 3, 2, 0};
  const auto draw = [&](Params params, int draws) {
    params.temperature = 0;
    Sampler sampler(params);
    std::vector<int32_t> tokens = {1};
    for (int i = 0; i < draws; ++i) tokens.push_back(sampler.Draw(logits, -1, {tokens, 1})->token);
    return std::vector<int32_t>(tokens.begin() + 1, tokens.end());
  };
  EXPECT_EQ(draw({}, 3), (std::vector<int32_t>{1, 1, 1}));
  EXPECT_EQ(draw({.frequency_penalty = 1.5F}, 4), (std::vector<int32_t>{1, 2, 1, 0}));
  EXPECT_EQ(draw({.presence_penalty = 1.5F}, 4), (std::vector<int32_t>{1, 2, 1, 1}));  // taken off once
  EXPECT_EQ(draw({.repeat_penalty = 2}, 1), std::vector<int32_t>{2});                  // the prompt counts
  EXPECT_EQ(draw({.repeat_penalty = 2, .repeat_last_n = 1}, 3), (std::vector<int32_t>{2, 1, 2}));
  EXPECT_EQ(draw({.bias = {{3, 100}}}, 2), (std::vector<int32_t>{3, 3}));
  EXPECT_EQ(draw({.bias = {{1, -kInf}}}, 2), (std::vector<int32_t>{2, 2}));
}

TEST(Penalties, LogprobsStayThoseOfTheModel) {
  const std::vector<float> logits = {1, 3, 2, 0};
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x));
  Sampler sampler({.temperature = 0, .bias = {{3, 100}, {1, -kInf}}});
  const auto sample = sampler.Draw(logits, 2);
  ASSERT_TRUE(sample.ok());
  EXPECT_EQ(sample->token, 3);
  EXPECT_NEAR(sample->logprob, 0 - std::log(sum), 1e-6);
  ASSERT_EQ(sample->top.size(), 2u);
  EXPECT_EQ(sample->top[0].token, 1);
  EXPECT_NEAR(sample->top[0].logprob, 3 - std::log(sum), 1e-6);
}

TEST(Penalties, BansThatLeaveNothingAreTheRequestsFault) {
  const auto sample = Sampler({.bias = {{0, -kInf}, {1, -kInf}}}).Draw(std::vector<float>{1, 2}, -1);
  ASSERT_FALSE(sample.ok());
  EXPECT_EQ(sample.error().code, ErrorCode::kInvalidArgument);
}

TEST(Penalties, FactorsThatOverflowStayDrawable) {
  const auto sample =
      Sampler({.repeat_penalty = 0.01F}).Draw(std::vector<float>{3e38F, 1}, 0, {std::vector<int32_t>{0}, 1});
  ASSERT_TRUE(sample.ok());
  EXPECT_EQ(sample->token, 1);
}

TEST(Score, IsTheLogSoftmaxOfOneToken) {
  const std::vector<float> logits = {1, 3, -kInf, std::numeric_limits<float>::quiet_NaN(), 2};
  const double log_sum = std::log(std::exp(1.0) + std::exp(3.0) + std::exp(2.0));
  const auto sample = Score(logits, 4, 2);
  ASSERT_TRUE(sample.ok());
  EXPECT_EQ(sample->token, 4);
  EXPECT_NEAR(sample->logprob, 2 - log_sum, 1e-6);
  ASSERT_EQ(sample->top.size(), 2u);
  EXPECT_EQ(sample->top[0].token, 1);
  EXPECT_EQ(Score(logits, 2, 0)->logprob, -kInf);
  EXPECT_EQ(Score(logits, 3, 0)->logprob, -kInf);
  EXPECT_FALSE(Score(std::vector<float>{-kInf}, 0, 0).ok());
}

}  // namespace
}  // namespace tenfold::sampling
