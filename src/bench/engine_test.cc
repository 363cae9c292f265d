// The engine bench: work counted from shapes, every case once a round, what an interrupt keeps, and the sums in
// reports.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <string>
#include <vector>

#include "bench/engine_case.h"
#include "bench/engine_report.h"
#include "bench/engine_run.h"
#include "gguf/test_model.h"

namespace tenfold::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr EngineCase kPrefill100{CaseKind::kPrefill, 100, 0};
constexpr EngineCase kDecode3{CaseKind::kDecode, 3, 40};

class TempModel {
 public:
  explicit TempModel(const gguf::TinyModelOptions& options) : path_(::testing::TempDir() + "/engine_bench_XXXXXX") {
    const std::vector<uint8_t> bytes = gguf::MakeTinyModel(options);
    const int fd = mkstemp(path_.data());
    EXPECT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    close(fd);
  }
  ~TempModel() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

EngineWatch Quiet() {
  return {.stop = [] { return false; }, .on_sample = [](const CaseResult&, int) {}};
}

TEST(EngineCase, APromptIsCutIntoStepsAndOnlyItsEndHasLogits) {
  const auto steps = StepsOf(kPrefill100, 64, 4);
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0][0].count, 64);
  EXPECT_EQ(steps[0][0].logits, 0);
  EXPECT_EQ(steps[1][0].first_position, 64);
  EXPECT_EQ(steps[1][0].count, 36);
  EXPECT_EQ(steps[1][0].logits, 1);
}

TEST(EngineCase, ADecodeStepHasOneTokenOfEverySequenceAndMovesOn) {
  const auto steps = StepsOf(kDecode3, 64, 2);
  ASSERT_EQ(steps.size(), 2u);
  ASSERT_EQ(steps[1].size(), 3u);
  EXPECT_EQ(steps[1][2].first_position, 41);
  EXPECT_EQ(steps[1][2].count, 1);
  EXPECT_EQ(steps[1][2].logits, 1);
}

// A layer of one 32 x 64 Q8_0 matrix for each role and an F32 output matrix of 16 x 64: numbers small enough to check
// by hand.
TEST(EngineCase, WorkIsWhatTheShapesSay) {
  model::Config config;
  config.n_layers = 1;
  config.n_heads = 4;
  config.n_kv_heads = 2;
  config.head_dim = 8;
  const kernels::PackedMatrix q8{.format = tensor::DType::kQ8_0, .rows = 32, .cols = 64};
  model::Weights weights;
  model::LayerWeights layer;
  layer.q = layer.k = layer.v = layer.attn_out = layer.gate = layer.up = layer.down = q8;
  weights.layers.push_back(layer);
  weights.output = {.format = tensor::DType::kF32, .rows = 16, .cols = 64};

  const RowShape rows[] = {{.first_position = 10, .count = 3, .logits = 1}, {.first_position = 0, .count = 1}};
  const PhaseWork work = WorkOfStep(config, weights, {}, kernels::Precision::kFast, rows);
  const auto at = [&](model::Phase phase) { return work[static_cast<size_t>(phase)]; };
  const double matrix_bytes = static_cast<double>(kernels::PackedBytes(tensor::DType::kQ8_0, 32, 64));
  EXPECT_DOUBLE_EQ(at(model::Phase::kQkv).bytes, 3 * matrix_bytes);
  EXPECT_DOUBLE_EQ(at(model::Phase::kQkv).integer_macs, 3.0 * 32 * 64 * 4);
  EXPECT_DOUBLE_EQ(at(model::Phase::kGateUp).integer_macs, 2.0 * 32 * 64 * 4);
  EXPECT_DOUBLE_EQ(at(model::Phase::kDown).bytes, matrix_bytes);
  EXPECT_DOUBLE_EQ(at(model::Phase::kHead).float_macs, 16.0 * 64);  // one row wants logits
  EXPECT_DOUBLE_EQ(at(model::Phase::kHead).bytes, 16.0 * 64 * 4);
  // Tokens see 11, 12, 13 and 1 positions; each is two products of head_dim for each of four heads.
  EXPECT_DOUBLE_EQ(at(model::Phase::kAttention).float_macs, (11 + 12 + 13 + 1) * 4 * 8 * 2.0);
  EXPECT_DOUBLE_EQ(at(model::Phase::kAttention).int16_macs, 0);
  // Many tokens' attention is in int16, unless it is to be exact.
  const RowShape prompt[] = {{.first_position = 0, .count = 64}};
  for (const auto precision : {kernels::Precision::kFast, kernels::Precision::kExact}) {
    const Work many = WorkOfStep(config, weights, {}, precision, prompt)[static_cast<size_t>(model::Phase::kAttention)];
    const double macs = 64.0 * 65 / 2 * 4 * 8 * 2;
    EXPECT_DOUBLE_EQ(many.int16_macs, precision == kernels::Precision::kFast ? macs : 0);
    EXPECT_DOUBLE_EQ(many.AllMacs(), macs);
  }
  // 13 and 1 positions of two heads' K and V in halves.
  EXPECT_DOUBLE_EQ(at(model::Phase::kAttention).bytes, 14 * 2 * 8 * 2 * 2.0);
  EXPECT_DOUBLE_EQ(at(model::Phase::kNormQuantise).bytes, 0);
  EXPECT_DOUBLE_EQ(Sum(work).float_macs, at(model::Phase::kHead).float_macs + at(model::Phase::kAttention).float_macs);
}

