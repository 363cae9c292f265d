#include "sched/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace tenfold::sched {
namespace {

using testing::ElementsAre;

// (seq, first_position, count, logits_from) of each row.
using Row = std::tuple<SeqId, int64_t, int64_t, int64_t>;
std::vector<Row> Rows(const StepPlan& plan) {
  std::vector<Row> rows;
  for (const PlanRow& r : plan.rows) rows.emplace_back(r.seq, r.first_position, r.count, r.logits_from);
  return rows;
}

// Prompts of different sequences begin with different tokens, so that nothing is shared unless a test means it.
Admission Add(Scheduler& scheduler, SeqId seq, int64_t prompt_tokens, int64_t max_new, bool scores_prompt = false) {
  std::vector<int32_t> prompt(static_cast<size_t>(prompt_tokens));
  for (size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<int32_t>(seq * 10'000) + static_cast<int32_t>(i);
  return scheduler.Add(seq, {.prompt = prompt, .max_new_tokens = max_new, .scores_prompt = scores_prompt});
}

// Plans, commits, and appends a token to every sequence that reached its last known one.
StepPlan Step(Scheduler& scheduler) {
  StepPlan plan = scheduler.Plan();
  scheduler.Commit(plan);
  for (const PlanRow& row : plan.rows) {
    const SequenceView view = scheduler.View(row.seq);
    if (view.computed_tokens == view.known_tokens) scheduler.AppendToken(row.seq, 7);
  }
  EXPECT_EQ(scheduler.CheckIntegrity(), "");
  return plan;
}

TEST(Scheduler, OnePromptGoesInChunksThenTokenByToken) {
  Scheduler scheduler({.max_running = 2, .max_step_tokens = 10, .max_context = 100}, 10);
  EXPECT_TRUE(scheduler.empty());
  EXPECT_TRUE(scheduler.Plan().rows.empty());
  ASSERT_EQ(Add(scheduler, 7, 25, 5), Admission::kQueued);
  EXPECT_EQ(scheduler.waiting(), 1);
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(7, 0, 10, 10)));
  EXPECT_EQ(scheduler.running(), 1);
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(7, 10, 10, 20)));
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(7, 20, 5, 24)));
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(7, 25, 1, 25)));
  EXPECT_EQ(scheduler.View(7).known_tokens, 27);
  EXPECT_EQ(scheduler.View(7).pages.size(), 2u);
  scheduler.Remove(7);
  EXPECT_TRUE(scheduler.empty());
  EXPECT_EQ(scheduler.pages().used(), 0);
}

TEST(Scheduler, AScoredPromptGivesEveryPositionsLogitsInSmallChunks) {
  Scheduler scheduler({.max_running = 2, .max_step_tokens = 20, .max_context = 100, .max_scored_tokens = 6}, 10);
  ASSERT_EQ(Add(scheduler, 1, 10, 5, true), Admission::kQueued);
  ASSERT_EQ(Add(scheduler, 2, 4, 5, true), Admission::kQueued);
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(1, 0, 6, 0)));
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(1, 6, 4, 6), Row(2, 0, 2, 0)));
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(1, 10, 1, 10), Row(2, 2, 2, 2)));
  // Computed again, only what is still wanted gives logits, and the limit is the step's.
  scheduler.Truncate(1, 0);
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(2, 4, 1, 4), Row(1, 0, 12, 11)));
}

TEST(Scheduler, SingleTokensComeBeforeChunksOfOlderPrompts) {
  Scheduler scheduler({.max_running = 3, .max_step_tokens = 8, .max_context = 100}, 30);
  Add(scheduler, 1, 30, 5);
  Add(scheduler, 2, 2, 5);
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(1, 0, 6, 6), Row(2, 0, 2, 1)));
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(2, 2, 1, 2), Row(1, 6, 7, 13)));
  Add(scheduler, 3, 30, 5);
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(2, 3, 1, 3), Row(1, 13, 7, 20))) << "nearer to its end, and older";
}

