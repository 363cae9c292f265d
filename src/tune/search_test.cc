// The search on simulated machines: what it may never do, what it must find, and that it ends in time.
#include "tune/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tune/simulation_test.h"

namespace tenfold::tune {
namespace {

constexpr double kBoundS = 1200;

Assignment BadStart() {
  Assignment start = UsualDefaults();
  start["threads"] = "8";
  start["batch_size"] = "16";
  return start;
}

Outcome Tune(const Space& space, Measuring& measuring, double bound_s = kBoundS) {
  return Search(space, {.bound_s = bound_s}, measuring, {});
}

TEST(Space, TheDefaultComesFirstAndTheStartIsAVariant) {
  const Space space = UsualSpace(BadStart());
  EXPECT_EQ(space.TextOf(space.defaults()), "the defaults");
  EXPECT_EQ(space.TextOf(space.start), "threads 8, batch_size 16");
  EXPECT_EQ(space.SettingsOf(space.defaults()), UsualDefaults());
  EXPECT_EQ(space.SettingsOf(space.start), BadStart());
  std::vector<std::string> threads;
  for (const Variant& variant : space.knobs[0].variants) threads.push_back(variant.text);
  EXPECT_THAT(threads, ::testing::ElementsAre("0", "1", "4", "8"));
}

TEST(Space, WhatMakesNoSenseHereIsNotTriedAndSaidSo) {
  const auto reasons = [](const Space& space) {
    std::vector<std::string> what;
    for (const NotTried& n : space.not_tried) what.push_back(n.what);
    return what;
  };
  const Space plain = UsualSpace(UsualDefaults(), "package:1 [numa] core:2 pu:1");
  EXPECT_THAT(reasons(plain), ::testing::Contains("hyper-threads"));
  EXPECT_THAT(reasons(plain), ::testing::Contains("cpu_affinity spread"));
  SpaceInput quota;
  quota.topology = platform::ReadSyntheticTopology("package:2 [numa] core:4 pu:2").value();
  quota.quota_cpus = 2.5;
  quota.huge_pages_allowed = false;
  quota.users = 16;
  quota.defaults = quota.start = UsualDefaults();
  const Space space = MakeSpace(quota);
  std::vector<std::string> threads;
  for (const Variant& variant : space.knobs[0].variants) threads.push_back(variant.text);
  EXPECT_THAT(threads, ::testing::ElementsAre("0", "1", "3"));  // 2 is what the quota gives; 8 and 16 are beyond it
  EXPECT_EQ(space.knobs[1].variants[1].text, "16");
  EXPECT_THAT(reasons(space), ::testing::Contains("huge pages"));
  EXPECT_THAT(reasons(space), ::testing::Not(::testing::Contains("cpu_affinity spread")));
}

// Where nothing is faster than the defaults, whatever the noise, nothing that is more than 2 % slower may ever come
// out.
TEST(Search, NeverPicksWhatIsSlowerThanTheDefaults) {
  const Space space = UsualSpace();
  for (const double noise : {0.01, 0.05, 0.15, 0.3}) {
    int changed = 0;
    for (uint64_t seed = 0; seed < 150; ++seed) {
      SimulatedMachine machine;
      machine.noise = noise;
      machine.factors = {{"threads 1", 1.04},
                         {"threads 4", 1.03},
                         {"parallel 5", 1.05},
                         {"batch_size 256", 1.021},
                         {"batch_size 1024", 1.03},
                         {"huge_pages false", 1.04},
                         {"cpu_affinity compact", 1.03},
                         {"kv_type q8_0", 1.06}};
      SimulatedMeasuring measuring(space, machine, seed);
      const Outcome outcome = Tune(space, measuring);
      ASSERT_EQ(outcome.ending, Ending::kDone);
      EXPECT_LE(measuring.Truth(outcome.chosen), 1.02)
          << space.TextOf(outcome.chosen) << " noise " << noise << " seed " << seed;
      EXPECT_LE(measuring.spent_s, kBoundS) << seed;
      changed += outcome.chosen != space.defaults();
    }
    EXPECT_EQ(changed, 0) << noise;
  }
}

// Equal variants: leaving the defaults for nothing is no harm, but it should be rare.
TEST(Search, KeepsTheDefaultsWhereNothingDiffers) {
  const Space space = UsualSpace();
  int changed = 0;
  constexpr int kSeeds = 300;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimulatedMachine machine;
    machine.noise = 0.05;
    SimulatedMeasuring measuring(space, machine, seed);
    changed += Tune(space, measuring).chosen != space.defaults();
  }
  EXPECT_LE(changed, kSeeds / 50);
}

TEST(Search, FindsWhatIsFasterAndTurnsOneKnobAfterTheOther) {
  const Space space = UsualSpace();
  int found = 0;
  int precision_given_up = 0;
  constexpr int kSeeds = 100;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimulatedMachine machine;
    machine.factors = {{"threads 1", 1.7}, {"threads 4", 0.8}, {"batch_size 256", 0.88}, {"kv_type q8_0", 0.97}};
    SimulatedMeasuring measuring(space, machine, seed);
    const Outcome outcome = Tune(space, measuring);
    EXPECT_LE(measuring.spent_s, kBoundS);
    const double best = 0.8 * 0.88;
    found += measuring.Truth(outcome.chosen) <= best / 0.9;
    precision_given_up += space.TextOf(outcome.chosen).find("q8_0") != std::string::npos;
  }
  EXPECT_LE(precision_given_up, kSeeds / 50);  // 3 % are not enough for that
  EXPECT_GE(found, kSeeds * 97 / 100);
}

