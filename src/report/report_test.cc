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
  EXPECT_THAT(BeforeAfter(good, bad, {}), HasSubstr("4.60 times"));  // 23 s against 5
  const results::ResultFile empty;
  EXPECT_EQ(ResponsePerUser({&empty, 0, ""}, {}), "");
  EXPECT_EQ(Timeline({&empty, 0, ""}), "");
  EXPECT_EQ(LatencyDistribution({{&empty, 0, ""}}, {}), "");
}

}  // namespace
}  // namespace tenfold::report
