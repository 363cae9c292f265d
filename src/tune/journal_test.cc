// Searches that are broken off and taken up again, and files that are not theirs.
#include "tune/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tune/simulation_test.h"

namespace tenfold::tune {
namespace {

using ::testing::HasSubstr;

const Circumstances kHere = {{"model", "m.gguf"}, {"CPU", "here"}, {"minutes", "20"}};

SimulatedMachine Machine() {
  SimulatedMachine machine;
  machine.noise = 0.04;
  machine.factors = {{"threads 4", 0.8}, {"threads 1", 1.5}};
  return machine;
}

std::string TextOf(const std::vector<Recorded>& recorded) {
  std::string text = HeaderLine(kHere) + "\n";
  for (const Recorded& r : recorded) text += LineOf(r) + "\n";
  return text;
}

// Broken off after any measurement, and taken up again from the file's text: the same decision by the same
// measurements.
TEST(Journal, ASearchTakenUpAgainDecidesTheSame) {
  const Space space = UsualSpace();
  std::vector<Recorded> whole;
  SimulatedMeasuring measuring(space, Machine(), 7);
  Journal first(space, {}, measuring, [&](const Recorded& r) { whole.push_back(r); });
  const Outcome expected = Search(space, {.bound_s = 1200}, first, {});
  ASSERT_GT(whole.size(), 20u);
  for (const size_t kept : {size_t{0}, size_t{1}, size_t{5}, whole.size() / 2, whole.size() - 1}) {
    std::vector<Recorded> so_far(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(kept));
    const auto read = ParseJournal(TextOf(so_far), kHere, "state");
    ASSERT_TRUE(read.ok()) << read.error().message;
    ASSERT_EQ(read->size(), kept);
    class Rest : public Measuring {  // what is not in the file is what the whole run measured
     public:
      Rest(const std::vector<Recorded>& all, size_t next) : all_(all), next_(next) {}
      Measured Measure(const Trial&) override { return all_[next_++].measured; }
      bool stopped() const override { return false; }
      size_t next() const { return next_; }

     private:
      const std::vector<Recorded>& all_;
      size_t next_;
    } live(whole, kept);
    Journal second(space, *read, live, {});
    const Outcome outcome = Search(space, {.bound_s = 1200}, second, {});
    EXPECT_EQ(outcome.chosen, expected.chosen) << kept;
    EXPECT_EQ(live.next(), whole.size()) << kept;
    EXPECT_FALSE(second.diverged()) << kept;
    EXPECT_DOUBLE_EQ(outcome.spent_s, expected.spent_s) << kept;
  }
}

TEST(Journal, AStoppedMeasurementIsNotRecorded) {
  const Space space = UsualSpace();
  SimulatedMeasuring measuring(space, Machine(), 7);
  measuring.stop_after = 9;
  std::vector<Recorded> recorded;
  Journal journal(space, {}, measuring, [&](const Recorded& r) { recorded.push_back(r); });
  EXPECT_EQ(Search(space, {.bound_s = 1200}, journal, {}).ending, Ending::kStopped);
  EXPECT_EQ(recorded.size(), 8u);
}

TEST(Journal, WhatDoesNotFitTheSearchIsMeasuredAnew) {
  const Space space = UsualSpace();
  SimulatedMeasuring measuring(space, Machine(), 7);
  Journal journal(space, {{"batch_size 7", 0.125, {.seconds = 1, .cost_s = 1}}}, measuring, {});
  Search(space, {.bound_s = 1200}, journal, {});
  EXPECT_TRUE(journal.diverged());
  EXPECT_GT(measuring.trials, 20);
}

TEST(Journal, AnothersFileIsRefusedByName) {
  const std::string text = TextOf({{"the defaults", 1, {.seconds = 2, .cost_s = 3}}});
  Circumstances other = kHere;
  other[1].second = "there";
  const auto refused = ParseJournal(text, other, "state");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("CPU: here, here it is there"));
  EXPECT_THAT(ParseJournal("{\"kind\":\"manifest\",\"schema\":1}\n", kHere, "state").error().message,
              HasSubstr("no state of a `tenfold tune`"));
}

TEST(Journal, ACutLineIsForgottenAndAWrongOneRefused) {
  const std::string text = TextOf({{"the defaults", 1, {.seconds = 2, .cost_s = 3}}});
  EXPECT_EQ(ParseJournal(text + "{\"kind\":\"tri", kHere, "state")->size(), 1u);
  EXPECT_EQ(ParseJournal("", kHere, "state")->size(), 0u);
  EXPECT_THAT(ParseJournal(text + "{\"kind\":\"trial\"}\n", kHere, "state").error().message, HasSubstr("state:3: "));
  EXPECT_THAT(ParseJournal(text + "nonsense\n", kHere, "state").error().message, HasSubstr("state:3: no JSON"));
}

}  // namespace
}  // namespace tenfold::tune
