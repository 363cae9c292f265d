// The prefix cache with a real, tiny model: what a request gives does not depend on whether its pages were computed for
// it or found, and nobody finds what was computed under another salt.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "engine/engine_testing.h"
#include "engine/loop.h"
#include "gguf/test_model.h"
#include "kernels/attention.h"

namespace tenfold::engine {
namespace {

struct Told {
  std::vector<Token> tokens;
  std::vector<Token> scored;
  Timings timings;
};

class PrefixCacheTest : public ::testing::Test {
 protected:
  PrefixCacheTest()
      : model_(gguf::MakeTinyModel({.types = "q4_k_m", .vocab = 512, .context_length = 512, .seed = 21})),
        pool_(2, [](int) { kernels::SetFlushDenormals(); }) {
    kernels::SetFlushDenormals();
  }

  std::unique_ptr<Loop> Make(Options options) {
    options.model_path = model_.path();
    auto loaded = LoadModel(options, pool_, [](std::string_view, double) { return true; });
    EXPECT_TRUE(loaded.ok()) << loaded.error().message;
    return std::make_unique<Loop>(options, std::move(loaded).value(), pool_, desk_);
  }

  void Add(Loop& loop, RequestId id, std::vector<tokenizer::TokenId> prompt, const std::string& salt = "",
           bool cache = true, bool score = false) {
    Request request;
    request.prompt = std::move(prompt);
    request.max_new_tokens = 20;
    request.sampling = {.temperature = 0.9F, .seed = 7};
    request.ignore_eos = true;
    request.n_top = 5;
    request.cache_salt = salt;
    request.cache_prompt = cache;
    request.score_prompt = score;
    request.on_prompt = [this, id](std::vector<Token>&& tokens) {
      for (Token& t : tokens) told_[id].scored.push_back(std::move(t));
    };
    request.on_token = [this, id](Token&& t) { told_[id].tokens.push_back(std::move(t)); };
    request.on_finish = [this, id](Finish&& f) { told_[id].timings = f.timings; };
    loop.Add(id, std::move(request), 0);
  }

  void Drain(Loop& loop) {
    while (!loop.empty()) {
      loop.RunStep(counters_);
      EXPECT_EQ(loop.CheckIntegrity(), "");
    }
    EXPECT_EQ(loop.scheduler().pages().used(), 0);
  }

  const Told& Run(Loop& loop, RequestId id, std::vector<tokenizer::TokenId> prompt, const std::string& salt = "",
                  bool cache = true, bool score = false) {
    Add(loop, id, std::move(prompt), salt, cache, score);
    Drain(loop);
    return told_[id];
  }

  static void ExpectSameBits(const std::vector<Token>& a, const std::vector<Token>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].id, b[i].id) << "token " << i;
      ASSERT_EQ(a[i].logprob, b[i].logprob) << "token " << i;
      for (size_t t = 0; t < a[i].top.size(); ++t) ASSERT_EQ(a[i].top[t].logprob, b[i].top[t].logprob);
    }
  }

  TempModel model_;
  platform::ThreadPool pool_;
  AdmissionDesk desk_;
  LoopCounters counters_;
  std::map<RequestId, Told> told_;
};

TEST_F(PrefixCacheTest, InExactModeAHitChangesNoBit) {
  const auto without = Make({.prefix_cache = false, .exact = true});
  const auto with = Make({.max_step_tokens = 50, .exact = true});
  RequestId id = 0;
  for (const int tokens : {16, 17, 33, 100, 203}) {
    SCOPED_TRACE(tokens);
    const Told cold = Run(*without, ++id, Prompt(tokens, tokens));
    EXPECT_EQ(Run(*without, ++id, Prompt(tokens, tokens)).timings.cached_tokens, 0);
    EXPECT_EQ(Run(*with, ++id, Prompt(tokens, tokens)).timings.cached_tokens, 0);
    const Told& hit = Run(*with, ++id, Prompt(tokens, tokens));
    EXPECT_EQ(hit.timings.cached_tokens, (tokens - 1) / 16 * 16);
    EXPECT_EQ(hit.timings.prompt_tokens, tokens);
    ExpectSameBits(hit.tokens, cold.tokens);
    // The conversation goes on: its answer is a beginning, too.
    std::vector<tokenizer::TokenId> longer = Prompt(tokens, tokens);
    for (const Token& t : hit.tokens) longer.push_back(t.id);
    for (const auto token : Prompt(9, 3)) longer.push_back(token);
    const Told again = Run(*without, ++id, longer);
    const Told& continued = Run(*with, ++id, longer);
    EXPECT_EQ(continued.timings.cached_tokens, (tokens + 19) / 16 * 16) << "the last token drawn was never computed";
    ExpectSameBits(continued.tokens, again.tokens);
  }
  EXPECT_EQ(counters_.cached_tokens, [&] {
    uint64_t sum = 0;
    for (const auto& [unused, told] : told_) sum += static_cast<uint64_t>(told.timings.cached_tokens);
    return sum;
  }());
}

