// What the scheduler does between tenants that run side by side; whose turn it is to be admitted is
// fair_queue_test.cc's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sched/scheduler.h"

namespace tenfold::sched {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

void Add(Scheduler& scheduler, SeqId seq, int64_t prompt_tokens, TenantId tenant, bool keeps_place = false) {
  const std::vector<int32_t> prompt(static_cast<size_t>(prompt_tokens), static_cast<int32_t>(seq));
  scheduler.Add(seq, {.prompt = prompt, .max_new_tokens = 400, .tenant = tenant, .keeps_place = keeps_place});
}

StepPlan Step(Scheduler& scheduler) {
  StepPlan plan = scheduler.Plan();
  scheduler.Commit(plan);
  scheduler.Observe(plan, 70 + 10.0 * static_cast<double>(plan.tokens));
  for (const PlanRow& row : plan.rows) {
    const SequenceView view = scheduler.View(row.seq);
    if (view.computed_tokens == view.known_tokens) scheduler.AppendToken(row.seq, 7);
  }
  EXPECT_EQ(scheduler.CheckIntegrity(), "");
  return plan;
}

// Three places, all taken by one tenant: who was promised to be in time keeps its own.
TEST(SchedulerTenants, WhoWasPromisedAnEndInTimeMakesNoRoomForAnother) {
  for (const bool promised : {false, true}) {
    Scheduler scheduler({.max_running = 3, .max_step_tokens = 100, .max_context = 500}, 200);
    for (SeqId seq = 1; seq <= 3; ++seq) Add(scheduler, seq, 3, 1, promised && seq == 3);
    for (int i = 0; i < 5; ++i) Step(scheduler);
    Add(scheduler, 4, 1, 2);
    std::vector<SeqId> lost;
    for (int i = 0; i < 2; ++i) {  // the newcomer begins with as much work as the other; a step later that has more
      for (const SeqId seq : Step(scheduler).preempted) lost.push_back(seq);
    }
    if (promised) {
      EXPECT_THAT(lost, IsEmpty());
    } else {
      EXPECT_THAT(lost, ElementsAre(3));
    }
  }
}

}  // namespace
}  // namespace tenfold::sched
