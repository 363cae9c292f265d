#include "sched/answer_lengths.h"

#include <gtest/gtest.h>

namespace tenfold::sched {
namespace {

TEST(AnswerLengths, NothingKnownExpectsTheLimit) {
  AnswerLengths lengths;
  EXPECT_EQ(lengths.Left(0, 500), 500);
  for (int i = 0; i + 1 < AnswerLengths::kEnough; ++i) lengths.Observe(10, false);
  EXPECT_EQ(lengths.Left(3, 500), 497);
}

TEST(AnswerLengths, TheQuantileOfThoseThatAreLonger) {
  AnswerLengths lengths(0.8);
  for (int i = 1; i <= 100; ++i) lengths.Observe(i, false);
  EXPECT_EQ(lengths.Left(0, 500), 80);
  EXPECT_EQ(lengths.Left(0, 60), 60);
  // Of 51 .. 100 the fortieth; that an answer is long already says that it will be longer.
  EXPECT_EQ(lengths.Left(50, 500), 40);
  EXPECT_EQ(lengths.Left(95, 500), 405);  // too few were longer
  EXPECT_EQ(lengths.Left(70, 60), 0);
}

TEST(AnswerLengths, AnswersThatWereCutWouldHaveBeenLonger) {
  AnswerLengths lengths(0.8);
  for (int i = 0; i < 50; ++i) lengths.Observe(64, true);
  for (int i = 0; i < 50; ++i) lengths.Observe(20, false);
  EXPECT_EQ(lengths.Left(0, 400), 400);
  for (int i = 0; i < 200; ++i) lengths.Observe(20, false);
  EXPECT_EQ(lengths.Left(0, 400), 20);
}

TEST(AnswerLengths, OldAnswersAreForgotten) {
  AnswerLengths lengths(0.5);
  for (int64_t i = 0; i < AnswerLengths::kWindow; ++i) lengths.Observe(1000, false);
  for (int64_t i = 0; i < AnswerLengths::kWindow; ++i) lengths.Observe(10, false);
  EXPECT_EQ(lengths.observations(), AnswerLengths::kWindow);
  EXPECT_EQ(lengths.Left(0, 4096), 10);
}

}  // namespace
}  // namespace tenfold::sched
