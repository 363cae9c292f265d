// Load and unload orders that overtake each other, and model files whose trouble shows late.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "engine/engine.h"
#include "engine/engine_testing.h"
#include "gguf/file.h"
#include "gguf/split.h"
#include "gguf/test_model.h"
#include "gguf/writer.h"

namespace tenfold::engine {
namespace {

constexpr uint32_t kRows = 512;  // rows of the embedding of every model here

std::vector<uint8_t> Tiny() {
  return gguf::MakeTinyModel({.types = "f32", .vocab = kRows, .context_length = 512, .seed = 9});
}

// The tiny model, rewritten with what `change` does to it.
std::vector<uint8_t> Altered(const std::function<void(const gguf::File&, gguf::Writer&)>& change,
                             std::string_view poisoned_tensor = "") {
  const std::vector<uint8_t> bytes = Tiny();
  const gguf::File file = gguf::File::Parse(bytes).value();
  gguf::Writer writer;
  for (const auto& [key, value] : file.metadata()) writer.Set(key, value);
  change(file, writer);
  for (const gguf::TensorInfo& t : file.tensors()) {
    const auto data = std::span(bytes).subspan(t.offset_bytes, t.size_bytes);
    std::vector<uint8_t> copy(data.begin(), data.end());
    if (t.name == poisoned_tensor) std::fill(copy.begin(), copy.end(), uint8_t{0xFF});  // NaN as floats
    writer.AddTensor(t.name, t.type, t.dims, copy);
  }
  return writer.Serialize();
}

// Fewer tokens than the embedding has rows, as in files whose matrices were padded to a round size.
constexpr uint32_t kTokens = 300;
void KeepTokens(const gguf::File& file, gguf::Writer& writer) {
  const auto tokens = *file.GetStrings("tokenizer.ggml.tokens").value();
  const auto types = file.GetInts("tokenizer.ggml.token_type").value();
  writer.Set("tokenizer.ggml.tokens",
             gguf::ArrayValue(std::vector<std::string>(tokens.begin(), tokens.begin() + kTokens)));
  writer.Set("tokenizer.ggml.token_type",
             gguf::ArrayValue(std::vector<int32_t>(types.begin(), types.begin() + kTokens)));
  for (const char* id : {"eos", "bos", "padding"}) {
    writer.Set(std::string("tokenizer.ggml.") + id + "_token_id", uint32_t{kTokens - 1});
  }
}

std::unique_ptr<Engine> Started(const TempModel& model, LoadState expected) {
  auto engine = std::make_unique<Engine>(Options{.model_path = model.path(), .threads = 2}, nullptr);
  EXPECT_TRUE(engine->StartLoad().ok());
  EXPECT_TRUE(WaitState(*engine, expected)) << engine->snapshot().error;
  return engine;
}

TEST(EngineOrders, AnUnloadRightAfterALoadIsNotForgotten) {
  const TempModel model(Tiny());
  Engine engine({.model_path = model.path(), .threads = 1}, nullptr);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(engine.StartLoad().ok());
    engine.StartUnload();
    ASSERT_TRUE(WaitState(engine, LoadState::kNotLoaded)) << "round " << i;
    EXPECT_EQ(engine.model(), nullptr);
  }
  ASSERT_TRUE(engine.StartLoad().ok());
  EXPECT_TRUE(WaitState(engine, LoadState::kReady));
}

TEST(EngineOrders, ALoadAskedForWhileTheModelLeavesIsNotForgotten) {
  const TempModel model(Tiny());
  const auto engine = Started(model, LoadState::kReady);
  auto answer = std::make_shared<Answer>();
  Request request = MakeRequest(answer, Prompt(5, 1), 400);
  request.ignore_eos = true;
  // The unload waits in this callback, in the middle of its work, until the load has been asked for.
  std::promise<void> leaving;
  std::promise<void> go_on;
  request.on_finish = [&](Finish&&) {
    leaving.set_value();
    go_on.get_future().wait();
  };
  ASSERT_TRUE(engine->Submit(std::move(request)).ok());
  ASSERT_TRUE(answer->WaitTokens(1));
  engine->StartUnload();
  leaving.get_future().wait();
  EXPECT_EQ(engine->snapshot().state, LoadState::kNotLoaded);
  ASSERT_TRUE(engine->StartLoad().ok());
  EXPECT_EQ(engine->snapshot().state, LoadState::kLoading);
  go_on.set_value();
  ASSERT_TRUE(WaitState(*engine, LoadState::kReady));
  EXPECT_NE(engine->model(), nullptr);
}

TEST(EngineOrders, DestructionDuringALoadEndsIt) {
  const TempModel model(Tiny());
  for (int i = 0; i < 20; ++i) {
    Engine engine({.model_path = model.path(), .threads = 1}, nullptr);
    ASSERT_TRUE(engine.StartLoad().ok());
    if (i % 2 == 1) std::this_thread::sleep_for(std::chrono::microseconds(50 * i));
  }
}

TEST(EngineSnapshot, TimeWithoutRequestsDoesNotCountAsBeingStuck) {
  const TempModel model(Tiny());
  const auto engine = Started(model, LoadState::kReady);
  const auto run = [&](int64_t tokens) {
    auto answer = std::make_shared<Answer>();
    Request request = MakeRequest(answer, Prompt(5, 1), tokens);
    request.ignore_eos = true;
    EXPECT_TRUE(engine->Submit(std::move(request)).ok());
    return answer;
  };
  ASSERT_TRUE(run(3)->WaitFinished());
  constexpr int64_t kIdleUs = 400'000;
  std::this_thread::sleep_for(std::chrono::microseconds(kIdleUs));
  EXPECT_GE(engine->snapshot().last_step_age_us, kIdleUs);
  int busy = 0;
  for (int i = 0; i < 20; ++i) {
    const auto answer = run(20);
    for (int look = 0; look < 50; ++look) {
      const Snapshot s = engine->snapshot();
      if (!s.work_pending) continue;
      ++busy;
      EXPECT_LT(s.last_step_age_us, kIdleUs);
    }
    ASSERT_TRUE(answer->WaitFinished());
  }
  EXPECT_GT(busy, 0) << "the engine was never seen at work";
}

// A split model's parts on disk for as long as the object lives.
class TempParts {
 public:
  explicit TempParts(std::span<const size_t> counts) {
    folder_ = ::testing::TempDir() + "/engine_parts_XXXXXX";
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    const std::vector<uint8_t> bytes = Tiny();
    const gguf::File file = gguf::File::Parse(bytes).value();
    gguf::Writer writer;
    for (const auto& [key, value] : file.metadata()) writer.Set(key, value);
    for (const gguf::TensorInfo& t : file.tensors()) {
      writer.AddTensor(t.name, t.type, t.dims, std::span(bytes).subspan(t.offset_bytes, t.size_bytes));
    }
    const auto parts = writer.SerializeParts(counts);
    for (size_t i = 0; i < parts.size(); ++i) {
      file_bytes_ += parts[i].size();
      std::ofstream(Path(i + 1, parts.size()), std::ios::binary)
          .write(reinterpret_cast<const char*>(parts[i].data()), std::ssize(parts[i]));
    }
  }
  ~TempParts() { std::filesystem::remove_all(folder_); }
  std::string Path(size_t number, size_t count) const { return gguf::MakePartName(folder_ + "/tiny", number, count); }
  uint64_t file_bytes() const { return file_bytes_; }

