// The room's tests: the borders of every rule, rules and tables right and wrong, the capacity model by hand.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/src.hpp>

#include "gate/csv.h"
#include "gate/verdict.h"

namespace tenfold::gate {
namespace {

using testing::Contains;
using testing::HasSubstr;

// `runs` runs of `users`, each of whom waits `seconds`; the first `failed` of each run time out instead.
std::string Rows(int users, double seconds, int failed = 0, int runs = 3) {
  std::string out;
  for (int run = 0; run < runs; ++run) {
    for (int user = 0; user < users; ++user) {
      out += user < failed ? fmt::format("{},,timeout,{}\n", users, run)
                           : fmt::format("{},{},ok,{}\n", users, seconds, run);
    }
  }
  return out;
}

Decision JudgeRows(const std::string& rows, const Rules& rules = {}) {
  const auto file = ParseCsv("users,response_s,outcome,run\n" + rows, "figures.csv", 60);
  EXPECT_TRUE(file.ok()) << file.error().message;
  return Judge(*file, 0, rules);
}

constexpr char kOriginal[] =
    "# the report this rule comes from\n"
    "phase,users,response_s,outcome\n"
    "cold,1,53.40,ok\n"
    "users,10,10.10,ok\nusers,10,12.83,ok\nusers,10,15.07,ok\nusers,10,15.16,ok\nusers,10,15.37,ok\n"
    "users,10,15.18,ok\nusers,10,15.40,ok\nusers,10,15.25,ok\nusers,10,15.26,ok\nusers,10,60,timeout\n";

// A server that answers one of ten and drops the rest is fast to that one: nothing about ten users follows from it.
TEST(Capacity, LeavesOutWhomTooFewWereAnswered) {
  const Decision decision = JudgeRows(Rows(1, 2) + Rows(5, 6) + Rows(10, 1, 9));
  EXPECT_EQ(decision.verdict, Verdict::kMigrate);
  ASSERT_TRUE(decision.capacity);
  EXPECT_EQ(decision.capacity->left_out, std::vector<int64_t>{10});
  EXPECT_EQ(decision.capacity->users, 9);  // by 1 s + 1 s a user it would be 11, but ten were asked
  EXPECT_FALSE(decision.capacity->cores_needed);
  EXPECT_THAT(TextOf(*decision.capacity, {}), Contains(HasSubstr("left out of the model: 10 users")));
}

// Failures that the model foresees, as timeouts of users who would have waited longer, leave its answer standing.
TEST(Capacity, SaysWhatTimeoutsWouldNeed) {
  Rules rules;
  rules.cores = 2;
  const Decision decision = JudgeRows(Rows(1, 11) + Rows(5, 43) + Rows(10, 60, 10), rules);
  ASSERT_TRUE(decision.capacity);
  EXPECT_EQ(decision.capacity->users, 1);  // 3 s + 8 s a user
  EXPECT_EQ(decision.capacity->cores_needed, 14);
}

TEST(Judge, NamesTuningAsTheNextStep) {
  EXPECT_THAT(JudgeRows(Rows(1, 2) + Rows(5, 6) + Rows(10, 20)).next_steps,
              Contains(HasSubstr("tenfold tune -m MODEL --users 10")));
}

TEST(Judge, TheOriginalReport) {
  const auto file = ParseCsv(kOriginal, "original.csv", 60);
  ASSERT_TRUE(file.ok()) << file.error().message;
  Rules rules;
  EXPECT_EQ(Judge(*file, 0, rules).verdict, Verdict::kNoEvidence);  // one run
  rules.single_run = true;
  rules.cores = 8;
  const Decision decision = Judge(*file, 0, rules);
  EXPECT_EQ(decision.verdict, Verdict::kConditionalPass);
  EXPECT_THAT(decision.reasons, Contains(HasSubstr("90 % success")));
  EXPECT_THAT(decision.reasons, Contains(HasSubstr("14.40 s, 20 % over 12 s")));
  EXPECT_THAT(decision.reasons, Contains(HasSubstr("best 10.10 s")));
  EXPECT_THAT(decision.reasons, Contains(HasSubstr("single-run")));
  EXPECT_THAT(decision.reasons, Contains(HasSubstr("53.40 s, load included")));
  EXPECT_THAT(decision.missing, Contains(HasSubstr("5 users at once were not measured")));
  ASSERT_TRUE(decision.capacity);
  EXPECT_EQ(decision.capacity->users, 8);
  EXPECT_EQ(decision.capacity->cores_needed, 10);
  EXPECT_NEAR(*decision.capacity->reference_s, 14.40, 0.01);
  const std::string text = TextOf(decision, rules);
  EXPECT_THAT(text, HasSubstr("CONDITIONAL PASS\n"));
  EXPECT_THAT(text, HasSubstr("vllm serve"));
  EXPECT_THAT(text, HasSubstr("error unknown"));
}

TEST(Judge, TimeoutsMigrate) {
  Rules rules;
  EXPECT_EQ(JudgeRows(Rows(10, 1, 10)).verdict, Verdict::kMigrate);
  rules.single_run = true;
  const Decision decision = JudgeRows(Rows(10, 1, 10, 1), rules);
  EXPECT_EQ(decision.verdict, Verdict::kMigrate);
  EXPECT_FALSE(decision.capacity);
  EXPECT_THAT(TextOf(decision, rules), HasSubstr("vllm serve"));
}

TEST(Judge, PassNeedsEveryRule) {
  const std::string five = Rows(5, 6) + Rows(1, 3);
  EXPECT_EQ(JudgeRows(five + Rows(10, 12)).verdict, Verdict::kPass);
  EXPECT_EQ(JudgeRows(five + Rows(10, 12.001)).verdict, Verdict::kMigrate);        // nobody inside the target
  EXPECT_EQ(JudgeRows(five + Rows(10, 9, 1)).verdict, Verdict::kConditionalPass);  // 90 %
  EXPECT_EQ(JudgeRows(five + Rows(10, 9, 2)).verdict, Verdict::kMigrate);          // 80 %
  EXPECT_EQ(JudgeRows(Rows(10, 5)).verdict, Verdict::kConditionalPass);            // five users: not measured
  const Decision fast = JudgeRows(five + Rows(10, 7));
  EXPECT_EQ(fast.verdict, Verdict::kPass);
  EXPECT_THAT(fast.reasons, Contains(HasSubstr("faster than the band")));
  EXPECT_TRUE(fast.missing.empty());
}

TEST(Judge, BordersOfTheConditions) {
  const auto ten = [](double best, double others) {
    std::string rows;
    for (int run = 0; run < 3; ++run) {
      rows += fmt::format("10,{},ok,{}\n", best, run);
      for (int user = 1; user < 10; ++user) rows += fmt::format("10,{},ok,{}\n", others, run);
    }
    return JudgeRows(Rows(5, 6) + rows).verdict;
  };
  EXPECT_EQ(ten(12, (150 - 12.0) / 9), Verdict::kConditionalPass);  // mean 15, the border
  EXPECT_EQ(ten(12, (150.1 - 12.0) / 9), Verdict::kMigrate);
  EXPECT_EQ(ten(12.01, 13), Verdict::kMigrate);  // nobody inside the target
}

TEST(Judge, FiveUsersMustNotBeFelt) {
  EXPECT_EQ(JudgeRows(Rows(10, 9) + Rows(5, 12)).verdict, Verdict::kPass);
  // One of twenty above the target moves p95 a little, two move it over.
  const auto four_runs = [](int slow) {
    std::string rows = Rows(10, 9, 0, 4);
    for (int i = 0; i < 20; ++i) rows += fmt::format("5,{},ok,{}\n", i < slow ? 14 : 6, i / 5);
    return JudgeRows(rows).verdict;
  };
  EXPECT_EQ(four_runs(1), Verdict::kPass);
  EXPECT_EQ(four_runs(2), Verdict::kConditionalPass);
  EXPECT_EQ(JudgeRows(Rows(10, 9) + Rows(5, 6) + "3,6,ok,0\n3,6,ok,0\n3,,timeout,0\n").verdict, Verdict::kMigrate);
  EXPECT_EQ(JudgeRows(Rows(10, 9) + Rows(5, 6) + Rows(8, 50)).verdict, Verdict::kPass);  // eight: no rule
}

TEST(Judge, NoEvidence) {
  const std::string five = Rows(5, 6);
  EXPECT_EQ(JudgeRows(five + Rows(10, 9, 0, 2)).verdict, Verdict::kNoEvidence);
  EXPECT_EQ(JudgeRows(five).verdict, Verdict::kNoEvidence);
  EXPECT_EQ(JudgeRows(five + Rows(10, 9) + "1,2,wrong answer,0\n").verdict, Verdict::kNoEvidence);
  // Two noisy runs, with the count waived and without.
  const auto run = [](double seconds, int number) {
    std::string rows;
    for (int user = 0; user < 10; ++user) rows += fmt::format("10,{},ok,{}\n", seconds, number);
    return rows;
  };
  Rules rules;
  EXPECT_EQ(JudgeRows(five + run(8, 0) + run(14, 1), rules).verdict, Verdict::kNoEvidence);
  rules.single_run = true;
  const Decision noisy = JudgeRows(five + run(8, 0) + run(14, 1), rules);
  EXPECT_EQ(noisy.verdict, Verdict::kNoEvidence);
  EXPECT_THAT(noisy.reasons, Contains(HasSubstr("do not agree")));
  EXPECT_THAT(TextOf(noisy, rules), HasSubstr("bench load"));
  // As far apart, but all on one side; and near the border, but close to one another.
  EXPECT_EQ(JudgeRows(five + run(30, 0) + run(60, 1), rules).verdict, Verdict::kMigrate);
  EXPECT_EQ(JudgeRows(five + run(11.5, 0) + run(12.3, 1), rules).verdict, Verdict::kPass);
}

TEST(Judge, SingleRunWaivesImportedFiguresOnly) {
  auto file = ParseCsv("users,response_s\n" + std::string("10,9\n5,6\n"), "x.csv", 60);
  ASSERT_TRUE(file.ok());
  Rules rules;
  rules.single_run = true;
  EXPECT_EQ(Judge(*file, 0, rules).verdict, Verdict::kPass);
  file->plan.imported = false;
  EXPECT_EQ(Judge(*file, 0, rules).verdict, Verdict::kNoEvidence);
}

TEST(Capacity, LineAndItsError) {
  Rules rules;
  rules.cores = 2;
  const Decision line = JudgeRows(Rows(1, 3) + Rows(5, 7) + Rows(10, 12), rules);  // 2 s + 1 s a user
  ASSERT_TRUE(line.capacity);
  EXPECT_NEAR(line.capacity->fixed_s, 2, 1e-9);
  EXPECT_NEAR(line.capacity->per_user_s, 1, 1e-9);
  EXPECT_NEAR(*line.capacity->error, 0, 1e-9);
  EXPECT_EQ(line.capacity->users, 10);
  EXPECT_EQ(line.capacity->cores_needed, 2);
  EXPECT_NEAR(*line.capacity->reference_s, 3, 1e-9);
  EXPECT_FALSE(line.capacity->tokens_fit);
  const Decision bent = JudgeRows(Rows(1, 3) + Rows(5, 9) + Rows(10, 12), rules);
  EXPECT_GT(*bent.capacity->error, 0.05);
  const Decision flat = JudgeRows(Rows(5, 3) + Rows(10, 3), rules);
  EXPECT_FALSE(flat.capacity->users);
  EXPECT_FALSE(flat.capacity->error);
}

TEST(Capacity, AnswerLength) {
  const auto file = ParseCsv("users,response_s,first_token_s,tokens\n10,16,4,61\n", "x.csv", 60);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(Judge(*file, 0, {}).capacity->tokens_fit, 41);  // 4 s, then 0.2 s a token
  const auto late = ParseCsv("users,response_s,first_token_s,tokens\n10,16,12,61\n", "x.csv", 60);
  EXPECT_EQ(Judge(*late, 0, {}).capacity->tokens_fit, 0);
}

TEST(Rules, ReadsAndRefusesByName) {
  const auto rules = ParseRules("target_s = 10\nusers=20\nevidence = \"single-run\"\noverrun = 1.5\n", "r.toml");
  ASSERT_TRUE(rules.ok()) << rules.error().message;
  EXPECT_EQ(rules->target_s, 10);
  EXPECT_EQ(rules->users, 20);
  EXPECT_TRUE(rules->single_run);
  EXPECT_TRUE(ParseRules("", "r.toml").ok());
  const std::pair<const char*, const char*> wrong[] = {
      {"x y", "r.toml:1"},
      {"\ntarget_z = 1", "r.toml:2: there is no rule 'target_z'; did you mean target_s?"},
      {"users = 1.5", "whole"},
      {"target_s = \"a\"", "target_s"},
      {"least_success = 2", "between 0 and 1"},
      {"evidence = \"few\"", "evidence"},
      {"fast_s = 20", "fast_s"},
      {"users = 3", "degrade_users"},
      {"target_s = nan", "target_s"}};
  for (const auto& [text, part] : wrong) {
    const auto refused = ParseRules(text, "r.toml");
    ASSERT_FALSE(refused.ok()) << text;
    EXPECT_THAT(refused.error().message, HasSubstr(part));
  }
}

TEST(ParseCsv, RefusesByLineAndColumn) {
  const std::pair<const char*, const char*> wrong[] = {{"", "no request"},
                                                       {"users\n", "'response_s'"},
                                                       {"users,response_s,colour\n", "'colour'"},
                                                       {"users,users,response_s\n", "twice"},
                                                       {"users,response_s\n10\n", "x.csv:2: 1 cells"},
                                                       {"users,response_s\n\nx,1\n", "x.csv:3: users"},
                                                       {"users,response_s\n10,-1\n", "response_s"},
                                                       {"users,response_s\n10,\n", "response_s"},
                                                       {"users,response_s\n1.5,3\n", "whole"},
                                                       {"users,response_s,outcome\n1,3,good\n", "outcome"},
                                                       {"users,response_s,phase\n1,3,warm-up\n", "phase"}};
  for (const auto& [text, part] : wrong) {
    const auto file = ParseCsv(text, "x.csv", 60);
    ASSERT_FALSE(file.ok()) << text;
    EXPECT_THAT(file.error().message, HasSubstr(part));
  }
  const auto slow = ParseCsv("users,response_s\n1,61\n", "x.csv", 60);
  EXPECT_FALSE(slow->requests[0].ok());  // longer than anybody waits
}

}  // namespace
}  // namespace tenfold::gate
