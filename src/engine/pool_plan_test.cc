#include "engine/pool_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tenfold::engine {
namespace {

using testing::HasSubstr;

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;

// Pages of 1 MiB, so that a GiB holds 16384 tokens.
PoolInput Input() {
  return {.page_bytes = kMiB,
          .available_bytes = 20 * kGiB,
          .weight_bytes = 4 * kGiB,
          .default_context = 8192,
          .max_running = 64};
}

TEST(PlanPool, TakesWhatIsFreeLessAMargin) {
  const auto plan = PlanPool(Input());
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->pages, 14 * 1024);  // 16 GiB are left, an eighth is the margin
  EXPECT_EQ(plan->context, 8192);
  EXPECT_FALSE(plan->shortened);
  EXPECT_THAT(plan->text, HasSubstr("14.00 GiB, 229376 tokens, 28.0 contexts of 8192"));
  EXPECT_THAT(plan->text, HasSubstr("16.00 GiB are left beside the weights, 2.00 of them as a margin"));
}

TEST(PlanPool, IsAtMostTwiceWhatTheRunningCanUse) {
  PoolInput input = Input();
  input.max_running = 3;
  EXPECT_EQ(PlanPool(input)->pages, 2 * 3 * 512);
  input.asked_context = 100;
  EXPECT_EQ(PlanPool(input)->pages, 2 * 3 * 7);
  input.available_bytes = 0;  // unknown
  EXPECT_EQ(PlanPool(input)->pages, 2 * 3 * 7);
}

TEST(PlanPool, TheDefaultContextShrinksToThePoolAndTheAskedOneDoesNot) {
  PoolInput input = Input();
  input.asked_bytes = 100 * kMiB + 5;
  auto plan = PlanPool(input);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->pages, 100);
  EXPECT_EQ(plan->context, 1600);
  EXPECT_TRUE(plan->shortened);
  input.asked_context = 1600;
  plan = PlanPool(input);
  ASSERT_TRUE(plan.ok());
  EXPECT_FALSE(plan->shortened);
  input.asked_context = 1601;
  const auto refused = PlanPool(input);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("1600 tokens, less than one context of 1601"));
  EXPECT_THAT(refused.error().message, HasSubstr(std::to_string(101 * kMiB)));
}

TEST(PlanPool, KeepsTheBuffersOfLargeStepsOutOfThePool) {
  PoolInput input = Input();
  input.step_bytes = 128 * kMiB;  // what the least margin holds
  input.step_tokens = 512;
  EXPECT_EQ(PlanPool(input)->pages, 14 * 1024);
  input.step_bytes = 8 * kGiB + 128 * kMiB;
  input.step_tokens = 65536;
  EXPECT_EQ(PlanPool(input)->pages, 7 * 1024);  // of 8 GiB, an eighth is the margin
  EXPECT_THAT(PlanPool(input)->text,
              HasSubstr("8.00 GiB are left beside the weights and steps of 65536 tokens (-b) 8.12"));
  input.asked_bytes = 9 * kGiB;
  ASSERT_FALSE(PlanPool(input).ok());
  EXPECT_THAT(PlanPool(input).error().message, HasSubstr("weights and steps of 65536 tokens (-b) 8.12 GiB leave 8.00"));
  input.asked_bytes = 0;
  input.step_bytes = 17 * kGiB;
  ASSERT_FALSE(PlanPool(input).ok());
  EXPECT_EQ(PlanPool(input).error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(PlanPool(input).error().message, HasSubstr("use a smaller -b, a smaller model"));
}

TEST(PlanPool, RefusesWhatCannotServeAnything) {
  PoolInput input = Input();
  input.asked_bytes = 15 * kMiB;  // 240 tokens
  ASSERT_FALSE(PlanPool(input).ok());
  EXPECT_THAT(PlanPool(input).error().message, HasSubstr("240 tokens, less than one context of 256"));
  input.asked_bytes = 17 * kGiB;  // 16 are left
  ASSERT_FALSE(PlanPool(input).ok());
  EXPECT_EQ(PlanPool(input).error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(PlanPool(input).error().message, HasSubstr("leave 16.00 GiB"));
  input.asked_bytes = 0;
  input.available_bytes = 4 * kGiB + 15 * kMiB;
  ASSERT_FALSE(PlanPool(input).ok());
  EXPECT_THAT(PlanPool(input).error().message, HasSubstr("use a smaller model"));
  input.available_bytes = 4 * kGiB + 16 * kMiB;  // no margin is left, but one short context is
  ASSERT_TRUE(PlanPool(input).ok());
  EXPECT_EQ(PlanPool(input)->context, 256);
  input.asked_context = 4096;
  EXPECT_THAT(PlanPool(input).error().message, HasSubstr("a smaller -c or"));
}

}  // namespace
}  // namespace tenfold::engine
