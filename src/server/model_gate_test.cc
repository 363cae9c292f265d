// The gate alone: its loop never runs here, so nothing but the calls made below can release a request.
#include "server/model_gate.h"

#include <gtest/gtest.h>

#include <future>

#include "server/test_server.h"

namespace tenfold::server {
namespace {

engine::Options Options(const std::string& path) {
  engine::Options options;
  options.model_path = path;
  options.threads = 1;
  options.kv_bytes = 64 << 20;
  return options;
}

bool Await(const engine::Engine& engine, engine::LoadState state) {
  return Eventually([&] { return engine.snapshot().state == state; });
}

TEST(ModelGate, HoldsStartsTheLoadAndReleasesInOrder) {
  TinyModelFile file;
  file.Write();
  IoLoop loop;
  // On a busy machine this thread may stand still for longer than the load takes: the load waits until all have asked.
  std::promise<void> all_asked;
  engine::Engine engine(Options(file.path()), [](const engine::StepStats&) {});
  engine.OnStateChange([asked = all_asked.get_future().share()](engine::LoadState state) {
    if (state == engine::LoadState::kLoading) asked.wait();
  });
  ModelGate gate(loop, engine, /*max_held=*/3, /*max_bytes=*/100);
  std::string order;
  const auto wait = [&](char name, size_t bytes) {
    return gate.Enter(bytes, [&order, name](const api::Parsed<ModelPtr>& model) { order += model.ok() ? name : '!'; });
  };
  EXPECT_NE(wait('a', 10), 0u);
  const ModelGate::Ticket left = wait('b', 50);
  EXPECT_EQ(wait('x', 41), 0u) << "more bytes than may be held";
  EXPECT_EQ(order, "!");
  EXPECT_NE(wait('c', 10), 0u);
  EXPECT_EQ(wait('x', 0), 0u) << "more requests than may be held";
  EXPECT_EQ(order, "!!");
  gate.Leave(left);
  EXPECT_EQ(gate.held(), 2u);
  all_asked.set_value();
  ASSERT_TRUE(Await(engine, engine::LoadState::kReady)) << "the first request starts the load";
  EXPECT_EQ(order, "!!");
  gate.OnState(engine::LoadState::kReady);
  EXPECT_EQ(order, "!!ac");
  EXPECT_EQ(wait('d', 1), 0u);
  EXPECT_EQ(order, "!!acd") << "a ready model holds nobody up";
}

TEST(ModelGate, AFailedLoadReleasesWithItsReason) {
  IoLoop loop;
  engine::Engine engine(Options("/nowhere/model.gguf"), [](const engine::StepStats&) {});
  ModelGate gate(loop, engine, 3, 100);
  std::vector<api::ApiError> errors;
  const auto wait = [&] {
    return gate.Enter(0, [&](const api::Parsed<ModelPtr>& model) { errors.push_back(model.error()); });
  };
  wait();
  ASSERT_TRUE(Await(engine, engine::LoadState::kError));
  gate.OnState(engine::LoadState::kError);
  EXPECT_EQ(wait(), 0u);
  ASSERT_EQ(errors.size(), 2u);
  for (const api::ApiError& error : errors) {
    EXPECT_EQ(error.status, 503);
    EXPECT_GT(error.retry_after_s, 0);
    EXPECT_NE(error.message.find("/nowhere/model.gguf"), std::string::npos) << error.message;
  }
}

// A load may turn out slower than it seemed: who is held is asked again, and hears it before the deadline has passed.
TEST(ModelGate, WhoWouldNotWaitAnyLongerIsLetGo) {
  TinyModelFile file;
  file.Write();
  IoLoop loop;
  std::promise<void> seen;
  engine::Engine engine(Options(file.path()), [](const engine::StepStats&) {});
  engine.OnStateChange([go_on = seen.get_future().share()](engine::LoadState state) {
    if (state == engine::LoadState::kLoading) go_on.wait();
  });
  ModelGate gate(loop, engine, 3, 100);
  int asked = 0;
  std::string refused, patient;
  gate.Enter(
      60, [&](const api::Parsed<ModelPtr>& model) { refused = model.ok() ? "the model" : model.error().message; },
      [&]() -> std::optional<api::ApiError> {
        if (++asked < 2) return std::nullopt;
        loop.Post([&] { loop.Stop(); });
        return api::Unavailable("too late", 1);
      });
  gate.Enter(
      10, [&](const api::Parsed<ModelPtr>& model) { patient = model.ok() ? "the model" : "an error"; },
      [] { return std::nullopt; });
  loop.Run();
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(refused, "too late");
  EXPECT_EQ(patient, "");
  EXPECT_EQ(gate.held(), 1u);
  EXPECT_NE(gate.Enter(90, [](const api::Parsed<ModelPtr>&) {}), 0u) << "its bytes are free";
  seen.set_value();
}

TEST(ModelGate, CloseRefusesEverybody) {
  TinyModelFile file;
  file.Write();
  IoLoop loop;
  engine::Engine engine(Options(file.path()), [](const engine::StepStats&) {});
  ModelGate gate(loop, engine, 3, 100);
  int refused = 0;
  const auto wait = [&] { gate.Enter(0, [&](const api::Parsed<ModelPtr>& model) { refused += !model.ok(); }); };
  wait();
  gate.Close(api::Unavailable("ending", 1));
  EXPECT_EQ(refused, 1);
  wait();
  EXPECT_EQ(refused, 2);
}

}  // namespace
}  // namespace tenfold::server