TEST(Scheduler, MoreSequencesThanTokensTakeTurns) {
  Scheduler scheduler({.max_running = 5, .max_step_tokens = 2, .max_context = 100}, 30);
  for (SeqId seq = 1; seq <= 5; ++seq) Add(scheduler, seq, 1, 50);
  std::map<SeqId, int> turns;
  for (int i = 0; i < 50; ++i) {
    for (const PlanRow& row : Step(scheduler).rows) ++turns[row.seq];
  }
  for (SeqId seq = 1; seq <= 5; ++seq) EXPECT_EQ(turns[seq], 20) << seq;
}

TEST(Scheduler, NeverFitsComparesTheWholeRequestWithContextAndPool) {
  Scheduler scheduler({.max_running = 2, .max_step_tokens = 8, .max_context = 100}, 4);
  EXPECT_EQ(Add(scheduler, 1, 64, 1), Admission::kNeverFits);  // 65 tokens need a fifth page
  EXPECT_EQ(Add(scheduler, 1, 90, 11), Admission::kNeverFits);
  EXPECT_EQ(Add(scheduler, 1, 1, std::numeric_limits<int64_t>::max()), Admission::kNeverFits);
  EXPECT_TRUE(scheduler.empty());
  EXPECT_EQ(Add(scheduler, 1, 63, 1), Admission::kQueued);
}

TEST(Scheduler, WaitsInOrderEvenIfALaterOneWouldFit) {
  Scheduler scheduler({.max_running = 3, .max_step_tokens = 100, .max_context = 100}, 4);
  Add(scheduler, 1, 33, 0);
  Add(scheduler, 2, 33, 0);  // does not fit beside 1
  Add(scheduler, 3, 1, 0);   // would
  EXPECT_THAT(Rows(scheduler.Plan()), ElementsAre(Row(1, 0, 33, 32)));
  EXPECT_EQ(scheduler.waiting(), 2);
  scheduler.Remove(1);
  EXPECT_THAT(Rows(scheduler.Plan()), ElementsAre(Row(3, 0, 1, 0), Row(2, 0, 33, 32)));
}

TEST(Scheduler, YoungestIsPreemptedAndComesBackFirstInTheQueue) {
  Scheduler scheduler({.max_running = 2, .max_step_tokens = 100, .max_context = 64}, 4);
  Add(scheduler, 1, 16, 48);
  Add(scheduler, 2, 1, 30);
  while (scheduler.View(2).computed_tokens < 16) Step(scheduler);  // both now have two pages, the pool is empty
  ASSERT_EQ(scheduler.View(1).known_tokens, 32);
  ASSERT_EQ(scheduler.View(2).known_tokens, 17);
  Step(scheduler);
  ASSERT_EQ(scheduler.pages().available(), 0);
  Add(scheduler, 3, 1, 1);
  const StepPlan plan = Step(scheduler);  // 1 crosses into its third page
  EXPECT_THAT(plan.preempted, ElementsAre(2));
  EXPECT_THAT(Rows(plan), ElementsAre(Row(1, 32, 1, 32)));
  EXPECT_FALSE(scheduler.View(2).running);
  EXPECT_EQ(scheduler.View(2).computed_tokens, 0);
  EXPECT_EQ(scheduler.View(2).known_tokens,
            18);  // sampled tokens stay known: they are computed again, not sampled again
  scheduler.Remove(1);
  // 2 is older than 3: it comes back first, and wants logits only for its last known token. Its full page was not
  // needed meanwhile, so only what was behind it is computed again.
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(3, 0, 1, 0), Row(2, 16, 2, 17)));
}

TEST(Scheduler, NotOnlyTheOldestTakesFromTheYoungest) {
  Scheduler scheduler({.max_running = 3, .max_step_tokens = 100, .max_context = 64}, 5);
  Add(scheduler, 1, 1, 31);   // two pages to the end
  Add(scheduler, 2, 15, 33);  // its third page is due at position 32
  Add(scheduler, 3, 1, 30);
  for (int i = 0; i < 18; ++i) ASSERT_TRUE(Step(scheduler).preempted.empty());
  ASSERT_EQ(scheduler.running(), 3);
  ASSERT_EQ(scheduler.View(2).computed_tokens, 32);
  const StepPlan plan = Step(scheduler);
  EXPECT_THAT(plan.preempted, ElementsAre(3));
  EXPECT_THAT(Rows(plan), ElementsAre(Row(1, 18, 1, 18), Row(2, 32, 1, 32)));
}

