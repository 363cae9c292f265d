// The room's tests: what is in a report, that no text of a file becomes markup, and that pictures hold what they show.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/src.hpp>

#include "report/charts.h"
#include "report/document.h"

namespace tenfold::report {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kHostile[] = "<script>alert(1)</script> | \"x\" & 'y'\n# y";

results::ResultFile TestFile() {
  results::ResultFile file;
  file.path = "r.jsonl";
  file.manifest = {{"cpu", kHostile}, {"physical_cores", 2}};
  for (int64_t server = 0; server < 2; ++server) {
    file.servers.push_back({.index = server, .url = "http://127.0.0.1:1", .model = kHostile, .facts = {}});
    for (const int64_t users : {int64_t{1}, int64_t{3}}) {
      for (int64_t user = 0; user < users; ++user) {
        results::Request r;
        r.server = server;
        r.users = users;
        r.user = user;
        r.outcome = server == 1 && user == 2 ? results::Outcome::kTimeout : results::Outcome::kOk;
        r.detail = kHostile;
        r.waited_s = r.ok() ? 4 + static_cast<double>(user) : 60;
        r.first_token_s = r.ok() ? 1 : 0;
        r.queued_s = 0.25;
        r.prefill_s = 0.75;
        r.gaps_ms = {10, 20};
        r.tokens = 8;
        file.requests.push_back(r);
      }
      file.runs.push_back(
          {.server = server, .phase = results::Phase::kUsers, .users = users, .round = 0, .start_s = 0, .wall_s = 6});
    }
  }
  return file;
}

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(Report, TextOfFilesIsNeverMarkup) {
  const auto sections = MakeReport({TestFile()}, {}, {});
  const std::string html = ToHtml(sections);
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;"));
  EXPECT_THAT(html, Not(HasSubstr("src=")));  // one file, nothing fetched
  EXPECT_THAT(html, Not(HasSubstr("url(")));
  const std::string markdown = ToMarkdown(sections);
  EXPECT_THAT(markdown, Not(HasSubstr("<script")));
  EXPECT_THAT(markdown, Not(HasSubstr("\n# y")));
}

TEST(Report, EveryTableRowHasItsCells) {
  for (const Section& section : MakeReport({TestFile(), TestFile()}, {{"kind", "roofline"}, {"threads", 2}}, {})) {
    for (const Table& table : section.tables) {
      for (const auto& row : table.rows) EXPECT_EQ(row.size(), table.head.size()) << section.title;
    }
  }
}

TEST(Report, HoldsVerdictTablesAndPictures) {
  const std::string html = ToHtml(MakeReport({TestFile()}, {}, {}));
  EXPECT_THAT(html, HasSubstr("NO EVIDENCE"));
  EXPECT_THAT(html, HasSubstr("Before and after"));
  EXPECT_EQ(Count(html, "<svg"), 2u + 1 + 2 * 2);
  EXPECT_EQ(Count(html, "<svg"), Count(html, "</svg>"));
  const std::string markdown = ToMarkdown(MakeReport({TestFile()}, {}, {}));
  EXPECT_THAT(markdown, HasSubstr("2 of 3"));
  EXPECT_THAT(markdown, HasSubstr("| 23.00 |")) << "(4 + 5 + 60) / 3";
}

// Two files asked one after the other have no rounds in pairs, but figures to set beside each other.
TEST(Report, FilesAreComparedFigureByFigure) {
  results::ResultFile before = TestFile(), after = TestFile();
  before.path = "a/r.jsonl";
  after.path = "b/r.jsonl";
  for (results::Request& r : after.requests) r.waited_s *= r.ok() ? 0.5 : 1;
  const std::string markdown = ToMarkdown(MakeReport({before, after}, {}, {}));
  EXPECT_THAT(markdown, HasSubstr("Measured one after the other"));
  EXPECT_THAT(markdown, HasSubstr("| one user | response mean s | 4.00 | 2.00 | 0.50 |"));
  EXPECT_THAT(markdown, HasSubstr("Before: (1) r.jsonl: "));
  EXPECT_THAT(markdown, HasSubstr("After: (4) r.jsonl: "));
}

TEST(Report, ManyRunsStandBesideEachOther) {
  results::ResultFile file = TestFile();
  for (size_t i = 0, count = file.requests.size(); i < count; ++i) {
    results::Request again = file.requests[i];
    again.round = 1;
    again.waited_s += 0.5;
    file.requests.push_back(again);
  }
  EXPECT_THAT(ToMarkdown(MakeReport({file}, {}, {})), HasSubstr("| 1 | 4.00, 4.50 |"));
  EXPECT_EQ(Count(ResponsePerUser({&file, 0, ""}, {}), "class=\"s0\""), 6u);
}

TEST(Report, LongNamesAreCutBetweenCharacters) {
  results::ResultFile file = TestFile();
  file.servers[0].model.clear();
  for (int i = 0; i < 40; ++i) file.servers[0].model += "\xed\x95\x9c";  // three bytes each
  const std::string markdown = ToMarkdown(MakeReport({file}, {}, {}));
  EXPECT_THAT(markdown, HasSubstr("\xed\x95\x9c... at 127.0.0.1:1"));
}

// The band of the picture is the rules' own.
TEST(Charts, ShowTheBandOfTheRules) {
  const results::ResultFile file = TestFile();
  const gate::Rules rules{.fast_s = 3, .target_s = 5};
  const Subject subject{&file, 0, "s"};
  EXPECT_THAT(ResponsePerUser(subject, rules), HasSubstr("3 to 5 s"));
  EXPECT_THAT(LatencyDistribution({subject}, rules), HasSubstr("3 to 5 s"));
  EXPECT_THAT(BeforeAfter(subject, subject, rules), HasSubstr("3 to 5 s"));
  const auto sections = MakeReport({file}, {}, rules);
  EXPECT_THAT(ToHtml(sections), Not(HasSubstr("8 to 12 s")));
}

// What lies above the plane, the legend among it, never covers what is drawn in it.
TEST(Charts, LegendsLieAboveThePlane) {
  const results::ResultFile file = TestFile();
  const Subject subject{&file, 0, std::string(80, 'W')};
  const std::string svg = LatencyDistribution({subject, subject, subject}, {});
  const size_t band = svg.find("class=\"band\"");
  ASSERT_NE(band, std::string::npos);
  const size_t top_at = svg.rfind(" y=\"", band);
  const double top = std::stod(svg.substr(top_at + 4));
  size_t legends = 0;
  for (size_t at = svg.find("class=\"legend\""); at != std::string::npos; at = svg.find("class=\"legend\"", at + 1)) {
    EXPECT_LT(std::stod(svg.substr(svg.rfind(" y=\"", at) + 4)), top);
    ++legends;
  }
  EXPECT_EQ(legends, 3u);
}

// A run far into a long test is drawn as long as the first.
TEST(Charts, EachRunOfTheTimelineBeginsAtZero) {
  results::ResultFile file = TestFile();
  for (results::Request& r : file.requests) r.start_s = r.users == 3 ? 1000 + static_cast<double>(r.user) : 5;
  const std::string svg = Timeline({&file, 0, ""});
  EXPECT_THAT(svg, HasSubstr("3 users, run 1"));
  EXPECT_THAT(svg, Not(HasSubstr(">1000<")));
}

TEST(Charts, ShowWhatWasMeasured) {
  const results::ResultFile file = TestFile();
  const Subject good{&file, 0, "good"};
  const Subject bad{&file, 1, "bad"};
  EXPECT_EQ(MostUsers(good), 3);
  EXPECT_EQ(Count(ResponsePerUser(good, {}), "class=\"s0\""), 3u);
  EXPECT_EQ(Count(ResponsePerUser(bad, {}), "class=\"failed\""), 1u);
  EXPECT_EQ(Count(Timeline(good), "class=\"queued\""), 4u);
  EXPECT_EQ(Count(Timeline(bad), "class=\"failed\""), 1u);
  EXPECT_EQ(Count(LatencyDistribution({good, bad}, {}), "<polyline"), 2u);
  EXPECT_EQ(Count(ThroughputByUsers({good, bad}), "<circle"), 4u);
  EXPECT_THAT(BeforeAfter(good, bad, {}), HasSubstr("4.60 of before"));  // 23 s against 5
  const results::ResultFile empty;
  EXPECT_EQ(ResponsePerUser({&empty, 0, ""}, {}), "");
  EXPECT_EQ(Timeline({&empty, 0, ""}), "");
  EXPECT_EQ(LatencyDistribution({{&empty, 0, ""}}, {}), "");
}

}  // namespace
}  // namespace tenfold::report
