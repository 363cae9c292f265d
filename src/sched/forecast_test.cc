#include "sched/forecast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "sched/scheduler.h"

namespace tenfold::sched {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

double TenEach(const StepCost&) { return 10; }

TEST(Forecast, NothingThereIsDoneAtOnce) {
  EXPECT_TRUE(Replay({}, {}, {}, TenEach).done_ms.empty());
  const Work done[] = {{.context = 5, .prompt_left = 0, .answer_left = 0}};
  EXPECT_THAT(Replay(done, {}, {}, TenEach).done_ms, ElementsAre(0));
}

TEST(Forecast, APromptInChunksThenTokenByToken) {
  const Work work[] = {{.context = 0, .prompt_left = 25, .answer_left = 3}};
  const Forecast f = Replay({}, work, {.max_running = 2, .max_step_tokens = 10}, TenEach);
  EXPECT_THAT(f.first_token_ms, ElementsAre(30));  // 10 + 10 + 5
  EXPECT_THAT(f.done_ms, ElementsAre(50));
}

TEST(Forecast, TheWaitingStartWhenARunningOneEnds) {
  const Work running[] = {{.context = 9, .prompt_left = 0, .answer_left = 4},
                          {.context = 9, .prompt_left = 0, .answer_left = 7}};
  const Work waiting[] = {{.context = 0, .prompt_left = 8, .answer_left = 2}};
  const Forecast f = Replay(running, waiting, {.max_running = 2, .max_step_tokens = 64}, TenEach);
  EXPECT_THAT(f.done_ms, ElementsAre(40, 70, 60));
  EXPECT_EQ(f.first_token_ms[2], 50);
}

TEST(Forecast, AnswersSlowAPromptDownToTheirShare) {
  const Work running[] = {{.context = 9, .prompt_left = 0, .answer_left = 100}};
  const Work waiting[] = {{.context = 0, .prompt_left = 100, .answer_left = 1}};
  const Service service{
      .max_running = 2, .max_step_tokens = 64, .prompt_room = [](const StepCost&, int64_t) { return 20; }};
  EXPECT_THAT(Replay(running, waiting, service, TenEach).done_ms, ElementsAre(1000, 50));
}

TEST(Forecast, CostsGrowWithAnswersPromptsAndContext) {
  const StepTime cost = [](const StepCost& c) {
    return 5.0 + static_cast<double>(c.decode_rows) + 0.5 * static_cast<double>(c.prompt_tokens) +
           0.01 * static_cast<double>(c.decode_context_reads);
  };
  const Work running[] = {{.context = 100, .prompt_left = 0, .answer_left = 11}};
  // 11 steps that read contexts 101 .. 111.
  EXPECT_THAT(Replay(running, {}, {}, cost).done_ms, ElementsAre(DoubleNear(11 * 6 + 0.01 * (11 * 106), 1e-9)));
}

TEST(Forecast, WhoHasYetToArriveHoldsUpNobody) {
  const Work running[] = {{.context = 9, .prompt_left = 0, .answer_left = 6}};
  const Work waiting[] = {{.context = 0, .prompt_left = 8, .answer_left = 2, .arrives_ms = 35},
                          {.context = 0, .prompt_left = 8, .answer_left = 3},
                          {.context = 0, .prompt_left = 8, .answer_left = 1, .arrives_ms = 200}};
  const Forecast f = Replay(running, waiting, {.max_running = 2, .max_step_tokens = 64}, TenEach);
  EXPECT_THAT(f.done_ms, ElementsAre(60, 60, 30, 210));  // the first that waits comes into the fifth step
  const Forecast full = Replay(running, waiting, {.max_running = 1, .max_step_tokens = 64}, TenEach);
  EXPECT_THAT(full.done_ms, ElementsAre(60, 80, 110, 210));  // it is there when a place is free, and before the other
}

// Against the scheduler itself, step by step, on random loads.
TEST(Forecast, AgreesWithTheSchedulerItReplays) {
  const StepTime cost = [](const StepCost& c) {
    return 30.0 + 5.0 * static_cast<double>(c.decode_rows) + 6.0 * static_cast<double>(c.prompt_tokens) +
           0.002 * static_cast<double>(c.decode_context_reads + c.prompt_context_reads);
  };
  std::mt19937_64 random(3);
  for (int load = 0; load < 50; ++load) {
    const Limits limits{.max_running = 4, .max_step_tokens = 64, .max_context = 4096};
    Scheduler scheduler(limits, 4096);
    std::vector<Work> work;
    std::map<SeqId, int64_t> answer;
    for (SeqId id = 1; id <= 12; ++id) {
      const int64_t prompt = 1 + static_cast<int64_t>(random() % 200);
      answer[id] = 1 + static_cast<int64_t>(random() % 60);
      work.push_back({.context = 0, .prompt_left = prompt, .answer_left = answer[id]});
      const std::vector<int32_t> tokens(static_cast<size_t>(prompt), static_cast<int32_t>(id));  // shared by none
      ASSERT_EQ(scheduler.Add(id, {.prompt = tokens, .max_new_tokens = answer[id]}), Admission::kQueued);
    }
    const Forecast f = Replay({}, work, {.max_running = 4, .max_step_tokens = 64}, cost);
    double now = 0;
    while (!scheduler.empty()) {
      const StepPlan plan = scheduler.Plan();
      StepCost step;
      for (const PlanRow& row : plan.rows) step.AddRow(row.first_position, row.count);
      now += cost(step);
      scheduler.Commit(plan);
      for (const PlanRow& row : plan.rows) {
        const SequenceView view = scheduler.View(row.seq);
        if (view.computed_tokens < view.known_tokens) continue;
        scheduler.AppendToken(row.seq, 0);
        if (--answer[row.seq] > 0) continue;
        scheduler.Remove(row.seq);
        EXPECT_NEAR(f.done_ms[static_cast<size_t>(row.seq - 1)], now, 0.1 * now + 50) << "load " << load;
      }
    }
    EXPECT_NEAR(*std::max_element(f.done_ms.begin(), f.done_ms.end()), now, 0.05 * now);
  }
}

// With prices that it learns, and prompts kept to what they leave beside the streams: the replay knows both.
TEST(Forecast, AgreesWithASchedulerThatBoundsItsMixedSteps) {
  const StepTime truth = [](const StepCost& c) {
    return 60.0 + 7.5 * static_cast<double>(c.decode_rows) + 9.5 * static_cast<double>(c.prompt_tokens);
  };
  std::mt19937_64 random(5);
  Scheduler scheduler({.max_running = 6, .max_step_tokens = 256, .max_context = 4096}, 4096);
  SeqId next = 1;
  std::vector<double> errors;
  for (int load = 0; load < 20; ++load) {
    std::vector<Work> work;
    std::map<SeqId, int64_t> answer;
    const SeqId first = next;
    for (int i = 0; i < 14; ++i) {
      const int64_t prompt = 2 + static_cast<int64_t>(random() % 200);
      answer[next] = 1 + static_cast<int64_t>(random() % 40);
      work.push_back({.context = 0, .prompt_left = prompt, .answer_left = answer[next]});
      const std::vector<int32_t> tokens(static_cast<size_t>(prompt), static_cast<int32_t>(next));  // shared by none
      ASSERT_EQ(scheduler.Add(next, {.prompt = tokens, .max_new_tokens = answer[next]}), Admission::kQueued);
      ++next;
    }
    const CostModel costs = scheduler.cost_model();
    const Service service{.max_running = 6,
                          .max_step_tokens = 256,
                          .prompt_room = [&costs](const StepCost& streams, int64_t first_position) {
                            return PromptTokensBeside(costs, {}, 256, streams, first_position);
                          }};
    const Forecast f = Replay({}, work, service, [&](const StepCost& cost) { return costs.PredictMs(cost); });
    double now = 0;
    while (!scheduler.empty()) {
      const StepPlan plan = scheduler.Plan();
      StepCost step;
      for (const PlanRow& row : plan.rows) step.AddRow(row.first_position, row.count);
      now += truth(step);
      scheduler.Commit(plan);
      scheduler.Observe(plan, truth(step));
      for (const PlanRow& row : plan.rows) {
        const SequenceView view = scheduler.View(row.seq);
        if (view.computed_tokens < view.known_tokens) continue;
        scheduler.AppendToken(row.seq, 0);
        if (--answer[row.seq] > 0) continue;
        scheduler.Remove(row.seq);
        if (load < 4) continue;  // it is still learning
        errors.push_back(std::abs(f.done_ms[static_cast<size_t>(row.seq - first)] / now - 1));
      }
    }
  }
  std::sort(errors.begin(), errors.end());
  EXPECT_LE(errors[errors.size() / 2], 0.02);
  EXPECT_LE(errors[errors.size() * 9 / 10], 0.06);
}

}  // namespace
}  // namespace tenfold::sched
