// The model against synthetic machines whose truth is known: noise, outliers, drift, and shapes it cannot express.
#include "sched/cost_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

namespace tenfold::sched {
namespace {

// A machine: milliseconds for a cost, without noise.
using Machine = std::function<double(const StepCost&)>;

double Linear(const StepCost& c) {
  return 70 + 8.0 * static_cast<double>(c.decode_rows) + 11.0 * static_cast<double>(c.prompt_tokens) +
         0.006 * static_cast<double>(c.decode_context_reads) + 0.004 * static_cast<double>(c.prompt_context_reads);
}

// Measured steps of a 4B model on two cores (docs/performance.md): flat up to 3 tokens, then 14.5 ms a token,
// then 10.5.
double Measured(const StepCost& c) {
  const double n = static_cast<double>(c.decode_rows + c.prompt_tokens);
  const double products = n <= 3 ? 78 : n <= 32 ? 78 + (n - 3) * 13 : 455 + (n - 32) * 10.3;
  return products + 0.0066 * static_cast<double>(c.decode_context_reads) +
         0.003 * static_cast<double>(c.prompt_context_reads);
}

// Serves phases of decoding, of prompts alone and of both, as a server would see them, and collects the relative errors
// of the predictions of the last `judged` steps.
class Life {
 public:
  Life(Machine machine, double noise, uint64_t seed) : machine_(std::move(machine)), noise_(noise), random_(seed) {}

  StepCost RandomCost() {
    StepCost cost;
    const auto rows = static_cast<int64_t>(random_() % 10);
    for (int64_t i = 0; i < rows; ++i) cost.AddRow(static_cast<int64_t>(random_() % 3000), 1);
    const uint64_t kind = random_() % 4;
    if (kind == 0 || rows == 0)
      cost.AddRow(static_cast<int64_t>(random_() % 2000), 2 + static_cast<int64_t>(random_() % 500));
    if (kind == 1) cost.AddRow(static_cast<int64_t>(random_() % 2000), 2 + static_cast<int64_t>(random_() % 40));
    return cost;
  }

  void Step(const StepCost& cost, double factor = 1) {
    std::normal_distribution<double> normal(0, noise_);
    const double ms = machine_(cost) * factor * std::exp(normal(random_));
    errors.push_back(std::abs(model.PredictMs(cost) - machine_(cost) * factor) / (machine_(cost) * factor));
    model.Observe(cost, ms);
  }

  double MedianError(size_t last) const {
    std::vector<double> part(errors.end() - static_cast<std::ptrdiff_t>(last), errors.end());
    std::nth_element(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(last / 2), part.end());
    return part[last / 2];
  }

  CostModel model;
  std::vector<double> errors;

 private:
  Machine machine_;
  double noise_;
  std::mt19937_64 random_;
};

TEST(StepCost, RowsAddUp) {
  StepCost cost;
  cost.AddRow(9, 1);
  cost.AddRow(100, 4);
  cost.AddRow(0, 2);
  EXPECT_EQ(cost.decode_rows, 1);
  EXPECT_EQ(cost.decode_context_reads, 10);
  EXPECT_EQ(cost.prompt_tokens, 6);
  EXPECT_EQ(cost.prompt_context_reads, 101 + 102 + 103 + 104 + 1 + 2);
}

TEST(CostModel, LearnsALinearMachineWithinSixtySteps) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Life life(Linear, 0.05, seed);
    for (int i = 0; i < 60; ++i) life.Step(life.RandomCost());
    for (int i = 0; i < 60; ++i) life.Step(life.RandomCost());
    EXPECT_LT(life.MedianError(60), 0.05) << "seed " << seed;
    EXPECT_LT(life.model.relative_error(), 0.15);
  }
}

TEST(CostModel, FitsTheMeasuredShapeThoughItIsNotLinear) {
  Life life(Measured, 0.05, 3);
  for (int i = 0; i < 300; ++i) life.Step(life.RandomCost());
  EXPECT_LT(life.MedianError(200), 0.12);
}

TEST(CostModel, OutliersDoNotMoveIt) {
  Life life(Linear, 0.03, 5);
  for (int i = 0; i < 100; ++i) life.Step(life.RandomCost());
  for (int i = 0; i < 100; ++i) life.Step(life.RandomCost(), i % 10 == 0 ? 20 : 1);
  std::vector<double> usual;
  for (size_t i = 100; i < 200; ++i) {
    if ((i - 100) % 10 != 0) usual.push_back(life.errors[i]);
  }
  std::nth_element(usual.begin(), usual.begin() + 45, usual.end());
  EXPECT_LT(usual[45], 0.08);
}

TEST(CostModel, FollowsAChangeOfSpeedWithinFiveStepsForCostsNotSeenSinceToo) {
  Life life(Linear, 0.03, 7);
  for (int i = 0; i < 200; ++i) life.Step(life.RandomCost());
  StepCost decode;
  for (int i = 0; i < 4; ++i) decode.AddRow(500, 1);
  StepCost prompt;
  prompt.AddRow(0, 200);
  for (int i = 0; i < 5; ++i) life.Step(decode, 2.5);
  EXPECT_NEAR(life.model.PredictMs(decode) / (2.5 * Linear(decode)), 1, 0.15);
  EXPECT_NEAR(life.model.PredictMs(prompt) / (2.5 * Linear(prompt)), 1, 0.3) << "only decoding told of the change";
  for (int i = 0; i < 300; ++i) life.Step(life.RandomCost(), 2.5);
  EXPECT_NEAR(life.model.slowness(), 1, 0.2) << "what stays becomes price";
  EXPECT_LT(life.MedianError(100), 0.06);
}

