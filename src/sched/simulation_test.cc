#include "sched/simulation.h"

#include <gtest/gtest.h>

#include <random>

namespace tenfold::sched {
namespace {

struct Outcome {
  uint64_t hash = 0;
  int64_t finished = 0;
  int64_t preemptions = 0;
  int64_t adopted = 0;
  int64_t evictions = 0;
  int64_t steps = 0;
};

// One random life of a server: limits, pool and load drawn from the seed, `steps` steps of traffic, then until empty.
Outcome Live(uint64_t seed, int64_t steps) {
  std::mt19937_64 random(seed);
  const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
  const auto chance = [&](int64_t one_in) { return below(one_in) == 0; };
  const Limits limits{.max_running = 1 + below(chance(4) ? 24 : 10),
                      .max_step_tokens = 1 + below(chance(3) ? 6 : 64),
                      .max_context = 16 + below(240),
                      .max_scored_tokens = 1 + below(chance(2) ? 4 : 40),
                      .prefix_cache = !chance(8),
                      .key_seed = random()};
  const auto pages = static_cast<int32_t>(1 + below(chance(2) ? 8 : 40));
  const int64_t arrival_one_in = 1 + below(chance(2) ? 5 : 30);
  const int64_t stop_one_in = chance(3) ? 10 : 1000;
  const uint64_t texts = chance(2) ? 13 : 400;
  const uint64_t salts = chance(3) ? 3 : 1;
  const int64_t tenants = chance(2) ? 1 : 2 + below(4);
  Simulation simulation(limits, pages, tenants);
  Outcome outcome;
  std::string wrong;
  const auto step = [&] {
    wrong = simulation.Step([&](SeqId) { return chance(stop_one_in); });
    ++outcome.steps;
  };
  for (int64_t i = 0; i < steps && wrong.empty(); ++i) {
    if (chance(arrival_one_in) && simulation.scheduler().waiting() < 30) {
      // Mostly what fits, sometimes too long, sometimes nothing but a prompt.
      const int64_t longest = std::min<int64_t>(limits.max_context, int64_t{pages} * 16);
      // One draw a statement: a compiler may choose the order of those in one expression, and a seed would not travel.
      const int64_t parts = chance(2) ? 8 : 1;
      const int64_t prompt_below = chance(20) ? 2 * longest : longest;
      const int64_t prompt = 1 + below(prompt_below) / parts;
      const int64_t max_new = below(std::max<int64_t>(1, longest - prompt) + 2);
      wrong = simulation.Arrive({.prompt = prompt,
                                 .max_new = chance(10) ? 0 : max_new,
                                 .scores_prompt = chance(8),
                                 .uses_cache = !chance(10),
                                 .text = random() % texts,
                                 .salt = random() % salts,
                                 .tenant = static_cast<TenantId>(below(tenants))});
    }
    if (wrong.empty() && chance(40)) wrong = simulation.Cancel(random());
    if (wrong.empty() && chance(60)) wrong = simulation.Truncate(random(), random());
    if (wrong.empty()) step();
  }
  while (wrong.empty() && !simulation.scheduler().empty()) step();
  EXPECT_EQ(wrong, "") << "seed " << seed << ", step " << outcome.steps;
  EXPECT_EQ(simulation.scheduler().pages().used(), 0) << "seed " << seed;
  outcome.hash = simulation.plan_hash();
  outcome.finished = simulation.finished();
  outcome.preemptions = simulation.preemptions();
  outcome.adopted = simulation.adopted_tokens();
  outcome.evictions = static_cast<int64_t>(simulation.scheduler().pages().evictions());
  return outcome;
}

TEST(Simulation, HundredThousandRandomStepsKeepEveryPromise) {
  int64_t steps = 0;
  int64_t finished = 0;
  int64_t preemptions = 0;
  int64_t adopted = 0;
  int64_t evictions = 0;
  for (uint64_t seed = 1; steps < 100'000; ++seed) {
    const Outcome outcome = Live(seed, 500);
    steps += outcome.steps;
    finished += outcome.finished;
    preemptions += outcome.preemptions;
    adopted += outcome.adopted;
    evictions += outcome.evictions;
    if (HasFailure()) return;
  }
  // The load must be one that reaches the interesting places.
  EXPECT_GT(finished, 1'000);
  EXPECT_GT(preemptions, 300);
  EXPECT_GT(adopted, 15'000);
  EXPECT_GT(evictions, 1'000);
}

TEST(Simulation, SameSeedSamePlans) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    EXPECT_EQ(Live(seed, 300).hash, Live(seed, 300).hash);
    EXPECT_NE(Live(seed, 300).hash, Live(seed + 1, 300).hash);
  }
}

// Many sequences that all grow to the pool's size: the worst case for preemption. Recomputing must stay a small part of
// the work, or the scheduler thrashes.
TEST(Simulation, ScarcePagesDoNotMakeItThrash) {
  Simulation simulation({.max_running = 8, .max_step_tokens = 64, .max_context = 256}, 24);
  int64_t useful = 0;
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(simulation.Arrive({.prompt = 32, .max_new = 224, .text = static_cast<uint64_t>(12 * i + 4)}), "");
    useful += 256;
  }
  while (!simulation.scheduler().empty()) ASSERT_EQ(simulation.Step([](SeqId) { return false; }), "");
  EXPECT_EQ(simulation.finished(), 40);
  EXPECT_GT(simulation.preemptions(), 0);
  EXPECT_LT(simulation.computed_tokens(), useful * 2);
}

// What A sends, and how long ago, does not keep B waiting: with all places taken by A it gets one at once, and its work
// is done in a step each, beside A's.
TEST(Simulation, OneRequestIsNotKeptWaitingByFortyOfAnother) {
  Simulation simulation({.max_running = 10, .max_step_tokens = 512, .max_context = 256}, 400, 2);
  for (uint64_t i = 0; i < 40; ++i) {
    ASSERT_EQ(simulation.Arrive({.prompt = 20, .max_new = 60, .text = 12 * i + 4, .tenant = 0}), "");
  }
  for (int i = 0; i < 5; ++i) ASSERT_EQ(simulation.Step([](SeqId) { return false; }), "");
  ASSERT_EQ(simulation.Arrive({.prompt = 20, .max_new = 30, .text = 1000, .tenant = 1}), "");
  const SeqId b = 41;
  // A step until more was done for A, some for the prompt, 29 for the rest; a single one of A's takes 60.
  int steps = 0;
  const auto runs = [&] {
    const std::vector<SeqId> running = simulation.scheduler().Running();
    return std::find(running.begin(), running.end(), b) != running.end();
  };
  do {
    ASSERT_EQ(simulation.Step([](SeqId) { return false; }), "") << steps;
    ++steps;
  } while (steps < 2 || runs());
  EXPECT_LE(steps, 40);
  EXPECT_EQ(simulation.finished(), 1);
  EXPECT_EQ(simulation.preemptions(), 1);
  while (!simulation.scheduler().empty()) ASSERT_EQ(simulation.Step([](SeqId) { return false; }), "");
  EXPECT_EQ(simulation.finished(), 41);
  EXPECT_EQ(simulation.preemptions(), 1);
}

// New prompts in every step, more than can ever be served: those that were there first finish all the same.
TEST(Simulation, FloodOfNewPromptsStarvesNobody) {
  Simulation simulation({.max_running = 4, .max_step_tokens = 3, .max_context = 64}, 16);
  for (int i = 0; i < 1'000; ++i) {
    ASSERT_EQ(simulation.Arrive({.prompt = 1 + i % 40, .max_new = i % 7, .text = static_cast<uint64_t>(i)}), "");
    ASSERT_EQ(simulation.Step([](SeqId) { return false; }), "") << i;
  }
  EXPECT_GT(simulation.finished(), 100);
}

}  // namespace
}  // namespace tenfold::sched