TEST(Search, RecoversFromABadStart) {
  const Space space = UsualSpace(BadStart());
  constexpr int kSeeds = 100;
  int recovered = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimulatedMachine machine;
    machine.noise = 0.05;
    machine.factors = {{"threads 8", 1.6}, {"batch_size 16", 2.2}, {"threads 1", 1.8}, {"threads 4", 0.85}};
    SimulatedMeasuring measuring(space, machine, seed);
    const Outcome outcome = Tune(space, measuring);
    EXPECT_LE(measuring.spent_s, kBoundS);
    ASSERT_TRUE(outcome.start.has_value());
    EXPECT_EQ(outcome.start->says, Says::kSlower);
    recovered += measuring.Truth(outcome.chosen) <= 0.85 / 0.9;
  }
  EXPECT_GE(recovered, kSeeds * 97 / 100);
}

// What the user runs today may be better than what serve would do by itself; then it is the ground to stand on.
TEST(Search, AGoodStartIsKept) {
  Assignment start = UsualDefaults();
  start["threads"] = "4";
  const Space space = UsualSpace(start);
  SimulatedMachine machine;
  machine.factors = {{"threads 4", 0.7}};
  SimulatedMeasuring measuring(space, machine, 1);
  const Outcome outcome = Tune(space, measuring);
  EXPECT_EQ(outcome.start->says, Says::kFaster);
  EXPECT_EQ(outcome.chosen, space.start);
  EXPECT_EQ(outcome.confirmation->says, Says::kFaster);
}

TEST(Search, EndsInTimeWhateverHangsOrRefuses) {
  const Space space = UsualSpace(BadStart());
  for (const double bound_s : {20.0, 60.0, 240.0, 1200.0}) {
    for (const double full_s : {0.05, 2.0, 18.0, 400.0}) {
      SimulatedMachine machine;
      machine.full_s = full_s;
      machine.start_s = full_s / 4;
      machine.servers = 1;
      machine.hangs = {"threads 1", "kv_type q8_0", "batch_size 16"};
      machine.refuses = {"huge_pages false"};
      SimulatedMeasuring measuring(space, machine, 5);
      const Outcome outcome = Tune(space, measuring, bound_s);
      EXPECT_LE(measuring.spent_s, bound_s) << full_s;
      EXPECT_NEAR(outcome.spent_s, measuring.spent_s, 1e-6);
      if (outcome.ending == Ending::kDone) {
        EXPECT_LE(measuring.Truth(outcome.chosen), 1.0);
      } else {
        EXPECT_EQ(outcome.ending, Ending::kUnmeasurable);
        EXPECT_GT(full_s / 8 + machine.start_s, bound_s / 8) << bound_s;
      }
    }
  }
}