TEST(EngineCase, TheRoofIsTheLongerOfMemoryAndArithmetic) {
  Roofline roofline;
  roofline.read.all_threads = 10;
  Peak peak{.isa = kernels::Isa::kAvx2, .all_macs_per_s = 5};
  roofline.peaks.push_back(peak);
  peak.loop.kind = kernels::PeakKind::kFloat;
  peak.all_macs_per_s = 2;
  roofline.peaks.push_back(peak);
  peak.loop.kind = kernels::PeakKind::kInt16;
  peak.all_macs_per_s = 4;
  roofline.peaks.push_back(peak);
  const RoofSeconds roof =
      RoofOf({.bytes = 20, .integer_macs = 15, .int16_macs = 1, .float_macs = 1}, roofline, kernels::Isa::kAvx2);
  EXPECT_DOUBLE_EQ(roof.memory, 2);
  EXPECT_DOUBLE_EQ(roof.arithmetic, 3.75);
  EXPECT_DOUBLE_EQ(roof.Longer(), 3.75);
  EXPECT_DOUBLE_EQ(RoofOf({.integer_macs = 1}, roofline, kernels::Isa::kScalar).Longer(), 0);  // nothing measured
}

TEST(EngineRun, EveryCaseOnceARoundInAnOrderThatTurnsAround) {
  const TempModel model({.types = "q4_k_m"});
  EngineOptions options{.model_path = model.path(), .cases = {kPrefill100, kDecode3}};
  options.rounds = 2;
  options.loads = 2;
  options.threads = 2;
  options.profile = true;
  options.step_tokens = 64;
  options.decode_steps = 3;
  std::vector<std::string> order;
  EngineWatch watch = Quiet();
  watch.on_sample = [&](const CaseResult& c, int round) { order.push_back(NameOf(c.c) + "/" + std::to_string(round)); };
  const auto result = RunEngine(options, watch);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_THAT(order, ElementsAre("prefill 100/0", "decode 3 at 40/0", "decode 3 at 40/1", "prefill 100/1"));
  EXPECT_EQ(result->rounds, 2);
  EXPECT_EQ(result->loads.size(), 2u);
  EXPECT_FALSE(result->interrupted);
  for (const CaseResult& c : result->cases) {
    ASSERT_EQ(c.samples.size(), 2u);
    ASSERT_TRUE(c.profile.has_value());
    // The phases are all of a step but what lies between steps.
    const double phases = static_cast<double>(c.profile->phases.TotalNs()) * 1e-9 + c.profile->draw_seconds;
    EXPECT_GT(phases, 0);
    EXPECT_LE(phases, c.profile->seconds);
    // Two layers; each runs every phase once a step, norms and inner quantisation twice.
    const int64_t layers = 2 * c.steps;
    EXPECT_EQ(c.profile->phases[model::Phase::kGateUp].runs, layers);
    EXPECT_EQ(c.profile->phases[model::Phase::kNormQuantise].runs, 2 * layers);
  }
  EXPECT_EQ(result->cases[0].steps, 2);
  EXPECT_EQ(result->cases[1].steps, 3);

  const std::string text = Format(*result, options);
  EXPECT_THAT(text, HasSubstr("decode 3 at 40"));
  EXPECT_THAT(text, HasSubstr("gate/up"));
  size_t phases = 0, cases = 0, loads = 0;
  for (const boost::json::object& line : ToJson(*result, options)) {
    phases += line.at("kind") == "phase";
    cases += line.at("kind") == "case";
    loads += line.at("kind") == "load";
  }
  EXPECT_EQ(cases, 2u);
  EXPECT_EQ(loads, 2u);
  EXPECT_EQ(phases, 2 * (static_cast<size_t>(model::Phase::kCount) + 1) + 1);  // and "rest" each, and one "draw"
}

