#include "engine/admission_desk.h"

#include <gtest/gtest.h>

#include <thread>

namespace tenfold::engine {
namespace {

const sched::Service kService{.max_running = 2, .max_step_tokens = 512};

// 40 ms a step, 5 ms for each token in it, as learnt from steps like that.
sched::CostModel Costs() {
  sched::CostModel costs;
  for (int64_t i = 0; i < 60; ++i) {
    sched::StepCost cost;
    for (int64_t row = 0; row <= i % 3; ++row) cost.AddRow(0, 1);
    if (i % 2 == 0) cost.AddRow(0, 100);
    costs.Observe(cost, 40.0 + 5.0 * static_cast<double>(cost.decode_rows + cost.prompt_tokens));
  }
  return costs;
}

AdmissionDesk::Entry Streaming(int64_t id, int64_t left) {
  return {.id = id, .tenant = 1, .computed = 50, .known = 51, .generated = 10, .limit = 10 + left, .deadline_us = -1};
}

TEST(AdmissionDesk, KnowsNothingBeforeStepsWereTimed) {
  AdmissionDesk desk;
  const Demand impatient{.tenant = 1, .prompt_tokens = 100, .max_new_tokens = 100, .deadline_us = 1};
  EXPECT_TRUE(desk.Decide(impatient, 0).in_time);
  desk.Open(kService);
  const Prediction p = desk.Decide(impatient, 0);
  EXPECT_TRUE(p.in_time);
  EXPECT_EQ(p.done_us, -1);
  desk.Publish({}, {}, {}, Costs(), 0);
  EXPECT_FALSE(desk.Decide(impatient, 0).in_time);
  desk.Close();
  EXPECT_TRUE(desk.Decide(impatient, 0).in_time);
}

TEST(AdmissionDesk, PredictsFromWhoIsThere) {
  AdmissionDesk desk;
  desk.Open(kService);
  desk.Publish({}, {}, {}, Costs(), 0);
  const Demand demand{
      .tenant = 1, .fingerprint = 1, .prompt_tokens = 100, .max_new_tokens = 11, .deadline_us = 2'000'000};
  const Prediction alone = desk.Decide(demand, 0);
  EXPECT_TRUE(alone.in_time);
  EXPECT_NEAR(static_cast<double>(alone.first_token_us), 540e3, 60e3);
  EXPECT_NEAR(static_cast<double>(alone.done_us), 540e3 + 450e3, 100e3);
  desk.Publish({Streaming(1, 60), Streaming(2, 60)}, {}, {}, Costs(), 2);  // 60 steps of 50 ms before its turn
  const Prediction behind = desk.Decide(demand, 0);
  EXPECT_FALSE(behind.in_time);
  EXPECT_TRUE(behind.ever);
  EXPECT_GT(behind.retry_after_us, 1'000'000);
  EXPECT_FALSE(
      desk.Decide({.tenant = 1, .prompt_tokens = 100, .max_new_tokens = 1000, .deadline_us = 2'000'000}, 0).ever);
}

TEST(AdmissionDesk, WhatWasSubmittedCountsBeforeTheLoopHasSeenIt) {
  AdmissionDesk desk;
  desk.Open({.max_running = 1, .max_step_tokens = 512});
  desk.Publish({}, {}, {}, Costs(), 4);
  const Demand demand{.tenant = 1, .prompt_tokens = 1, .max_new_tokens = 10, .deadline_us = -1};
  const int64_t before = desk.Decide(demand, 0).done_us;
  desk.Submitted({.id = 5, .tenant = 1, .computed = 0, .known = 1, .generated = 0, .limit = 10});
  EXPECT_NEAR(static_cast<double>(desk.Decide(demand, 0).done_us), 2.0 * static_cast<double>(before),
              0.4 * static_cast<double>(before));
  desk.Publish({}, {}, {}, Costs(), 5);  // seen, and gone
  EXPECT_EQ(desk.Decide(demand, 0).done_us, before);
}

TEST(AdmissionDesk, AnotherTenantsFortyRequestsDoNotStandInTheWay) {
  AdmissionDesk desk;
  desk.Open({.max_running = 1, .max_step_tokens = 512});
  desk.Publish({}, {}, {}, Costs(), 0);
  for (int64_t id = 1; id <= 40; ++id) {
    desk.Submitted({.id = id, .tenant = 1, .computed = 0, .known = 1, .generated = 0, .limit = 10});
  }
  const Demand same{.tenant = 1, .prompt_tokens = 1, .max_new_tokens = 10, .deadline_us = -1};
  Demand other = same;
  other.tenant = 2;
  EXPECT_LT(desk.Decide(other, 0).done_us * 10, desk.Decide(same, 0).done_us);
}

// All places are one tenant's: the scheduler will make room for another's newcomer, unless they were promised an end.
TEST(AdmissionDesk, ANewcomerIsPredictedInThePlaceThatWillBeMadeForIt) {
  for (const bool promised : {false, true}) {
    AdmissionDesk desk;
    desk.Open(kService);
    sched::FairQueue order;
    std::vector<AdmissionDesk::Entry> running;
    for (int64_t id = 1; id <= 2; ++id) {
      order.Push(1, id);
      order.Pop();
      running.push_back(Streaming(id, 400));
      if (promised) running.back().deadline_us = 3'600'000'000;
    }
    order.Charge(1, 1000);
    desk.Publish(running, {}, order, Costs(), 2);
    const Demand other{.tenant = 2, .prompt_tokens = 20, .max_new_tokens = 10, .deadline_us = -1};
    Demand same = other;
    same.tenant = 1;
    EXPECT_GT(desk.Decide(same, 0).done_us, 18'000'000) << "400 steps of at least 45 ms come first";
    if (promised) {
      EXPECT_GT(desk.Decide(other, 0).done_us, 18'000'000);
    } else {
      EXPECT_LT(desk.Decide(other, 0).done_us, 2'000'000);
    }
  }
}

TEST(AdmissionDesk, CachedPromptsAreExpectedToGoOnBeingCached) {
  AdmissionDesk desk;
  desk.Open(kService);
  desk.Publish({}, {}, {}, Costs(), 0);
  const Demand demand{.tenant = 1, .prompt_tokens = 500, .max_new_tokens = 1, .deadline_us = -1};
  const int64_t cold = desk.Decide(demand, 0).done_us;
  for (int i = 0; i < 60; ++i) desk.Ended({.prompt_tokens = 500, .cached_tokens = 450, .generated = 1, .cut = true});
  EXPECT_LT(desk.Decide(demand, 0).done_us * 4, cold);
}

TEST(AdmissionDesk, AnyThreadMayAskWhileTheLoopPublishes) {
  AdmissionDesk desk;
  desk.Open(kService);
  const sched::CostModel costs = Costs();
  std::thread loop([&] {
    for (int64_t i = 1; i <= 300; ++i) {
      sched::FairQueue order;
      order.Push(1, i);
      desk.Publish({Streaming(i + 1000, i % 50)},
                   {{.id = i, .tenant = 1, .computed = 0, .known = 40, .generated = 0, .limit = 9}}, order, costs, i);
      desk.Ended({.predicted_us = 1000, .actual_us = 1100, .prompt_tokens = 9, .generated = 3});
    }
  });
  for (int64_t i = 0; i < 300; ++i) {
    desk.Submitted({.id = 10'000 + i, .tenant = 2, .computed = 0, .known = 5, .generated = 0, .limit = 2});
    EXPECT_TRUE(desk.Decide({.tenant = 3, .prompt_tokens = 5, .max_new_tokens = 5, .deadline_us = -1}, i).in_time);
  }
  loop.join();
}

}  // namespace
}  // namespace tenfold::engine
