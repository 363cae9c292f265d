#include "model/model.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <numeric>
#include <random>

#include "base/clock.h"
#include "gguf/test_model.h"
#include "gguf/writer.h"
#include "kernels/attention.h"
#include "model/reference_forward.h"

namespace tenfold::model {
namespace {

// A model file on disk for as long as the object lives.
class TempFile {
 public:
  explicit TempFile(std::span<const uint8_t> bytes) {
    path_ = ::testing::TempDir() + "/model_test_XXXXXX";
    const int fd = mkstemp(path_.data());
    EXPECT_GE(fd, 0);
    EXPECT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    close(fd);
  }
  ~TempFile() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::vector<double> LogSoftmax(std::span<const double> z) {
  const double top = *std::max_element(z.begin(), z.end());
  double sum = 0;
  for (const double v : z) sum += std::exp(v - top);
  std::vector<double> out;
  for (const double v : z) out.push_back(v - top - std::log(sum));
  return out;
}

// One loaded tiny model with page ids handed out in a shuffled order, so that nothing depends on pages being in line.
struct Fixture {
  explicit Fixture(const gguf::TinyModelOptions& options, kernels::Isa isa, kernels::Precision precision,
                   int threads = 2)
      : bytes(gguf::MakeTinyModel(options)), temp(bytes), pool(threads, [](int) { kernels::SetFlushDenormals(); }) {
    kernels::SetFlushDenormals();
    auto parsed = gguf::File::Parse(bytes);
    EXPECT_TRUE(parsed.ok()) << parsed.error().message;
    file = std::make_unique<gguf::File>(std::move(parsed).value());
    config = ReadConfig(*file).value();
    auto opened = gguf::ModelFile::Open(temp.path());
    auto loaded = Model::Load(*opened, config, {isa, precision}, 128, pool, [](uint64_t, uint64_t) { return true; });
    EXPECT_TRUE(loaded.ok()) << loaded.error().message;
    model = std::move(loaded).value();
    pages.resize(128);
    std::iota(pages.begin(), pages.end(), 0);
    std::shuffle(pages.begin(), pages.end(), std::mt19937(7));
  }
  std::vector<double> Logits(int64_t row) {
    const auto z = model->Logits(row);
    return {z.begin(), z.end()};
  }