TEST(EngineRun, WhatWasMeasuredBeforeAnInterruptIsKept) {
  const TempModel model({.types = "q8_0"});
  EngineOptions options{.model_path = model.path(), .cases = {kPrefill100, kDecode3}};
  options.rounds = 1000;
  size_t samples = 0;
  EngineWatch watch;
  watch.on_sample = [&](const CaseResult&, int) { ++samples; };
  watch.stop = [&] { return samples == 3; };
  const auto result = RunEngine(options, watch);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_TRUE(result->interrupted);
  EXPECT_EQ(result->rounds, 1);
  EXPECT_EQ(result->cases[0].samples.size() + result->cases[1].samples.size(), 3u);
  EXPECT_THAT(Format(*result, options), HasSubstr("1 of 1000 rounds (interrupted)"));
}

TEST(EngineRun, ACaseThatDoesNotFitIsSkippedWithItsReason) {
  const TempModel model({.types = "q8_0", .context_length = 512});
  EngineOptions options{.model_path = model.path(),
                        .cases = {kDecode3, {CaseKind::kPrefill, 600, 0}, {CaseKind::kDecode, 1000, 400}}};
  options.rounds = 1;
  options.kv_bytes = uint64_t{8} << 20;
  const auto result = RunEngine(options, Quiet());
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_THAT(result->cases[0].skipped, IsEmpty());
  EXPECT_THAT(result->cases[1].skipped, HasSubstr("512"));
  EXPECT_THAT(result->cases[2].skipped, HasSubstr("GiB"));
  EXPECT_THAT(result->cases[2].samples, IsEmpty());
  EXPECT_THAT(Format(*result, options), HasSubstr("skipped: "));

  options.cases.erase(options.cases.begin());
  const auto none = RunEngine(options, Quiet());
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(none.error().message, HasSubstr("prefill 600"));
}

TEST(EngineReport, SpeedsAreByTheMedianAndOfTheSameRunsRoof) {
  EngineResult result{.isa = "avx2", .threads = 2};
  result.roofline.read.all_threads = 100e9;
  result.roofline.peaks.push_back({.isa = kernels::Isa::kAvx2, .all_macs_per_s = 400e9});
  CaseResult c{.c = {CaseKind::kDecode, 8, 0}, .steps = 2};
  c.work[0] = {.bytes = 20e9, .integer_macs = 40e9};  // of two steps
  c.samples = {{.seconds = 1.0, .cores = 2}, {.seconds = 0.4, .cores = 1}, {.seconds = 0.5, .cores = 1.5}};
  const CaseSummary s = Summarise(result, c);
  EXPECT_DOUBLE_EQ(s.median_s, 0.25);  // of one step
  EXPECT_DOUBLE_EQ(s.min_s, 0.2);
  EXPECT_DOUBLE_EQ(s.max_s, 0.5);
  EXPECT_DOUBLE_EQ(s.cores, 1.5);
  EXPECT_DOUBLE_EQ(s.tokens_per_s, 32);
  EXPECT_DOUBLE_EQ(s.of_bandwidth, 0.4);
  EXPECT_DOUBLE_EQ(s.of_integer_peak, 0.2);
  EXPECT_DOUBLE_EQ(s.of_roof, 0.4);
  EXPECT_TRUE(s.memory_bound);
}

}  // namespace
}  // namespace tenfold::bench