TEST(Scheduler, YoungestShortOfPagesKeepsItsOwnAndWaits) {
  Scheduler scheduler({.max_running = 2, .max_step_tokens = 100, .max_context = 64}, 3);
  Add(scheduler, 1, 17, 15);  // two pages to the end
  Add(scheduler, 2, 10, 20);  // admitted with one, will want a second
  for (int i = 0; i < 7; ++i) Step(scheduler);
  ASSERT_EQ(scheduler.View(2).computed_tokens, 16);
  const StepPlan plan = Step(scheduler);
  EXPECT_THAT(Rows(plan), ElementsAre(Row(1, 23, 1, 23)));
  EXPECT_TRUE(plan.preempted.empty());
  EXPECT_EQ(scheduler.View(2).computed_tokens, 16);
  scheduler.Remove(1);
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(2, 16, 1, 16)));
}

TEST(Scheduler, NoTurnIsWastedOnASequenceWithoutPages) {
  Scheduler scheduler({.max_running = 2, .max_step_tokens = 1, .max_context = 64}, 3);
  Add(scheduler, 1, 17, 15);  // two pages to the end
  Add(scheduler, 2, 10, 20);  // admitted with one, will want a second
  while (scheduler.View(2).computed_tokens < 16) ASSERT_EQ(Step(scheduler).tokens, 1);
  for (int i = 0; i < 5; ++i) {
    const StepPlan plan = Step(scheduler);
    ASSERT_EQ(plan.rows.size(), 1u);
    EXPECT_EQ(plan.rows[0].seq, 1);
  }
}

TEST(Scheduler, TruncatedTokensAreComputedAgain) {
  Scheduler scheduler({.max_running = 2, .max_step_tokens = 100, .max_context = 100}, 8);
  Add(scheduler, 1, 40, 5);
  Step(scheduler);
  scheduler.Truncate(1, 36);
  EXPECT_EQ(scheduler.View(1).pages.size(), 3u);
  EXPECT_EQ(scheduler.CheckIntegrity(), "");
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(1, 36, 5, 40)));
}

TEST(Scheduler, RowsOfCancelledSequencesAreIgnoredInCommit) {
  Scheduler scheduler({.max_running = 2, .max_step_tokens = 100, .max_context = 100}, 8);
  Add(scheduler, 1, 4, 5);
  Add(scheduler, 2, 4, 5);
  const StepPlan plan = scheduler.Plan();
  scheduler.Remove(1);
  scheduler.Commit(plan);
  EXPECT_EQ(scheduler.View(2).computed_tokens, 4);
  EXPECT_EQ(scheduler.CheckIntegrity(), "");
}

TEST(Scheduler, PlanWithoutCommitIsTheSameAgain) {
  Scheduler scheduler({.max_running = 2, .max_step_tokens = 10, .max_context = 100}, 8);
  Add(scheduler, 1, 24, 5);
  EXPECT_EQ(Rows(scheduler.Plan()), Rows(scheduler.Plan()));
}

// A 4B model on two cores, as measured (docs/performance.md): milliseconds of a step.
double MeasuredMs(const StepPlan& plan) {
  double n = 0;
  double reads = 0;
  for (const PlanRow& row : plan.rows) {
    n += static_cast<double>(row.count);
    reads += static_cast<double>(row.count) * (static_cast<double>(row.first_position) + row.count / 2.0);
  }
  return (n <= 3 ? 78 : n <= 32 ? 78 + (n - 3) * 13 : 455 + (n - 32) * 10.3) + 0.0045 * reads;
}

double TimedStep(Scheduler& scheduler, StepPlan* plan = nullptr) {
  const StepPlan made = Step(scheduler);
  const double ms = MeasuredMs(made);
  scheduler.Observe(made, ms);
  if (plan != nullptr) *plan = made;
  return ms;
}