TEST(Search, AHangingVariantIsNamedAndTheRestDecided) {
  const Space space = UsualSpace();
  SimulatedMachine machine;
  machine.hangs = {"threads 1"};
  machine.factors = {{"threads 4", 0.7}};
  SimulatedMeasuring measuring(space, machine, 3);
  const Outcome outcome = Tune(space, measuring);
  EXPECT_EQ(outcome.knobs[0].arms[0].says, Says::kFailed);
  EXPECT_EQ(outcome.knobs[0].arms[0].failure, "timeout");
  EXPECT_EQ(space.TextOf(outcome.chosen), "threads 4");
}

TEST(Search, DefaultsThatFailAreReplacedByTheStart) {
  const Space space = UsualSpace(BadStart());
  SimulatedMachine machine;
  machine.refuses = {"threads 0"};
  SimulatedMeasuring measuring(space, machine, 3);
  const Outcome outcome = Tune(space, measuring);
  EXPECT_EQ(outcome.ending, Ending::kDone);
  EXPECT_EQ(outcome.reference, space.start);
  EXPECT_EQ(outcome.defaults_failure, "refused");
  machine.refuses.insert("threads 8");
  SimulatedMeasuring nothing(space, machine, 3);
  const Outcome none = Tune(space, nothing);
  EXPECT_EQ(none.ending, Ending::kUnmeasurable);
  EXPECT_EQ(none.failure, "threads 8, batch_size 16: refused");
}

TEST(Search, AStopDecidesNothing) {
  const Space space = UsualSpace();
  SimulatedMachine machine;
  machine.factors = {{"threads 4", 0.5}};
  SimulatedMeasuring measuring(space, machine, 3);
  measuring.stop_after = 12;
  EXPECT_EQ(Tune(space, measuring).ending, Ending::kStopped);
  EXPECT_EQ(measuring.trials, 12);
}

// Four minutes where whole answers take half a minute: too little for all, enough for what matters most.
TEST(Search, AShortTimeGoesToTheFirstKnobs) {
  const Space space = UsualSpace();
  SimulatedMachine machine;
  machine.full_s = 30;
  machine.start_s = 3;
  machine.factors = {{"threads 1", 1.8}, {"threads 4", 0.75}};
  SimulatedMeasuring measuring(space, machine, 2);
  const Outcome outcome = Tune(space, measuring, 240);
  EXPECT_LE(measuring.spent_s, 240);
  EXPECT_EQ(outcome.knobs[0].arms[0].says, Says::kSlower);
  EXPECT_EQ(space.TextOf(outcome.chosen), "threads 4");
}

TEST(Search, ANoisyMachineGetsMoreRounds) {
  const Space space = UsualSpace();
  const auto most_rounds = [&](double noise) {
    size_t most = 0;
    for (uint64_t seed = 0; seed < 20; ++seed) {
      SimulatedMachine machine;
      machine.full_s = 2;
      machine.noise = noise;
      machine.drift = 0;
      machine.factors = {{"threads 4", 0.94}};
      SimulatedMeasuring measuring(space, machine, seed);
      most = std::max(most, Tune(space, measuring, 3600).knobs[0].arms[1].pairs.rounds());
    }
    return most;
  };
  EXPECT_EQ(most_rounds(0.005), 6u);
  EXPECT_GT(most_rounds(0.06), 10u);
}

TEST(Race, PairsFarApartDecideEarlyAndAFinalComparisonNever) {
  const Pairs slow{{2, 2}, {1, 1}};
  const Pairs fast{{1, 1}, {2, 2}};
  EXPECT_EQ(Judge(slow, Bar{}), Says::kSlower);
  EXPECT_EQ(Judge(fast, Bar{}), Says::kFaster);
  EXPECT_FALSE(JudgeFinally(fast, Bar{}).has_value());
  const Pairs eight{std::vector<double>(8, 1), std::vector<double>(8, 2)};
  EXPECT_EQ(JudgeFinally(eight, Bar{}), Says::kFaster);
  const Pairs little{std::vector<double>(8, 99), std::vector<double>(8, 100)};  // beyond noise, but worth nothing
  EXPECT_NE(Judge(little, Bar{}), Says::kFaster);
  EXPECT_NE(JudgeFinally(little, Bar{}), Says::kFaster);
}

}  // namespace
}  // namespace tenfold::tune
