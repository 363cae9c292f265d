#include "engine/engine.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <fstream>
#include <future>
#include <mutex>
#include <set>

#include "engine/engine_testing.h"
#include "gguf/test_model.h"

namespace tenfold::engine {
namespace {

// 2 layers, 2 KV heads, K and V of 16 tokens, 64 halves each: the model below.
constexpr uint64_t kPageBytes = 2ull * 2 * 2 * 16 * 64 * 2;

class EngineTest : public ::testing::Test {
 protected:
  EngineTest() : model_(gguf::MakeTinyModel({.types = "q8_0", .vocab = 512, .context_length = 512, .seed = 9})) {}

  std::unique_ptr<Engine> Start(Options options) {
    options.model_path = model_.path();
    if (options.threads == 0) options.threads = 2;
    auto engine = std::make_unique<Engine>(std::move(options), nullptr);
    EXPECT_TRUE(engine->StartLoad().ok());
    EXPECT_TRUE(WaitState(*engine, LoadState::kReady)) << engine->snapshot().error;
    return engine;
  }

  static std::vector<tokenizer::TokenId> Run(Engine& engine, std::vector<tokenizer::TokenId> prompt, int64_t max_new) {
    auto answer = std::make_shared<Answer>();
    Request request = MakeRequest(answer, std::move(prompt), max_new);
    request.ignore_eos = true;
    EXPECT_TRUE(engine.Submit(std::move(request)).ok());
    EXPECT_TRUE(answer->WaitFinished());
    return answer->tokens;
  }

