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
  const Service service{.max_running = 2, .max_step_tokens = 64, .prompt_tokens_beside_answers = 20};
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

}  // namespace
}  // namespace tenfold::sched