// The promise of issue and header in one: nine streams, then a prompt of 2,000 tokens, first as a stranger to the cost
// model and then with what it has learnt.
TEST(Scheduler, ALongPromptNeverStopsRunningStreams) {
  Scheduler scheduler({.max_running = 10, .max_step_tokens = 512, .max_context = 4096}, 2000);
  for (SeqId seq = 1; seq <= 9; ++seq) Add(scheduler, seq, 80, 3000);
  while (scheduler.View(9).known_tokens < 90) TimedStep(scheduler);
  for (SeqId seq = 10; seq <= 12; ++seq) {
    std::vector<double> alone;
    for (int i = 0; i < 9; ++i) alone.push_back(TimedStep(scheduler));
    Add(scheduler, seq, 2000, 5);
    double sum = 0;
    double longest = 0;
    while (scheduler.View(seq).known_tokens == 2000) {
      StepPlan plan;
      const double ms = TimedStep(scheduler, &plan);
      ASSERT_EQ(plan.rows.size(), 10u) << "every stream gets its token in every step";
      longest = std::max(longest, ms);
      sum += ms;
    }
    EXPECT_LE(longest, 3 * alone[4]) << "prompt " << seq;
    EXPECT_LT(sum, 70'000) << "and the prompt gets done: alone it takes 21 s, and the streams' own tokens are in this";
    scheduler.Remove(seq);
  }
}

// What a long prompt would get beside streams is less when the machine is slow for a moment, and when predictions err.
TEST(Scheduler, PromptsPayFirstWhenStepsTakeLongerThanUsual) {
  Scheduler scheduler({.max_running = 10, .max_step_tokens = 512, .max_context = 4096}, 2000);
  for (SeqId seq = 1; seq <= 9; ++seq) Add(scheduler, seq, 80, 3000);
  Add(scheduler, 10, 1000, 5);
  while (scheduler.View(10).known_tokens == 1000) TimedStep(scheduler);
  StepCost streams;
  for (int i = 0; i < 9; ++i) streams.AddRow(200, 1);
  const auto within = [&] {
    StepCost mixed = streams;
    mixed.AddRow(0, scheduler.PromptTokensBeside(streams, 0));
    return scheduler.cost_model().PredictMs(mixed) / scheduler.cost_model().PredictMs(streams);
  };
  const double usual = within();
  EXPECT_GT(usual, 1.9);
  EXPECT_LT(usual, 2.5);
  const int64_t tokens = scheduler.PromptTokensBeside(streams, 0);
  for (int i = 0; i < 4; ++i) {
    const StepPlan plan = Step(scheduler);
    scheduler.Observe(plan, 1.5 * MeasuredMs(plan));
  }
  EXPECT_LT(within() * 1.5, usual + 0.3) << "of the usual step";
  EXPECT_LT(scheduler.PromptTokensBeside(streams, 0), tokens);
}

TEST(Scheduler, AShortPromptIsNotStuckBehindALongOneNorTheLongBehindShortOnes) {
  Scheduler scheduler({.max_running = 10, .max_step_tokens = 512, .max_context = 4096}, 2000);
  Add(scheduler, 1, 40, 1);
  TimedStep(scheduler);
  scheduler.Remove(1);
  Add(scheduler, 2, 3000, 1);
  for (int i = 0; i < 5; ++i) TimedStep(scheduler);
  Add(scheduler, 3, 50, 1);
  double waited = 0;
  while (scheduler.View(3).known_tokens == 50) waited += TimedStep(scheduler);
  EXPECT_LT(waited, 2 * 2100) << "the step under way and its own";
  scheduler.Remove(3);
  // Short ones without end: the long one still gets half of every step.
  SeqId next = 4;
  double took = 0;
  while (scheduler.View(2).known_tokens == 3000) {
    while (scheduler.running() + scheduler.waiting() < 8) Add(scheduler, next++, 100, 1);
    StepPlan plan;
    took += TimedStep(scheduler, &plan);
    for (const PlanRow& row : plan.rows) {
      if (row.seq != 2 && scheduler.View(row.seq).known_tokens == 101) scheduler.Remove(row.seq);
    }
  }
  EXPECT_GT(next, 20) << "the flood was real";
  EXPECT_LT(took, 2.5 * 3000 * 12) << "twice as long as alone";
}

TEST(Scheduler, WithoutStreamsAStepIsAsLongAsAnArrivalMayWait) {
  Scheduler scheduler({.max_running = 10, .max_step_tokens = 4096, .max_context = 8000}, 2000);
  Add(scheduler, 1, 500, 1);
  TimedStep(scheduler);
  scheduler.Remove(1);
  Add(scheduler, 2, 6000, 1);
  int steps = 0;
  while (scheduler.View(2).known_tokens == 6000) {
    StepPlan plan;
    const double ms = TimedStep(scheduler, &plan);
    EXPECT_LT(ms, 2500);
    if (++steps > 3 && scheduler.View(2).known_tokens == 6000) {
      EXPECT_GT(ms, 1200);
    }
  }
}

// A prompt of `tokens` tokens whose first `common` are everybody's.
std::vector<int32_t> Alike(int64_t common, int64_t tokens, int32_t own) {
  std::vector<int32_t> prompt(static_cast<size_t>(tokens), own);
  for (int64_t i = 0; i < common; ++i) prompt[static_cast<size_t>(i)] = static_cast<int32_t>(i) + 100;
  return prompt;
}

TEST(Scheduler, ALaterSequenceTakesTheFullPagesOfItsBeginning) {
  Scheduler scheduler({.max_running = 4, .max_step_tokens = 100, .max_context = 100}, 20);
  scheduler.Add(1, {.prompt = Alike(40, 50, 1), .max_new_tokens = 5});
  Step(scheduler);
  scheduler.Add(2, {.prompt = Alike(40, 50, 2), .max_new_tokens = 5});  // beside the first
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(1, 50, 1, 50), Row(2, 32, 18, 49)));
  EXPECT_EQ(scheduler.View(1).pages[1], scheduler.View(2).pages[1]);
  EXPECT_NE(scheduler.View(1).pages[2], scheduler.View(2).pages[2]);
  scheduler.Remove(1);
  scheduler.Remove(2);
  EXPECT_EQ(scheduler.pages().used(), 0);
  EXPECT_EQ(scheduler.pages().idle(), 4) << "two that both had, one full one of each";
  scheduler.Add(3, {.prompt = Alike(40, 49, 2), .max_new_tokens = 5});  // after both: 2's third page too
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(3, 48, 1, 48)));
  scheduler.Add(4, {.prompt = Alike(40, 48, 2), .max_new_tokens = 5});  // one less: the last token must be computed
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(3, 49, 1, 49), Row(4, 32, 16, 47)));
}