// Few and many tokens round differently there: the same tolerance as between a prompt in one chunk and in many.
TEST_F(PrefixCacheTest, InDefaultModeAHitStaysWithinRounding) {
  const auto without = Make({.prefix_cache = false});
  const auto with = Make({});
  RequestId id = 0;
  double worst = 0;
  for (int i = 0; i < 8; ++i) {
    const Told cold = Run(*without, ++id, Prompt(150 + i, i));
    Run(*with, ++id, Prompt(150 + i, i));
    const Told& hit = Run(*with, ++id, Prompt(150 + i, i));
    ASSERT_EQ(hit.timings.cached_tokens, 144);
    std::map<tokenizer::TokenId, float> logprobs;
    for (const auto& top : cold.tokens[0].top) logprobs[top.token] = top.logprob;
    int common = 0;
    for (const auto& top : hit.tokens[0].top) {
      const auto found = logprobs.find(top.token);
      if (found == logprobs.end()) continue;
      ++common;
      worst = std::max(worst, std::abs(static_cast<double>(top.logprob - found->second)));
    }
    EXPECT_GE(common, 4) << "of the five likeliest tokens";
  }
  EXPECT_LT(worst, 0.1);
}

TEST_F(PrefixCacheTest, SaltsPermissionsAndScoresKeepApart) {
  const auto loop = Make({.exact = true});
  const auto prompt = Prompt(100, 1);
  const Told first = Run(*loop, 1, prompt, "anna");
  EXPECT_EQ(Run(*loop, 2, prompt, "bert").timings.cached_tokens, 0);
  EXPECT_EQ(Run(*loop, 3, prompt).timings.cached_tokens, 0);
  EXPECT_EQ(Run(*loop, 4, prompt, "anna", false).timings.cached_tokens, 0);
  EXPECT_EQ(Run(*loop, 5, prompt, "anna").timings.cached_tokens, 96);
  EXPECT_EQ(Run(*loop, 6, prompt, "carl", false).timings.cached_tokens, 0);
  EXPECT_EQ(Run(*loop, 7, prompt, "carl").timings.cached_tokens, 0) << "who may not take leaves nothing either";
  const Told& scored = Run(*loop, 8, prompt, "anna", true, true);
  EXPECT_EQ(scored.timings.cached_tokens, 0);
  EXPECT_EQ(scored.scored.size(), 99u);
  for (const auto& [id, told] : told_) ExpectSameBits(told.tokens, first.tokens);
}

// Ten at once with one beginning: it is computed once, and each gets what it gets alone.
TEST_F(PrefixCacheTest, AColdWaveComputesItsBeginningOnce) {
  const auto prompt = [](int i) {
    std::vector<tokenizer::TokenId> out = Prompt(160, 99);
    for (const auto token : Prompt(10 + i, i)) out.push_back(token);
    return out;
  };
  const auto alone = Make({.prefix_cache = false, .exact = true});
  for (int i = 0; i < 10; ++i) Run(*alone, 100 + i, prompt(i));
  const auto loop = Make({.max_step_tokens = 64, .exact = true});
  counters_ = {};
  uint64_t own = 0;
  for (int i = 0; i < 10; ++i) {
    Add(*loop, 200 + i, prompt(i));
    own += static_cast<uint64_t>(10 + i);
  }
  Drain(*loop);
  EXPECT_EQ(counters_.prompt_tokens, 160 + own);
  EXPECT_EQ(counters_.cached_tokens, 9u * 160);
  for (int i = 0; i < 10; ++i) ExpectSameBits(told_[200 + i].tokens, told_[100 + i].tokens);
}

// A pool that the cache fills and requests overflow: pages are evicted, requests preempted, and texts stay the same.
TEST_F(PrefixCacheTest, EvictionAndPreemptionChangeNoBit) {
  const auto alone = Make({.max_context = 192, .prefix_cache = false, .exact = true});
  constexpr uint64_t kPageBytes = 2ull * 2 * 2 * 16 * 64 * 2;
  const auto tight = Make({.max_context = 192, .max_step_tokens = 40, .kv_bytes = 14 * kPageBytes, .exact = true});
  const auto prompt = [](int i) {
    std::vector<tokenizer::TokenId> out = Prompt(30 + 10 * (i % 3), i % 4);
    for (const auto token : Prompt(15, i)) out.push_back(token);
    return out;
  };
  for (int i = 1; i <= 16; ++i) Run(*alone, 100 + i, prompt(i));
  counters_ = {};
  for (int round = 0; round < 2; ++round) {
    for (int i = 1; i <= 16; ++i) Add(*tight, 200 * (round + 1) + i, prompt(i));
    Drain(*tight);
    for (int i = 1; i <= 16; ++i) {
      ExpectSameBits(told_[200 * (round + 1) + i].tokens, told_[100 + i].tokens);
    }
  }
  EXPECT_GT(counters_.preemptions, 0u) << "the pool was meant to run out";
  EXPECT_GT(counters_.evictions, 0u);
  EXPECT_GT(counters_.cached_tokens, 0u);
}

}  // namespace
}  // namespace tenfold::engine