  std::vector<uint8_t> bytes;
  TempFile temp;
  platform::ThreadPool pool;
  std::unique_ptr<gguf::File> file;
  Config config;
  std::unique_ptr<Model> model;
  std::vector<int32_t> pages;
};

std::vector<int32_t> RandomTokens(int64_t n, int32_t vocab, uint32_t seed) {
  std::mt19937 rng(seed);
  std::vector<int32_t> out;
  for (int64_t i = 0; i < n; ++i) out.push_back(static_cast<int32_t>(rng() % static_cast<uint32_t>(vocab)));
  return out;
}

struct Case {
  const char* architecture;
  const char* types;
  double bar;  // mean |delta log-probability| of the reference's ten likeliest tokens
};

// Mean |delta log-probability| of the reference's ten likeliest tokens, over all of them.
double DeltaTop10(Fixture& f, const std::vector<int32_t>& tokens) {
  const auto reference = ReferenceForward(*f.file, f.bytes, f.config, tokens);
  const auto vocab = static_cast<size_t>(f.config.vocab_size);
  double total = 0;
  for (size_t t = 0; t < tokens.size(); ++t) {
    const auto want = LogSoftmax(std::span(reference).subspan(t * vocab, vocab));
    const auto got = LogSoftmax(f.Logits(static_cast<int64_t>(t)));
    std::vector<size_t> order(vocab);
    std::iota(order.begin(), order.end(), size_t{0});
    std::partial_sort(order.begin(), order.begin() + 10, order.end(),
                      [&](size_t a, size_t b) { return want[a] > want[b]; });
    for (size_t i = 0; i < 10; ++i) total += std::abs(want[order[i]] - got[order[i]]);
  }
  return total / (10.0 * static_cast<double>(tokens.size()));
}

class Exactness : public ::testing::TestWithParam<Case> {};

TEST_P(Exactness, AgreesWithTheReferenceOnEveryIsa) {
  const Case& param = GetParam();
  const gguf::TinyModelOptions options{
      .architecture = param.architecture, .types = param.types, .tied = false, .seed = 3};
  for (const kernels::Isa isa : kernels::SupportedIsas()) {
    for (const auto precision : {kernels::Precision::kExact, kernels::Precision::kFast}) {
      Fixture f(options, isa, precision);
      const auto tokens = RandomTokens(40, 500, 11);
      const StepRow rows[] = {{tokens, 0, 0, f.pages}};
      f.model->Forward(rows);
      ASSERT_EQ(f.model->logit_rows(), 40);
      EXPECT_LT(DeltaTop10(f, tokens), param.bar)
          << kernels::NameOf(isa) << (precision == kernels::Precision::kExact ? " exact" : " fast");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, Exactness,
    ::testing::Values(Case{"qwen3", "f32", 0.002}, Case{"qwen3", "f16", 0.002}, Case{"qwen3", "q8_0", 0.02},
                      Case{"qwen3", "q4_k_m", 0.03}, Case{"llama", "q4_k_m", 0.04}, Case{"llama", "f16", 0.002},
                      Case{"qwen2", "q4_k_m", 0.04}, Case{"qwen2", "f16", 0.002}, Case{"qwen3", "bf16", 0.002},
                      Case{"qwen3", "q4_0", 0.02}, Case{"qwen3", "q5_1", 0.02}, Case{"qwen3", "q5_k", 0.03},
                      Case{"qwen3", "q2_k", 0.03}, Case{"qwen3", "iq4_xs", 0.02}, Case{"qwen3", "q4_1", 0.02},
                      Case{"qwen3", "q5_0", 0.02}, Case{"qwen3", "q3_k", 0.03}, Case{"qwen3", "iq4_nl", 0.02}),
    [](const auto& info) { return std::string(info.param.architecture) + "_" + info.param.types; });

// Shapes that no tile, lane or page divides: every tail of every kernel, through whole models.
TEST(OddShapes, AgreeWithTheReferenceOnEveryIsa) {
  const gguf::TinyModelOptions shapes[] = {
      {.architecture = "qwen3",
       .types = "f16",
       .d_model = 41,
       .n_heads = 5,
       .n_kv_heads = 1,
       .head_dim = 24,
       .ffn = 13},
      {.architecture = "llama", .types = "f32", .d_model = 8, .n_heads = 7, .n_kv_heads = 7, .head_dim = 8, .ffn = 1},
      {.architecture = "llama",
       .types = "f16",
       .n_layers = 1,
       .d_model = 33,
       .n_heads = 40,
       .n_kv_heads = 1,
       .head_dim = 8,
       .ffn = 515,
       .biases = true},
      {.architecture = "qwen2",
       .types = "f16",
       .d_model = 41,
       .n_heads = 6,
       .n_kv_heads = 2,
       .head_dim = 24,
       .ffn = 13},
      {.architecture = "qwen3",
       .types = "q8_0",
       .d_model = 96,
       .n_heads = 4,
       .n_kv_heads = 2,
       .head_dim = 136,
       .ffn = 160},
      {.architecture = "qwen3",
       .types = "q8_0",
       .d_model = 32,
       .n_heads = 2,
       .n_kv_heads = 1,
       .head_dim = 256,
       .ffn = 32},
      // Quantised files whose rows are no multiple of 256 mix K formats with others.
      {.types = "q4_k_m", .n_layers = 3, .d_model = 288, .n_heads = 4, .n_kv_heads = 2, .ffn = 512},
      {.types = "q5_k", .ffn = 352},
      {.types = "q3_k", .d_model = 160}};
  for (gguf::TinyModelOptions options : shapes) {
    options.vocab = 283;
    const bool floats = options.types == "f16" || options.types == "f32";
    const double bar = floats ? 0.002 : options.types == "q8_0" ? 0.02 : 0.03;
    for (const kernels::Isa isa : kernels::SupportedIsas()) {
      for (const auto precision : {kernels::Precision::kExact, kernels::Precision::kFast}) {
        Fixture f(options, isa, precision, 3);
        const auto tokens = RandomTokens(37, 283, 11);
        const StepRow rows[] = {{tokens, 0, 0, f.pages}};
        f.model->Forward(rows);
        EXPECT_LT(DeltaTop10(f, tokens), bar)
            << kernels::NameOf(isa) << " " << options.architecture << " d_model " << options.d_model;
      }
    }
  }
}

// Several sequences in one step, a prompt in chunks, single tokens beside chunks: exact mode gives the same bits.
TEST(Model, ExactLogitsDoNotDependOnChunksNeighboursOrThreads) {
  const gguf::TinyModelOptions options{.types = "q4_k_m", .seed = 5};
  for (const kernels::Isa isa : kernels::SupportedIsas()) {
    Fixture alone(options, isa, kernels::Precision::kExact, 1);
    Fixture mixed(options, isa, kernels::Precision::kExact, 3);
    const auto a = RandomTokens(50, 500, 1);
    const auto b = RandomTokens(21, 500, 2);
    const StepRow whole[] = {{a, 0, 49, alone.pages}};
    alone.model->Forward(whole);
    const auto want = alone.Logits(0);

    const std::span<const int32_t> pa = std::span(mixed.pages).first(4);
    const std::span<const int32_t> pb = std::span(mixed.pages).subspan(10, 2);
    const std::span<const int32_t> ta(a), tb(b);
    const StepRow first[] = {{ta.first(17), 0, 17, pa}, {tb.first(3), 0, 3, pb}};
    const StepRow second[] = {{tb.subspan(3, 1), 3, 3, pb}, {ta.subspan(17, 32), 17, 49, pa}};
    const StepRow third[] = {{ta.subspan(49, 1), 49, 49, pa}, {tb.subspan(4, 17), 4, 20, pb}};
    mixed.model->Forward(first);
    EXPECT_EQ(mixed.model->logit_rows(), 0);
    mixed.model->Forward(second);
    EXPECT_EQ(mixed.model->logit_rows(), 1);
    mixed.model->Forward(third);
    EXPECT_EQ(mixed.model->logit_rows(), 2);
    EXPECT_EQ(mixed.Logits(0), want) << kernels::NameOf(isa);
  }
}

// Only wanted positions pass the last layer. Nobody may see that: logits are the bits of a step that wants all of them,
// whichever part of whichever row is wanted, and later tokens find every key and value.
TEST(Model, ExactLogitsDoNotDependOnWhichPositionsWantThem) {
  for (const char* architecture : {"qwen2", "qwen3", "llama"}) {
    for (const kernels::Isa isa : kernels::SupportedIsas()) {
      const gguf::TinyModelOptions options{.architecture = architecture, .types = "q4_k_m", .seed = 5};
      Fixture all(options, isa, kernels::Precision::kExact, 2);
      Fixture some(options, isa, kernels::Precision::kExact, 2);
      const auto a = RandomTokens(41, 500, 1);
      const auto b = RandomTokens(36, 500, 2);
      const std::span<const int32_t> ta(a), tb(b);
      const auto step = [&](Fixture& f, int64_t first, int64_t end, int64_t from_a, int64_t from_b) {
        const auto part = [&](std::span<const int32_t> t) { return t.subspan(size_t(first), size_t(end - first)); };
        const StepRow rows[] = {{part(ta), first, from_a, std::span(f.pages).first(3)},
                                {part(tb), first, from_b, std::span(f.pages).subspan(10, 3)}};
        f.model->Forward(rows);
      };
      step(all, 0, 35, 0, 0);
      step(some, 0, 35, 35, 33);
      ASSERT_EQ(some.model->logit_rows(), 2);
      for (int64_t i = 0; i < 2; ++i) EXPECT_EQ(some.Logits(i), all.Logits(68 + i)) << architecture;
      step(some, 0, 35, 0, 35);  // the same pages again
      ASSERT_EQ(some.model->logit_rows(), 35);
      for (int64_t i = 0; i < 35; ++i) EXPECT_EQ(some.Logits(i), all.Logits(i)) << architecture;
      step(some, 0, 35, 35, 35);
      EXPECT_EQ(some.model->logit_rows(), 0);
      step(all, 35, 36, 35, 35);
      step(some, 35, 36, 35, 35);
      for (int64_t i = 0; i < 2; ++i) EXPECT_EQ(some.Logits(i), all.Logits(i)) << architecture;
    }
  }
}

// A stopwatch changes no bit, counts every phase, and leaves nothing behind when it is taken away.
TEST(Model, AProfileTimesEveryPhaseAndChangesNothing) {
  Fixture f({.types = "q4_k_m"}, kernels::SupportedIsas().back(), kernels::Precision::kFast);
  const auto tokens = RandomTokens(40, 500, 4);
  const StepRow rows[] = {{tokens, 0, 39, f.pages}};
  f.model->Forward(rows);
  const auto plain = f.Logits(0);

  StepProfile profile(f.pool.threads());
  f.model->SetProfile(&profile);
  const int64_t begin = NowNs();
  f.model->Forward(rows);
  const int64_t took = NowNs() - begin;
  f.model->SetProfile(nullptr);
  EXPECT_EQ(f.Logits(0), plain);
  for (int i = 0; i < static_cast<int>(Phase::kCount); ++i) {
    const PhaseTime& time = profile[static_cast<Phase>(i)];
    EXPECT_GT(time.runs, 0) << NameOf(static_cast<Phase>(i));
    EXPECT_GT(time.busy_ns, 0) << NameOf(static_cast<Phase>(i));
    EXPECT_LE(time.serial_ns, time.wall_ns);
    EXPECT_GE(time.WaitingNs(f.pool.threads()), 0);
  }
  EXPECT_LE(profile.TotalNs(), took);
  EXPECT_GT(profile.TotalNs(), took / 2);
  EXPECT_EQ(profile[Phase::kGateUp].runs, f.config.n_layers);

  const int64_t total = profile.TotalNs();
  f.model->Forward(rows);
  EXPECT_EQ(profile.TotalNs(), total);
}

Result<std::unique_ptr<Model>> LoadBytes(std::span<const uint8_t> bytes, const LoadProgress& progress) {
  const TempFile temp(bytes);
  TENFOLD_TRY(const gguf::ModelFile file, gguf::ModelFile::Open(temp.path()));
  TENFOLD_TRY(const Config config, ReadConfig(file.file()));
  static platform::ThreadPool pool(1, [](int) {});
  return Model::Load(file, config, {}, 4, pool, progress);
}

const LoadProgress kGoOn = [](uint64_t, uint64_t) { return true; };

// Copies a tiny model with some metadata and tensors changed.
std::vector<uint8_t> Altered(const std::function<bool(gguf::TensorInfo&)>& keep_tensor,
                             const std::function<void(std::string_view key, gguf::Value&)>& change_value,
                             const std::vector<std::pair<std::string, gguf::Value>>& more = {}) {
  const auto bytes = gguf::MakeTinyModel({.types = "f32"});
  const auto file = gguf::File::Parse(bytes).value();
  gguf::Writer writer;
  for (auto [key, value] : file.metadata()) {
    change_value(key, value);
    writer.Set(key, value);
  }
  for (const auto& [key, value] : more) writer.Set(key, value);
  for (gguf::TensorInfo tensor : file.tensors()) {
    const auto data = std::span(bytes).subspan(tensor.offset_bytes, tensor.size_bytes);
    if (!keep_tensor(tensor)) continue;
    writer.AddTensor(tensor.name, tensor.type, tensor.dims, data);
  }
  return writer.Serialize();
}

const auto kKeepAll = [](gguf::TensorInfo&) { return true; };
const auto kNoChange = [](std::string_view, gguf::Value&) {};

void ExpectRefused(const std::vector<uint8_t>& bytes, ErrorCode code, const std::string& mentions) {
  const auto result = LoadBytes(bytes, kGoOn);
  ASSERT_FALSE(result.ok()) << "expected an error that mentions " << mentions;
  EXPECT_EQ(result.error().code, code) << result.error().message;
  EXPECT_NE(result.error().message.find(mentions), std::string::npos) << result.error().message;
}

TEST(ModelErrors, NameTheKeyOrTensor) {
  ExpectRefused(Altered([](gguf::TensorInfo& t) { return t.name != "blk.1.ffn_up.weight"; }, kNoChange),
                ErrorCode::kCorrupt, "blk.1.ffn_up.weight is missing");
  ExpectRefused(Altered(
                    [](gguf::TensorInfo& t) {
                      if (t.name == "blk.0.attn_k.weight") std::swap(t.dims[0], t.dims[1]);
                      return true;
                    },
                    kNoChange),
                ErrorCode::kCorrupt, "blk.0.attn_k.weight has shape");
  ExpectRefused(Altered(
                    [](gguf::TensorInfo& t) {
                      if (t.name == "output_norm.weight") t.name = "strange.weight";
                      return true;
                    },
                    kNoChange),
                ErrorCode::kCorrupt, "output_norm.weight is missing");
  ExpectRefused(Altered(kKeepAll,
                        [](std::string_view key, gguf::Value& v) {
                          if (key == "general.architecture") v = std::string("mamba");
                        }),
                ErrorCode::kUnsupported, "mamba");
  ExpectRefused(Altered(kKeepAll,
                        [](std::string_view key, gguf::Value& v) {
                          if (key == "qwen3.block_count") v = uint32_t{9000000};
                        }),
                ErrorCode::kCorrupt, "qwen3.block_count");
  ExpectRefused(Altered(kKeepAll,
                        [](std::string_view key, gguf::Value& v) {
                          if (key == "qwen3.attention.head_count_kv") v = uint32_t{3};
                        }),
                ErrorCode::kCorrupt, "head_count_kv");
  ExpectRefused(Altered(kKeepAll,
                        [](std::string_view key, gguf::Value& v) {
                          if (key == "qwen3.attention.head_count") v = uint32_t{0};
                        }),
                ErrorCode::kCorrupt, "qwen3.attention.head_count");
  ExpectRefused(Altered(kKeepAll, kNoChange, {{"qwen3.rope.scaling.type", std::string("longrope")}}),
                ErrorCode::kUnsupported, "longrope");
  for (const float base : {0.5F, -1.0F, NAN, INFINITY}) {
    ExpectRefused(Altered(kKeepAll, kNoChange, {{"qwen3.rope.freq_base", base}}), ErrorCode::kCorrupt,
                  "qwen3.rope.freq_base is");
  }
  for (const float eps : {1.0F, -1.0F, NAN}) {
    ExpectRefused(Altered(kKeepAll, kNoChange, {{"qwen3.attention.layer_norm_rms_epsilon", eps}}), ErrorCode::kCorrupt,
                  "qwen3.attention.layer_norm_rms_epsilon is");
  }
}

TEST(ModelErrors, BiasesAreAskedOfQwen2AndRefusedElsewhere) {
  const auto refused = [](const gguf::TinyModelOptions& options, std::string_view drop, std::string_view add,
                          ErrorCode code, const std::string& mentions) {
    const auto bytes = gguf::MakeTinyModel(options);
    const auto file = gguf::File::Parse(bytes).value();
    gguf::Writer writer;
    for (const auto& [key, value] : file.metadata()) writer.Set(key, value);
    for (const auto& t : file.tensors()) {
      if (t.name == drop) continue;
      writer.AddTensor(t.name, t.type, t.dims, std::span(bytes).subspan(t.offset_bytes, t.size_bytes));
    }
    if (!add.empty()) writer.AddTensor(add, tensor::DType::kF32, {256}, std::vector<uint8_t>(256 * 4));
    ExpectRefused(writer.Serialize(), code, mentions);
  };
  refused({.architecture = "qwen2", .types = "f32"}, "blk.1.attn_v.bias", "", ErrorCode::kCorrupt,
          "blk.1.attn_v.bias is missing");
  refused({.architecture = "qwen2", .types = "f32"}, "", "blk.0.attn_output.bias", ErrorCode::kUnsupported,
          "blk.0.attn_output.bias");
  refused({.architecture = "llama", .types = "f32"}, "", "blk.0.ffn_down.bias", ErrorCode::kUnsupported,
          "blk.0.ffn_down.bias");
  refused({.architecture = "llama", .types = "f32"}, "", "blk.0.attn_k.bias", ErrorCode::kCorrupt,
          "blk.0.attn_k.bias has shape");
}

TEST(ModelErrors, ATensorThatNobodyReadsIsRefused) {
  auto bytes = gguf::MakeTinyModel({.types = "f32"});
  const auto file = gguf::File::Parse(bytes).value();
  gguf::Writer writer;
  for (const auto& [key, value] : file.metadata()) writer.Set(key, value);
  for (const auto& t : file.tensors())
    writer.AddTensor(t.name, t.type, t.dims, std::span(bytes).subspan(t.offset_bytes, t.size_bytes));
  const std::vector<uint8_t> bias(256 * 4);
  writer.AddTensor("blk.0.attn_q.bias", tensor::DType::kF32, {256}, bias);
  ExpectRefused(writer.Serialize(), ErrorCode::kUnsupported, "blk.0.attn_q.bias");
}

TEST(ModelErrors, HostileNamesAreShortAndPrintable) {
  const std::string hostile = "\xff\n\x1b[31m\"" + std::string(100'000, 'x');
  const auto expect_tame = [&](const std::vector<uint8_t>& bytes) {
    const auto result = LoadBytes(bytes, kGoOn);
    ASSERT_FALSE(result.ok());
    EXPECT_LT(result.error().message.size(), 400u);
    for (const char c : result.error().message) EXPECT_TRUE(c >= ' ' && c <= '~') << static_cast<int>(c);
  };
  expect_tame(Altered(kKeepAll, kNoChange, {{"general.architecture", hostile}}));
  expect_tame(Altered(kKeepAll, kNoChange, {{"qwen3.rope.scaling.type", hostile}}));
  const auto bytes = gguf::MakeTinyModel({.types = "f32"});
  const auto file = gguf::File::Parse(bytes).value();
  gguf::Writer writer;
  for (const auto& [key, value] : file.metadata()) writer.Set(key, value);
  for (const auto& t : file.tensors())
    writer.AddTensor(t.name, t.type, t.dims, std::span(bytes).subspan(t.offset_bytes, t.size_bytes));
  writer.AddTensor(hostile, tensor::DType::kF32, {1}, std::vector<uint8_t>(4));
  expect_tame(writer.Serialize());
}

// The memory plan counts on this bound: a step may take less than it says, never more, and not much less.
TEST(StepMemory, IsWhatTheStepReserves) {
  const tensor::DType kQ8[] = {tensor::DType::kQ8_0, tensor::DType::kF32};
  const tensor::DType kFloat[] = {tensor::DType::kF32};
  for (const bool is_float : {false, true}) {
    for (const auto precision : {kernels::Precision::kFast, kernels::Precision::kExact}) {
      Fixture f({.types = is_float ? "f32" : "q8_0", .ffn = 1536}, kernels::Isa::kScalar, precision);
      const std::span<const tensor::DType> types = is_float ? std::span<const tensor::DType>(kFloat) : kQ8;
      for (const int64_t n : {1, 40, 100}) {  // growing: buffers of smaller steps do not stay beside the larger
        const std::vector<int32_t> tokens = RandomTokens(n, 512, 5);
        const StepRow rows[] = {{tokens, 0, n - 1, f.pages}};
        f.model->Forward(rows);
        const Step::Extent extent = {.tokens = n, .rows = 1, .logit_rows = 1, .context = n};
        const uint64_t planned = Step::BytesFor(f.config, types.first(1), precision, extent);
        EXPECT_LE(f.model->step_bytes(), planned) << n;
        EXPECT_GE(f.model->step_bytes(), planned * 7 / 10) << n;
        EXPECT_GE(Step::BytesFor(f.config, types, precision, extent), planned);
      }
    }
  }
}

TEST(ModelErrors, ALoadCanBeAbandoned) {
  int calls = 0;
  const auto result = LoadBytes(gguf::MakeTinyModel({}), [&](uint64_t, uint64_t) { return ++calls < 3; });
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(calls, 3);
}

}  // namespace
}  // namespace tenfold::model