TEST(Scheduler, NothingIsTakenAcrossSaltsNorWithoutPermission) {
  Scheduler scheduler({.max_running = 9, .max_step_tokens = 500, .max_context = 100}, 60);
  const auto prompt = Alike(40, 40, 0);
  scheduler.Add(1, {.prompt = prompt, .max_new_tokens = 1, .cache_salt = "a"});
  scheduler.Add(2, {.prompt = prompt, .max_new_tokens = 1, .uses_cache = false});
  Step(scheduler);
  scheduler.Remove(1);
  scheduler.Remove(2);
  scheduler.Add(3, {.prompt = prompt, .max_new_tokens = 1, .cache_salt = "b"});
  scheduler.Add(4, {.prompt = prompt, .max_new_tokens = 1});  // 2 left nothing there
  scheduler.Add(5, {.prompt = prompt, .max_new_tokens = 1, .uses_cache = false, .cache_salt = "a"});
  scheduler.Add(6, {.prompt = prompt, .max_new_tokens = 1, .scores_prompt = true, .cache_salt = "a"});
  scheduler.Add(7, {.prompt = prompt, .max_new_tokens = 1, .cache_salt = "a"});
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(3, 0, 40, 39), Row(4, 0, 40, 39), Row(5, 0, 40, 39),
                                                 Row(6, 0, 40, 0), Row(7, 32, 8, 39)));
  Scheduler without({.max_running = 2, .max_step_tokens = 100, .max_context = 100, .prefix_cache = false}, 20);
  without.Add(1, {.prompt = prompt, .max_new_tokens = 1});
  Step(without);
  without.Remove(1);
  without.Add(2, {.prompt = prompt, .max_new_tokens = 1});
  EXPECT_THAT(Rows(Step(without)), ElementsAre(Row(2, 0, 40, 39)));
}