// Hours of decoding of one kind, then a prompt: what was known of prompts is still there, and one prompt step does not
// overturn what is known of decoding.
TEST(CostModel, LongPhasesOfOneKindForgetNothingOfTheOther) {
  Life life(Linear, 0.05, 11);
  for (int i = 0; i < 100; ++i) life.Step(life.RandomCost());
  StepCost decode;
  for (int i = 0; i < 9; ++i) decode.AddRow(700, 1);
  for (int i = 0; i < 20'000; ++i) life.Step(decode);
  StepCost mixed = decode;
  mixed.AddRow(100, 24);
  EXPECT_NEAR(life.model.PredictMs(mixed) / Linear(mixed), 1, 0.2);
  life.Step(mixed, 3);  // disturbed
  EXPECT_NEAR(life.model.PredictMs(decode) / Linear(decode), 1, 0.1);
}

TEST(CostModel, BudgetIsInvertedExactly) {
  Life life(Linear, 0, 13);
  for (int i = 0; i < 200; ++i) life.Step(life.RandomCost());
  StepCost base;
  for (int i = 0; i < 9; ++i) base.AddRow(300, 1);
  const double budget = 2.5 * life.model.PredictMs(base);
  const int64_t tokens = life.model.PromptTokensWithin(budget, base, 1000, 512);
  ASSERT_GT(tokens, 5);
  ASSERT_LT(tokens, 60);
  StepCost with = base;
  with.AddRow(1000, tokens);
  EXPECT_LE(life.model.PredictMs(with), budget);
  EXPECT_NEAR(Linear(with) / budget, 1, 0.1);
  with = base;
  with.AddRow(1000, tokens + 1);
  EXPECT_GT(life.model.PredictMs(with), budget);
  EXPECT_EQ(life.model.PromptTokensWithin(1e9, base, 0, 512), 512);
  EXPECT_EQ(life.model.PromptTokensWithin(0, base, 0, 512), 0);
}

// The first prompt beside running streams, with nothing known about prompts: no step may take three times as long as
// one without it, on a machine whose shape misleads (two tokens cost what one does).
TEST(CostModel, TheFirstPromptIsApproachedCarefully) {
  for (const int64_t streams : {1, 3, 9}) {
    Life life(Measured, 0.03, static_cast<uint64_t>(streams));
    StepCost decode;
    for (int64_t i = 0; i < streams; ++i) decode.AddRow(100, 1);
    for (int i = 0; i < 30; ++i) life.Step(decode);
    const double alone = Measured(decode);
    int64_t done = 0;
    int steps = 0;
    for (; done < 2000 && steps < 400; ++steps) {
      const int64_t n = std::max<int64_t>(1, life.model.PromptTokensWithin(2.5 * alone, decode, done, 2000 - done));
      StepCost mixed = decode;
      mixed.prompt_tokens += n;
      mixed.prompt_context_reads += n * done + n * (n + 1) / 2;
      EXPECT_LT(Measured(mixed), 3 * alone) << streams << " streams, step " << steps << ", " << n << " tokens";
      life.Step(mixed);
      done += n;
    }
    EXPECT_GE(done, 2000) << "and it must get done: " << streams;
  }
}

// Two steps of a prompt are all that is known when the first stream runs beside the next prompt: its step is predicted
// well enough for that prompt to get its part.
TEST(CostModel, APromptTellsWhatAStreamCosts) {
  CostModel model;
  for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 512}, {512, 80}}) {
    StepCost prompt;
    prompt.AddRow(first, count);
    model.Observe(prompt, Measured(prompt));
  }
  StepCost stream;
  stream.AddRow(592, 1);
  EXPECT_GT(model.PredictMs(stream), 0.8 * Measured(stream));
  EXPECT_LT(model.PredictMs(stream), 1.7 * Measured(stream));
  int64_t tokens = 0;
  for (int i = 0; i < 5; ++i) {
    tokens = std::max<int64_t>(4, model.PromptTokensWithin(2 * model.PredictMs(stream), stream, 576, 100));
    StepCost mixed = stream;
    mixed.AddRow(576, tokens);
    model.Observe(mixed, Measured(mixed));
  }
  EXPECT_GE(tokens, 6) << "78 ms alone, 13 a token more";
  EXPECT_GT(model.PredictMs(stream), 0.7 * Measured(stream)) << "what few tokens taught of tokens is not of streams";
}

TEST(CostModel, NonsenseIsIgnored) {
  CostModel model;
  StepCost cost;
  cost.AddRow(0, 8);
  EXPECT_GT(model.PredictMs(cost), 0);
  model.Observe(cost, 0);
  model.Observe(cost, -5);
  model.Observe(cost, std::numeric_limits<double>::quiet_NaN());
  model.Observe(cost, std::numeric_limits<double>::infinity());
  model.Observe({}, 5);
  EXPECT_EQ(model.observations(), 0);
  model.Observe(cost, 80);
  EXPECT_NEAR(model.PredictMs(cost), 80, 1);
  for (int i = 0; i < 1000; ++i) model.Observe(cost, i % 2 == 0 ? 1e-9 : 1e12);
  EXPECT_TRUE(std::isfinite(model.PredictMs(cost)));
  EXPECT_GT(model.PredictMs(cost), 0);
}

TEST(CostModel, IsDeterministic) {
  Life a(Measured, 0.1, 17);
  Life b(Measured, 0.1, 17);
  for (int i = 0; i < 500; ++i) {
    a.Step(a.RandomCost());
    b.Step(b.RandomCost());
  }
  EXPECT_EQ(a.errors, b.errors);
}

}  // namespace
}  // namespace tenfold::sched