  TempModel model_;
};

TEST_F(EngineTest, TenDifferentRequestsTogetherGiveWhatEachGivesAlone) {
  // A pool smaller than ten contexts, so that requests also wait and are preempted.
  const auto engine = Start({.max_context = 160, .max_step_tokens = 24, .kv_bytes = kPageBytes * 12, .exact = true});
  std::vector<std::vector<tokenizer::TokenId>> alone;
  for (int i = 0; i < 10; ++i) alone.push_back(Run(*engine, Prompt(3 + 9 * i, i), 30 + i));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(alone[static_cast<size_t>(i)].size(), static_cast<size_t>(30 + i));
  EXPECT_EQ(std::set(alone.begin(), alone.end()).size(), 10u)
      << "the requests must differ for this test to mean anything";

  std::vector<std::shared_ptr<Answer>> answers;
  for (int i = 0; i < 10; ++i) {
    answers.push_back(std::make_shared<Answer>());
    Request request = MakeRequest(answers.back(), Prompt(3 + 9 * i, i), 30 + i);
    request.ignore_eos = true;
    ASSERT_TRUE(engine->Submit(std::move(request)).ok());
  }
  for (size_t i = 0; i < 10; ++i) {
    ASSERT_TRUE(answers[i]->WaitFinished());
    EXPECT_EQ(answers[i]->tokens, alone[i]) << "request " << i;
    EXPECT_EQ(answers[i]->finishes[0].reason, FinishReason::kLength);
    EXPECT_EQ(answers[i]->finishes[0].timings.generated_tokens, static_cast<int64_t>(30 + i));
  }
  EXPECT_GT(engine->snapshot().preemptions_total, 0u) << "the pool was meant to run out";
  EXPECT_TRUE(WaitPagesBack(*engine));
}

TEST_F(EngineTest, ACancelledRequestStopsWithinAStepAndGivesItsPagesBack) {
  const auto engine = Start({});
  auto answer = std::make_shared<Answer>();
  Request request = MakeRequest(answer, Prompt(5, 1), 500);
  request.ignore_eos = true;
  const auto id = engine->Submit(std::move(request));
  ASSERT_TRUE(id.ok());
  ASSERT_TRUE(answer->WaitTokens(3));
  engine->Cancel(*id);
  ASSERT_TRUE(answer->WaitFinished());
  EXPECT_EQ(answer->finishes[0].reason, FinishReason::kCancelled);
  EXPECT_LT(answer->tokens.size(), 400u);
  const auto later = Run(*engine, Prompt(4, 2), 5);
  EXPECT_EQ(later.size(), 5u);
  EXPECT_TRUE(WaitPagesBack(*engine));
  EXPECT_EQ(engine->snapshot().cancelled_total, 1u);
  engine->Cancel(*id);     // long gone: ignored
  engine->Cancel(987654);  // never existed: ignored
  EXPECT_EQ(Run(*engine, Prompt(4, 2), 5), later);
  EXPECT_EQ(answer->finishes.size(), 1u);
}

TEST_F(EngineTest, EndOfGenerationStopsAndIsNotHandedOut) {
  // With ignore_eos 512 tokens of random weights meet an end token sooner or later; without it the answer ends there.
  const auto engine = Start({});
  int stopped = 0;
  for (int seed = 0; seed < 40 && stopped == 0; ++seed) {
    auto answer = std::make_shared<Answer>();
    Request request = MakeRequest(answer, Prompt(4, seed), 400);
    request.sampling = {.temperature = 2.0F, .seed = static_cast<uint64_t>(seed)};
    ASSERT_TRUE(engine->Submit(std::move(request)).ok());
    ASSERT_TRUE(answer->WaitFinished());
    if (answer->finishes[0].reason != FinishReason::kStop) continue;
    ++stopped;
    for (const auto token : answer->tokens) EXPECT_FALSE(engine->model()->tokenizer->IsEndOfGeneration(token));
  }
  EXPECT_GT(stopped, 0);
}

TEST_F(EngineTest, IgnoringTheEndLeavesLogprobsAlone) {
  const auto engine = Start({});
  for (int seed = 0; seed < 8; ++seed) {
    float logprob[2];
    for (const bool ignore_eos : {false, true}) {
      auto answer = std::make_shared<Answer>();
      Request request = MakeRequest(answer, Prompt(6, seed), 1);
      request.ignore_eos = ignore_eos;
      request.cache_prompt = false;
      request.n_top = 0;
      ASSERT_TRUE(engine->Submit(std::move(request)).ok());
      ASSERT_TRUE(answer->WaitFinished());
      ASSERT_EQ(answer->details.size(), 1u) << "the likeliest token is the end: take another seed";
      logprob[ignore_eos ? 1 : 0] = answer->details[0].logprob;
    }
    EXPECT_EQ(logprob[0], logprob[1]);
  }
}

TEST_F(EngineTest, TheLoopThreadFlushesDenormals) {
  const auto engine = Start({});
  std::promise<unsigned> control;
  Request request = MakeRequest(std::make_shared<Answer>(), Prompt(5, 1), 1);
  request.on_token = [](Token&&) {};
  request.on_finish = [&control](Finish&&) { control.set_value(_mm_getcsr()); };
  ASSERT_TRUE(engine->Submit(std::move(request)).ok());
  constexpr unsigned kFlushToZeroAndDenormalsAreZero = 0x8040;
  EXPECT_EQ(control.get_future().get() & kFlushToZeroAndDenormalsAreZero, kFlushToZeroAndDenormalsAreZero);
}

TEST_F(EngineTest, SameSeedSameTokensAndLogprobsAreOfTheSoftmax) {
  const auto engine = Start({});
  std::vector<tokenizer::TokenId> first;
  for (int run = 0; run < 2; ++run) {
    auto answer = std::make_shared<Answer>();
    Request request = MakeRequest(answer, Prompt(6, 3), 20);
    request.sampling = {.temperature = 1.0F, .seed = 77};
    request.ignore_eos = true;
    request.n_top = 5;
    ASSERT_TRUE(engine->Submit(std::move(request)).ok());
    ASSERT_TRUE(answer->WaitFinished());
    if (run == 0) first = answer->tokens;
    EXPECT_EQ(answer->tokens, first);
    for (const Token& token : answer->details) {
      ASSERT_EQ(token.top.size(), 5u);
      EXPECT_LE(token.logprob, token.top[0].logprob);
      for (size_t i = 1; i < 5; ++i) EXPECT_LE(token.top[i].logprob, token.top[i - 1].logprob);
    }
  }
}

TEST_F(EngineTest, RefusesWhatCannotBeServedWithNumbers) {
  const auto engine = Start({.max_context = 128});
  auto answer = std::make_shared<Answer>();
  const auto expect_refused = [&](Request request, const std::string& text) {
    const auto result = engine->Submit(std::move(request));
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(result.error().message.find(text), std::string::npos) << result.error().message;
  };
  expect_refused(MakeRequest(answer, {}, 5), "empty");
  expect_refused(MakeRequest(answer, {1, 512}, 5), "512");
  expect_refused(MakeRequest(answer, {1, -1}, 5), "-1");
  expect_refused(MakeRequest(answer, Prompt(100, 1), 29), "128");
  expect_refused(MakeRequest(answer, Prompt(128, 1), -1), "128");
  Request scored = MakeRequest(answer, Prompt(10, 1), 1);
  scored.score_prompt = true;
  expect_refused(std::move(scored), "not asked for");
  EXPECT_EQ(Run(*engine, Prompt(100, 1), 28).size(), 28u);
  EXPECT_EQ(Run(*engine, Prompt(127, 1), -1).size(), 1u);
}

TEST_F(EngineTest, NothingIsAcceptedBeforeTheLoadAndStatesAreReported) {
  Options options;
  options.model_path = model_.path();
  options.threads = 1;
  Engine engine(options, nullptr);
  std::mutex mutex;
  std::vector<LoadState> states;
  engine.OnStateChange([&](LoadState s) {
    const std::lock_guard lock(mutex);
    states.push_back(s);
  });
  auto answer = std::make_shared<Answer>();
  const auto refused = engine.Submit(MakeRequest(answer, {1}, 1));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(engine.snapshot().state, LoadState::kNotLoaded);
  ASSERT_TRUE(engine.StartLoad().ok());
  EXPECT_NE(engine.snapshot().state, LoadState::kNotLoaded);
  ASSERT_TRUE(WaitState(engine, LoadState::kReady));
  engine.StartUnload();
  ASSERT_TRUE(WaitState(engine, LoadState::kNotLoaded));
  EXPECT_EQ(engine.model(), nullptr);
  ASSERT_TRUE(engine.StartLoad().ok());
  ASSERT_TRUE(WaitState(engine, LoadState::kReady));
  const std::lock_guard lock(mutex);
  const std::vector<LoadState> want = {LoadState::kLoading, LoadState::kReady, LoadState::kNotLoaded,
                                       LoadState::kLoading};
  ASSERT_GE(states.size(), want.size());
  states.resize(want.size());
  EXPECT_EQ(states, want);
}

TEST_F(EngineTest, UnloadFailsRunningRequestsByName) {
  const auto engine = Start({});
  auto answer = std::make_shared<Answer>();
  Request request = MakeRequest(answer, Prompt(5, 1), 500);
  request.ignore_eos = true;
  ASSERT_TRUE(engine->Submit(std::move(request)).ok());
  ASSERT_TRUE(answer->WaitTokens(1));
  engine->StartUnload();
  ASSERT_TRUE(answer->WaitFinished());
  EXPECT_EQ(answer->finishes[0].reason, FinishReason::kFailed);
  EXPECT_EQ(answer->finishes[0].error.code, ErrorCode::kUnavailable);
}

TEST_F(EngineTest, AFailedLoadStaysAndCanBeRetried) {
  const std::string path = ::testing::TempDir() + "/engine_test_later.gguf";
  unlink(path.c_str());
  Options options;
  options.model_path = path;
  options.threads = 1;
  Engine engine(options, nullptr);
  ASSERT_TRUE(engine.StartLoad().ok());
  ASSERT_TRUE(WaitState(engine, LoadState::kError));
  EXPECT_NE(engine.snapshot().error.find(path), std::string::npos) << engine.snapshot().error;
  std::ofstream(path) << std::ifstream(model_.path()).rdbuf();
  ASSERT_TRUE(engine.StartLoad().ok());
  EXPECT_TRUE(WaitState(engine, LoadState::kReady)) << engine.snapshot().error;
  unlink(path.c_str());
}

TEST_F(EngineTest, DestructionFinishesEveryRequestOnce) {
  std::vector<std::shared_ptr<Answer>> answers;
  {
    const auto engine = Start({.max_running = 2});
    for (int i = 0; i < 5; ++i) {
      answers.push_back(std::make_shared<Answer>());
      Request request = MakeRequest(answers.back(), Prompt(5, i), 400);
      request.ignore_eos = true;
      ASSERT_TRUE(engine->Submit(std::move(request)).ok());
    }
    ASSERT_TRUE(answers[0]->WaitTokens(2));
  }
  for (const auto& answer : answers) {
    ASSERT_EQ(answer->finishes.size(), 1u);
  }
  EXPECT_EQ(answers[4]->finishes[0].reason, FinishReason::kCancelled);
}

TEST(EngineWithoutModel, SaysWhatToDo) {
  Engine engine({.threads = 1}, nullptr);
  const Status status = engine.StartLoad();
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("-m"), std::string::npos);
  EXPECT_EQ(engine.snapshot().state, LoadState::kNotLoaded);
}

}  // namespace
}  // namespace tenfold::engine
