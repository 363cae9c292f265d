#include "server/engine_inbox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "server/test_server.h"

namespace tenfold::server {
namespace {

constexpr size_t kMost = 64;
constexpr size_t kEventsAStep = 10;

// A loop that says ten things a step and an I/O thread that takes each batch slowly.
TEST(EngineInbox, HoldsTheLoopBackInsteadOfGrowing) {
  IoLoop loop;
  constexpr uint64_t kEvents = 3000;
  std::vector<uint64_t> keys;
  size_t largest = 0;
  EngineInbox inbox(loop, [&](std::vector<EngineEvent>&& events) {
    largest = std::max(largest, events.size());
    for (const EngineEvent& event : events) keys.push_back(std::get<TokenEvent>(event).key);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  std::thread engine([&] {
    for (uint64_t key = 0; key < kEvents; ++key) {
      inbox.Push(TokenEvent{key, 0, {}});
      if (key % kEventsAStep == kEventsAStep - 1) inbox.WaitForRoom(kMost);
    }
    loop.Post([&] {
      inbox.Flush();
      loop.Stop();
    });
  });
  Timer keeps_running(loop);
  keeps_running.Start(60'000'000, [&] { loop.Stop(); });
  loop.Run();
  engine.join();
  ASSERT_EQ(keys.size(), kEvents);
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  EXPECT_LE(largest, kMost + kEventsAStep);
  EXPECT_GT(largest, kEventsAStep) << "the engine was never ahead: this proves nothing";
}

TEST(EngineInbox, WhereNobodyTakesAnyMoreNobodyWaits) {
  IoLoop loop;  // never runs
  EngineInbox inbox(loop, [](std::vector<EngineEvent>&&) {});
  std::atomic<bool> through{false};
  std::thread engine([&] {
    for (uint64_t key = 0; key < 2 * kMost; ++key) inbox.Push(TokenEvent{key, 0, {}});
    inbox.WaitForRoom(kMost);
    through = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(through);
  inbox.Open();
  engine.join();
  EXPECT_TRUE(through);
  inbox.WaitForRoom(0);
}

// The server's own inbox, before its loop runs: the observer of steps is where the engine is held back.
TEST(EngineInbox, TheServerHoldsItsEngineBackUntilItServes) {
  Config config;
  config.port = 0;
  config.handle_signals = false;
  Server server(config);
  ASSERT_TRUE(server.Bind().ok());
  engine::Engine engine({}, server.StepObserver());
  server.Attach(engine);
  std::atomic<size_t> observed{0};
  constexpr size_t kSteps = EngineInbox::kMostEvents + 500;
  std::thread steps([&, observe = server.StepObserver()] {
    for (; observed < kSteps; ++observed) observe({.tokens = 1, .sequences = 1, .duration_us = 1});
  });
  EXPECT_TRUE(Eventually([&] { return observed >= EngineInbox::kMostEvents; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(observed, EngineInbox::kMostEvents) << "one more waits inside";
  std::thread serving([&] { server.Run(); });
  steps.join();
  EXPECT_NE(TestClient(server.port())
                .Ask("GET", "/metrics")
                .body.find("tenfold_step_seconds_count{model_name=\"\"} " + std::to_string(kSteps)),
            std::string::npos);
  server.Shutdown();
  server.Shutdown();
  serving.join();
}

}  // namespace
}  // namespace tenfold::server
