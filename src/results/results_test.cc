// The room's tests: records there and back, files right and wrong, figures by hand, comparisons of equals.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/src.hpp>
#include <random>

#include "results/comparison.h"
#include "results/figures.h"
#include "results/result_file.h"

namespace tenfold::results {
namespace {

using testing::HasSubstr;
namespace json = boost::json;

Request Answered(double seconds, int64_t user = 0) {
  Request r;
  r.users = 10;
  r.user = user;
  r.outcome = Outcome::kOk;
  r.http_status = 200;
  r.waited_s = seconds;
  r.first_token_s = seconds / 10;
  r.gaps_ms = {10 * seconds};
  r.tokens = 12;
  r.prompt_tokens = 80;
  return r;
}

Request TimedOut() {
  Request r;
  r.users = 10;
  r.outcome = Outcome::kTimeout;
  r.detail = "no token came";
  r.waited_s = 60.01;
  return r;
}

std::string Line(const json::object& object) { return json::serialize(object) + "\n"; }

std::string SmallFile() {
  std::string text = Line(ManifestLine({{"cpu", "test"}}, Plan{}));
  text += Line(ToJson(Server{0, "http://a", "m", {}}));
  text += Line(ToJson(Answered(2)));
  text += Line(ToJson(Run{.server = 0, .users = 10, .round = 0, .start_s = 0, .wall_s = 2}));
  return text;
}

TEST(Record, ThereAndBack) {
  Request r = Answered(2.5, 3);
  r.retry_after_s = 7;
  r.queued_s = 0.25;
  r.phase = Phase::kRate;
  r.detail = "\"quoted\" 한국어";
  const json::object object = ToJson(r);
  const auto back = RequestFromJson(object);
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(ToJson(*back), object);
  EXPECT_EQ(back->phase, Phase::kRate);
  EXPECT_FALSE(back->prefill_s);
}

TEST(Record, EveryFieldIsNeededAndTyped) {
  const json::object whole = ToJson(Answered(1));
  for (const auto& [key, value] : whole) {
    if (key == "kind") continue;
    json::object without = whole;
    without.erase(key);
    EXPECT_THAT(RequestFromJson(without).error().message, HasSubstr(std::string(key)));
    json::object wrong = whole;
    wrong[key] = json::object{{"x", 1}};
    EXPECT_THAT(RequestFromJson(wrong).error().message, HasSubstr(std::string(key)));
  }
  json::object more = whole;
  more["extra"] = 1;
  EXPECT_THAT(RequestFromJson(more).error().message, HasSubstr("extra"));
  json::object negative = whole;
  negative["waited_s"] = -1;
  EXPECT_FALSE(RequestFromJson(negative).ok());
  json::object outcome = whole;
  outcome["outcome"] = "fine";
  EXPECT_THAT(RequestFromJson(outcome).error().message, HasSubstr("fine"));
}

TEST(ResultFile, ReadsWhatWasWritten) {
  const auto file = ParseResults(SmallFile() + Line(EndLine(false, "0 0 0")), "r.jsonl");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_FALSE(file->interrupted);
  EXPECT_EQ(file->requests.size(), 1u);
  EXPECT_EQ(file->plan.timeout_s, 60);
}

TEST(ResultFile, AnUnfinishedRunCountsNowhere) {
  Request late = Answered(1);
  late.round = 1;
  const auto file = ParseResults(SmallFile() + Line(ToJson(late)) + "{\"kind\":\"requ", "r.jsonl");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_TRUE(file->interrupted);
  EXPECT_EQ(file->requests.size(), 1u);
}

TEST(ResultFile, WrongFilesAreRefusedByLine) {
  const struct {
    std::string text;
    const char* part;
  } cases[] = {{"", "empty"},
               {"hello\n", "r.jsonl:1: not a JSON"},
               {"{\"kind\":\"manifest\"}\n", "schema"},
               {SmallFile() + "nonsense\n" + SmallFile(), "r.jsonl:5"},
               {SmallFile() + "{\"kind\":\"dance\"}\n", "dance"},
               {SmallFile() + Line(EndLine(false, "")) + Line(ToJson(Answered(1))), "after the last"},
               {Line(ManifestLine({}, Plan{})), "no server"}};
  for (const auto& c : cases) {
    const auto file = ParseResults(c.text, "r.jsonl");
    ASSERT_FALSE(file.ok()) << c.text;
    EXPECT_THAT(file.error().message, HasSubstr(c.part));
  }
  std::string later = SmallFile();
  later.replace(later.find("\"schema\":1"), 10, "\"schema\":2");
  EXPECT_EQ(ParseResults(later, "r").error().code, ErrorCode::kUnsupported);
}

TEST(Figures, NumbersByHand) {
  Group group{.users = 4, .requests = {}, .runs = {{.wall_s = 4}}};
  for (const int seconds : {1, 2, 3, 4}) group.requests.push_back(Answered(seconds));
  const Figures f = FiguresOf(group, 60);
  EXPECT_DOUBLE_EQ(f.response_s.mean, 2.5);
  EXPECT_DOUBLE_EQ(f.response_s.median, 2.5);
  EXPECT_DOUBLE_EQ(f.response_s.max, 4);
  EXPECT_DOUBLE_EQ(f.first_token_s.median, 0.25);
  EXPECT_DOUBLE_EQ(f.gap_ms.mean, 25);
  EXPECT_DOUBLE_EQ(f.tokens_per_s.max, 12);
  EXPECT_DOUBLE_EQ(f.total_tokens_per_s, 12);
  EXPECT_EQ(f.prompt_tokens, 320);
  EXPECT_TRUE(f.failures.empty());
}

TEST(Figures, AFailureIsInEveryFigure) {
  Group group{.users = 10, .requests = {Answered(1), TimedOut()}, .runs = {}};
  const Figures f = FiguresOf(group, 60);
  EXPECT_EQ(f.success(), 0.5);
  EXPECT_DOUBLE_EQ(f.response_s.max, 60.01);  // waited longer than the timeout
  EXPECT_DOUBLE_EQ(f.first_token_s.max, 60.01);
  EXPECT_DOUBLE_EQ(f.gap_ms.max, 60'000);
  EXPECT_DOUBLE_EQ(f.tokens_per_s.min, 0);
  EXPECT_DOUBLE_EQ(f.answered_response_s.mean, 1);
  EXPECT_EQ(f.failures.at("timeout (no token came)"), 1);
}

TEST(Comparison, RoundsNeeded) {
  EXPECT_EQ(RoundsNeeded(1), 6);
  EXPECT_EQ(RoundsNeeded(2), 7);
  EXPECT_EQ(RoundsNeeded(6), 8);
  const std::vector<double> fast(6, 1), slow(6, 2);
  EXPECT_EQ(CompareRounds(fast, slow, 1).says, Comparison::Says::kFaster);
  EXPECT_EQ(CompareRounds(slow, fast, 1).says, Comparison::Says::kSlower);
  EXPECT_EQ(CompareRounds(fast, slow, 2).says, Comparison::Says::kTooFewRounds);
  EXPECT_EQ(CompareRounds({}, {}, 1).says, Comparison::Says::kTooFewRounds);
}

// Mean response times in ms of ten users, of two servers of one configuration (`--vs`), rounds in their order, on a
// busy two-core machine. (One server asked under two names would not do: the second to ask finds the prompts cached.)
constexpr double kRecorded[][2] = {
    {549.8, 163.8}, {309.6, 227.5}, {293.3, 99.5},  {395.6, 271.0}, {247.9, 209.8}, {249.8, 188.8}, {244.3, 217.4},
    {277.5, 368.8}, {251.2, 234.7}, {246.8, 257.5}, {293.4, 128.8}, {336.4, 42.2},  {181.2, 72.6},  {240.6, 249.7},
    {322.9, 261.1}, {259.7, 199.8}, {170.8, 259.2}, {199.7, 136.5}, {159.0, 358.2}, {284.6, 193.7}, {255.9, 213.2},
    {156.2, 264.1}, {299.3, 266.0}, {221.8, 131.2}, {293.7, 198.8}, {142.2, 163.5}, {251.8, 203.2}, {228.3, 218.6},
    {263.1, 275.8}, {208.3, 244.7}, {280.5, 267.2}, {287.0, 225.2}, {333.0, 251.8}, {214.1, 140.4}, {270.2, 209.6},
    {280.6, 333.4}, {300.7, 274.6}, {257.6, 332.2}, {281.5, 328.9}, {155.4, 254.7}, {208.8, 292.0}, {204.3, 223.2},
    {299.3, 253.9}, {252.4, 280.0}, {268.8, 273.1}, {256.5, 245.1}, {340.6, 230.2}, {341.1, 274.9}, {343.8, 285.6},
    {294.9, 157.6}, {283.0, 292.6}, {187.9, 124.4}, {229.9, 245.3}, {245.5, 231.0}, {241.9, 293.5}, {390.1, 328.4},
    {270.7, 249.1}, {297.3, 198.0}, {322.1, 254.3}, {291.3, 206.4}, {221.3, 227.4}, {281.8, 320.3}, {183.0, 230.9},
    {299.0, 159.9}, {185.6, 280.5}, {157.4, 198.3}, {253.5, 295.2}, {323.8, 272.7}, {336.6, 292.8}, {226.1, 322.6},
    {331.7, 345.5}, {83.5, 107.4},  {124.0, 108.9}, {106.0, 106.3}, {115.8, 82.3},  {87.7, 90.5},   {48.7, 47.7},
    {54.0, 52.8}};

// Two servers of one configuration, ten rounds each, drawn from the recording in pieces of two rounds (first a b, then
// b a) so that drift and order stay in; either may be called the first. Two statements a time, as for one and ten
// users, and 19 times of 20 both must say that nothing differs.
TEST(Comparison, EqualsDoNotDiffer) {
  constexpr int kTrials = 4000;
  std::mt19937 random(7);
  int different = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    bool says = false;
    for (int statement = 0; statement < 2; ++statement) {
      std::vector<double> a, b;
      while (a.size() < 10) {
        const size_t piece = random() % (std::size(kRecorded) / 2) * 2;
        const size_t first = random() % 2;
        for (const size_t round : {piece, piece + 1}) {
          a.push_back(kRecorded[round][first]);
          b.push_back(kRecorded[round][1 - first]);
        }
      }
      const Comparison::Says said = CompareRounds(a, b, 2).says;
      EXPECT_NE(said, Comparison::Says::kTooFewRounds);
      says |= said != Comparison::Says::kNoDifference;
    }
    different += says;
  }
  EXPECT_LE(different, kTrials / 20);
}

}  // namespace
}  // namespace tenfold::results
