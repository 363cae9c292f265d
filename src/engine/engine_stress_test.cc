// Storms on the engine's public methods from many threads at once: meant for the thread and address sanitizers. What
// it proves everywhere: every accepted request finishes exactly once, no token follows its end, and no page is lost.
#include <gtest/gtest.h>

#include <atomic>
#include <random>

#include "base/clock.h"
#include "engine/engine.h"
#include "engine/engine_testing.h"
#include "gguf/test_model.h"

namespace tenfold::engine {
namespace {

constexpr int64_t kStormUs = 1'000'000;

// Outlives the engine: its callbacks count into this.
struct Tally {
  std::atomic<int64_t> accepted{0};
  std::atomic<int64_t> refused{0};
  std::atomic<int64_t> finished{0};
  std::atomic<int64_t> by_reason[4]{};
  std::atomic<int64_t> wrong{0};  // second ends, tokens after the end
};

struct Life {
  std::atomic<RequestId> id{0};
  std::atomic<bool> over{false};
  int cancel_after = -1;  // tokens
  int tokens = 0;
};

Request StormRequest(Engine& engine, Tally& tally, std::mt19937& rng, const std::shared_ptr<Life>& life) {
  Request request;
  request.prompt = Prompt(1 + static_cast<int>(rng() % 60), static_cast<int>(rng() % 50));
  request.max_new_tokens = 1 + static_cast<int64_t>(rng() % 40);
  request.sampling = {.temperature = 1.0F, .seed = rng()};
  request.ignore_eos = rng() % 2 == 0;
  request.n_top = static_cast<int32_t>(rng() % 4) - 1;
  if (rng() % 3 == 0) life->cancel_after = static_cast<int>(rng() % 10);
  request.on_token = [&engine, &tally, life](Token&&) {
    if (life->over) ++tally.wrong;
    if (life->tokens++ == life->cancel_after) engine.Cancel(life->id);  // the one call that callbacks may make
  };
  request.on_finish = [&tally, life](Finish&& finish) {
    if (life->over.exchange(true)) ++tally.wrong;
    ++tally.by_reason[static_cast<int>(finish.reason)];
    ++tally.finished;
  };
  return request;
}

void SubmitAndCancel(Engine& engine, Tally& tally, uint32_t seed, const std::atomic<bool>& stop) {
  std::mt19937 rng(seed);
  std::vector<RequestId> mine;
  while (!stop) {
    const auto life = std::make_shared<Life>();
    const auto id = engine.Submit(StormRequest(engine, tally, rng, life));
    if (id.ok()) {
      life->id = *id;
      ++tally.accepted;
      mine.push_back(*id);
    } else {
      EXPECT_EQ(id.error().code, ErrorCode::kUnavailable) << id.error().message;
      ++tally.refused;
    }
    if (!mine.empty() && rng() % 2 == 0) engine.Cancel(mine[rng() % mine.size()]);
    std::this_thread::sleep_for(std::chrono::microseconds(rng() % 2000));
  }
}

void Watch(Engine& engine, const std::atomic<bool>& stop) {
  while (!stop) {
    const Snapshot s = engine.snapshot();
    EXPECT_LE(s.kv_pages_used, s.kv_pages_total);
    EXPECT_GE(s.waiting, 0);
    if (const auto model = engine.model()) {
      EXPECT_EQ(model->tokenizer->vocab_size(), model->vocab_size);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
}

void LoadAndUnload(Engine& engine, const std::atomic<bool>& stop) {
  std::mt19937 rng(99);
  while (!stop) {
    EXPECT_TRUE(engine.StartLoad().ok());
    std::this_thread::sleep_for(std::chrono::microseconds(rng() % 60'000));
    engine.StartUnload();
    if (rng() % 2 == 0) std::this_thread::sleep_for(std::chrono::microseconds(rng() % 3000));
  }
}

TEST(EngineStress, StormsOfSubmitsCancelsLoadsAndUnloadsLoseNothing) {
  const TempModel model(
      gguf::MakeTinyModel({.types = "q8_0", .n_layers = 1, .vocab = 512, .context_length = 128, .seed = 9}));
  Tally tally;
  {
    // Pages for one context and a half: waiting and preemption happen all the time.
    Options options{.model_path = model.path(), .threads = 3, .max_context = 128, .max_step_tokens = 32};
    options.max_running = 4;
    options.kv_bytes = uint64_t{12} * 1 * 2 * 2 * 16 * 64 * 2;
    std::atomic<int64_t> steps{0};
    Engine engine(options, [&steps](const StepStats& s) { steps += s.tokens > 0; });
    std::atomic<int64_t> changes{0};
    engine.OnStateChange([&changes](LoadState) { ++changes; });
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < 3; ++i) threads.emplace_back([&, i] { SubmitAndCancel(engine, tally, i, stop); });
    threads.emplace_back([&] { Watch(engine, stop); });
    threads.emplace_back([&] { LoadAndUnload(engine, stop); });
    std::this_thread::sleep_for(std::chrono::microseconds(kStormUs));
    stop = true;
    for (std::thread& thread : threads) thread.join();

    // After the storm it must still serve: the last order counts.
    ASSERT_TRUE(engine.StartLoad().ok());
    ASSERT_TRUE(WaitState(engine, LoadState::kReady)) << engine.snapshot().error;
    auto answer = std::make_shared<Answer>();
    Request request = MakeRequest(answer, Prompt(9, 1), 20);
    request.ignore_eos = true;
    ASSERT_TRUE(engine.Submit(std::move(request)).ok());
    ASSERT_TRUE(answer->WaitFinished());
    EXPECT_EQ(answer->tokens.size(), 20u);
    EXPECT_TRUE(WaitPagesBack(engine));
    EXPECT_EQ(tally.finished, tally.accepted);
    EXPECT_GT(steps, 0);
    EXPECT_GT(changes, 4);
    // Left behind on purpose: destruction must end these.
    std::mt19937 rng(7);
    for (int i = 0; i < 20; ++i) {
      if (engine.Submit(StormRequest(engine, tally, rng, std::make_shared<Life>())).ok()) ++tally.accepted;
    }
    engine.StartUnload();
    EXPECT_TRUE(engine.StartLoad().ok());
  }
  EXPECT_EQ(tally.finished, tally.accepted);
  EXPECT_EQ(tally.wrong, 0);
  EXPECT_GT(tally.accepted, 0);
}

}  // namespace
}  // namespace tenfold::engine