// Ten prompts of one beginning that arrive at once: each token of it is computed once, whoever does it.
TEST(Scheduler, AColdWaveComputesItsCommonBeginningOnce) {
  Scheduler scheduler({.max_running = 10, .max_step_tokens = 24, .max_context = 200}, 200);
  for (SeqId seq = 1; seq <= 10; ++seq) {
    scheduler.Add(seq, {.prompt = Alike(96, 110, static_cast<int32_t>(seq)), .max_new_tokens = 1});
  }
  std::map<int64_t, int> times;  // position -> how often it was computed
  while (true) {
    const StepPlan plan = Step(scheduler);
    if (plan.rows.empty()) break;
    for (const PlanRow& row : plan.rows) {
      for (int64_t p = row.first_position; p < row.first_position + row.count; ++p) ++times[p];
      if (scheduler.View(row.seq).known_tokens == 111) scheduler.Remove(row.seq);
    }
  }
  for (int64_t p = 0; p < 96; ++p) EXPECT_EQ(times[p], 1) << "position " << p;
  for (int64_t p = 96; p < 110; ++p) EXPECT_EQ(times[p], 10) << "position " << p;
}

// A short request whose beginning a long one is computing is served as the short one it is.
TEST(Scheduler, WhoWaitsForAPageLendsItsRank) {
  Scheduler scheduler({.max_running = 4, .max_step_tokens = 32, .max_context = 900}, 200);
  Add(scheduler, 1, 800, 1);                                             // the oldest
  scheduler.Add(2, {.prompt = Alike(32, 700, 2), .max_new_tokens = 1});  // makes the pages that
  Add(scheduler, 3, 100, 1);                                             // (of middling length)
  scheduler.Add(4, {.prompt = Alike(32, 40, 4), .max_new_tokens = 1});   // this one needs
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(1, 0, 16, 16), Row(2, 0, 16, 16)));
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(1, 16, 16, 32), Row(2, 16, 16, 32)));
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(1, 32, 16, 48), Row(3, 0, 8, 8), Row(4, 32, 8, 39)));
}

TEST(Scheduler, WhoWaitsForAPageGoesOnWhenItsMakerIsCancelled) {
  Scheduler scheduler({.max_running = 3, .max_step_tokens = 20, .max_context = 100}, 30);
  scheduler.Add(1, {.prompt = Alike(60, 60, 0), .max_new_tokens = 1});
  scheduler.Add(2, {.prompt = Alike(60, 64, 0), .max_new_tokens = 1});
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(1, 0, 20, 20)));
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(1, 20, 20, 40)));
  scheduler.Remove(1);
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(2, 32, 20, 52)));
}

// A prompt that is scored is slower than those that only want its pages, so nobody waits for it.
TEST(Scheduler, NobodyWaitsForAScoredPrompt) {
  Scheduler scheduler({.max_running = 3, .max_step_tokens = 50, .max_context = 100, .max_scored_tokens = 5}, 30);
  scheduler.Add(1, {.prompt = Alike(40, 40, 0), .max_new_tokens = 5, .scores_prompt = true});
  scheduler.Add(2, {.prompt = Alike(40, 40, 0), .max_new_tokens = 5});
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(1, 0, 5, 0), Row(2, 0, 40, 39)));
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(2, 40, 1, 40), Row(1, 5, 5, 5))) << "its logits are wanted";
}