 private:
  std::string folder_;
  uint64_t file_bytes_ = 0;
};

TEST(EngineSplitFiles, AnswerLikeTheWholeFileAndCountAllParts) {
  const size_t tensors = gguf::File::Parse(Tiny()).value().tensors().size();
  const size_t counts[] = {0, 3, tensors - 3};
  const TempParts parts(counts);
  const TempModel whole(Tiny());
  Engine split({.model_path = parts.Path(1, 3), .threads = 2}, nullptr);
  ASSERT_TRUE(split.StartLoad().ok());
  ASSERT_TRUE(WaitState(split, LoadState::kReady)) << split.snapshot().error;
  const auto one = Started(whole, LoadState::kReady);
  EXPECT_EQ(split.model()->name, "tiny");
  EXPECT_EQ(split.model()->file_bytes, parts.file_bytes());
  EXPECT_EQ(split.model()->parameters, one->model()->parameters);
  for (int seed = 1; seed < 4; ++seed) {
    std::shared_ptr<Answer> answers[] = {std::make_shared<Answer>(), std::make_shared<Answer>()};
    ASSERT_TRUE(one->Submit(MakeRequest(answers[0], Prompt(20, seed), 10)).ok());
    ASSERT_TRUE(split.Submit(MakeRequest(answers[1], Prompt(20, seed), 10)).ok());
    ASSERT_TRUE(answers[0]->WaitFinished() && answers[1]->WaitFinished());
    EXPECT_EQ(answers[0]->tokens, answers[1]->tokens);
  }
}

TEST(EngineSplitFiles, AMissingPartFailsTheLoadByName) {
  const size_t tensors = gguf::File::Parse(Tiny()).value().tensors().size();
  const size_t counts[] = {2, tensors - 2};
  const TempParts parts(counts);
  std::filesystem::remove(parts.Path(2, 2));
  Engine engine({.model_path = parts.Path(1, 2), .threads = 1}, nullptr);
  ASSERT_TRUE(engine.StartLoad().ok());
  ASSERT_TRUE(WaitState(engine, LoadState::kError));
  EXPECT_NE(engine.snapshot().error.find(parts.Path(2, 2)), std::string::npos) << engine.snapshot().error;
}

TEST(EngineHostileFiles, PaddingRowsAreNeverDrawnNorAccepted) {
  const TempModel model(Altered(KeepTokens));
  const auto engine = Started(model, LoadState::kReady);
  EXPECT_EQ(engine->model()->vocab_size, kTokens);
  auto answer = std::make_shared<Answer>();
  EXPECT_FALSE(engine->Submit(MakeRequest(answer, {kTokens}, 1)).ok());
  Request request = MakeRequest(answer, {1, 2, 3}, 300);
  request.sampling = {.temperature = 2.0F, .seed = 4};
  request.ignore_eos = true;
  request.n_top = 100;
  ASSERT_TRUE(engine->Submit(std::move(request)).ok());
  ASSERT_TRUE(answer->WaitFinished());
  ASSERT_EQ(answer->tokens.size(), 300u);
  for (const Token& token : answer->details) {
    EXPECT_LT(token.id, static_cast<int>(kTokens));
    for (const auto& top : token.top) EXPECT_LT(top.token, static_cast<int>(kTokens));
  }
}

TEST(EngineHostileFiles, WeightsThatAreNoNumbersFailTheLoad) {
  const TempModel model(Altered([](const gguf::File&, gguf::Writer&) {}, "output_norm.weight"));
  const auto engine = Started(model, LoadState::kError);
  EXPECT_NE(engine->snapshot().error.find("no finite logit"), std::string::npos) << engine->snapshot().error;
}

TEST(EngineHostileFiles, AnAbsurdBlockCountIsNamedBeforeMemoryIsPlanned) {
  const TempModel model(
      Altered([](const gguf::File&, gguf::Writer& writer) { writer.Set("qwen3.block_count", uint32_t{16'000'000}); }));
  const auto engine = Started(model, LoadState::kError);
  EXPECT_NE(engine->snapshot().error.find("qwen3.block_count"), std::string::npos) << engine->snapshot().error;
}

TEST(EngineHostileFiles, AShortPathStillStandsBeforeTheReason) {
  // "e" is part of nearly every message; it must not pass for the file's name.
  const TempModel model(
      Altered([](const gguf::File&, gguf::Writer& writer) { writer.Set("qwen3.block_count", uint32_t{16'000'000}); }));
  const std::string old = std::filesystem::current_path();
  std::filesystem::current_path(::testing::TempDir());
  unlink("e");
  ASSERT_EQ(symlink(model.path().c_str(), "e"), 0);
  Engine engine({.model_path = "e", .threads = 1}, nullptr);
  EXPECT_TRUE(engine.StartLoad().ok());
  EXPECT_TRUE(WaitState(engine, LoadState::kError));
  EXPECT_TRUE(engine.snapshot().error.starts_with("e: ")) << engine.snapshot().error;
  unlink("e");
  std::filesystem::current_path(old);
}

}  // namespace
}  // namespace tenfold::engine