TEST(Scheduler, IdlePagesAreEvictedBeforeAnybodyIsPreempted) {
  Scheduler scheduler({.max_running = 2, .max_step_tokens = 100, .max_context = 100}, 6);
  scheduler.Add(1, {.prompt = Alike(64, 64, 0), .max_new_tokens = 1});
  Step(scheduler);
  scheduler.Remove(1);
  EXPECT_EQ(scheduler.pages().idle(), 4);
  Add(scheduler, 2, 70, 1);
  const StepPlan plan = Step(scheduler);
  EXPECT_THAT(Rows(plan), ElementsAre(Row(2, 0, 70, 69)));
  EXPECT_TRUE(plan.preempted.empty());
  scheduler.Remove(2);
  // Of the first one's pages the last ones went, so that its beginning is still of use.
  scheduler.Add(3, {.prompt = Alike(64, 65, 0), .max_new_tokens = 1});
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(3, 16, 49, 64)));
}

TEST(Scheduler, TruncationGivesUpWhatItMayNotWriteAgain) {
  Scheduler scheduler({.max_running = 2, .max_step_tokens = 100, .max_context = 100}, 8);
  scheduler.Add(1, {.prompt = Alike(40, 40, 0), .max_new_tokens = 5});
  Step(scheduler);
  scheduler.Truncate(1, 20);
  EXPECT_EQ(scheduler.View(1).computed_tokens, 16);
  EXPECT_EQ(scheduler.CheckIntegrity(), "");
  EXPECT_THAT(Rows(Step(scheduler)), ElementsAre(Row(1, 32, 9, 40))) << "and takes its own page back";
}

// One token a step, and whose turn it is (2) needs a page when all are taken: it preempts 3, all of whose pages it
// holds itself, and has gained nothing. The step is another's then, not empty.
TEST(Scheduler, AStepIsNotEmptyWhenWhoHadTheTurnPreemptedForNothing) {
  Scheduler scheduler({.max_running = 3, .max_step_tokens = 1, .max_context = 100}, 5);
  Add(scheduler, 1, 1, 60);
  for (const SeqId seq : {2, 3}) scheduler.Add(seq, {.prompt = std::vector<int32_t>{8}, .max_new_tokens = 40});
  int preempted = 0;
  for (int i = 0; i < 120; ++i) {
    const StepPlan plan = Step(scheduler);
    ASSERT_EQ(plan.rows.size(), 1u) << "step " << i;
    preempted += static_cast<int>(plan.preempted.size());
  }
  EXPECT_GT(preempted, 0);
}

TEST(SchedulerDeathTest, MisuseIsABug) {
  Scheduler scheduler({.max_running = 2, .max_step_tokens = 10, .max_context = 100}, 8);
  Add(scheduler, 1, 4, 1);
  EXPECT_DEATH(Add(scheduler, 1, 4, 5), "positive and new");
  EXPECT_DEATH(Add(scheduler, 0, 4, 5), "positive and new");
  EXPECT_DEATH(Add(scheduler, 2, 0, 5), "has a prompt");
  EXPECT_DEATH(scheduler.Remove(9), "no such sequence");
  EXPECT_DEATH(scheduler.AppendToken(1, 7), "has not reached");
  EXPECT_DEATH(scheduler.Truncate(1, 1), "more than it has");
  const StepPlan plan = scheduler.Plan();
  scheduler.Commit(plan);
  EXPECT_DEATH(scheduler.Commit(plan), "not the continuation");
  scheduler.AppendToken(1, 7);
  EXPECT_DEATH(scheduler.AppendToken(1, 7), "has not reached");
  scheduler.Commit(scheduler.Plan());
  EXPECT_DEATH(scheduler.AppendToken(1, 7), "beyond");
  Add(scheduler, 5, 15, 2);
  scheduler.Commit(scheduler.Plan());  // a chunk of 10
  EXPECT_DEATH(scheduler.AppendToken(5, 7), "has not reached");
  scheduler.Commit(scheduler.Plan());
  scheduler.Truncate(5, 14);
  EXPECT_DEATH(scheduler.AppendToken(5, 7), "has not reached");
  EXPECT_DEATH(Scheduler({.max_running = 0, .max_step_tokens = 1, .max_context = 1}, 1), "never run");
}

}  // namespace
}  // namespace tenfold::sched
