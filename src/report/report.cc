// What stands in a report: the decision, all figures, each user, before and after, the conditions (document.h).
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "gate/verdict.h"
#include "report/charts.h"
#include "report/document.h"
#include "results/comparison.h"
#include "results/figures.h"

namespace tenfold::report {
namespace {

namespace json = boost::json;
using results::Figures;
using results::Group;

std::vector<Subject> SubjectsOf(const std::vector<results::ResultFile>& files) {
  std::vector<Subject> subjects;
  for (const results::ResultFile& file : files) {
    for (const results::Server& server : file.servers) {
      std::string label = server.model.empty() ? server.url : fmt::format("{} ({})", server.url, server.model);
      if (files.size() > 1) label = fmt::format("{}: {}", file.path.substr(file.path.rfind('/') + 1), label);
      if (label.size() > 60) label = label.substr(0, 57) + "...";
      subjects.push_back({&file, server.index, std::move(label)});
    }
  }
  return subjects;
}

std::string Plain(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

// Nested members by their path, "health.optimization.threads"; what is long is for the file, not for a page.
void Flatten(const json::object& object, const std::string& prefix, Table& table) {
  for (const auto& [key, value] : object) {
    const std::string name = prefix + std::string(key);
    if (value.is_object()) {
      Flatten(value.get_object(), name + ".", table);
    } else if (const std::string text = Plain(value);
               text.size() <= 120 && name.find(".params.") == std::string::npos) {
      table.rows.push_back({name, text});
    }
  }
}

Section Conditions(const std::vector<results::ResultFile>& files, const json::object& roofline) {
  Section section{.title = "Conditions", .lines = {}, .tables = {}, .pictures = {}};
  for (const results::ResultFile& file : files) {
    Table table{.head = {"condition", file.path}, .rows = {}};
    json::object manifest = file.manifest;
    for (const char* key : {"kind", "schema"}) manifest.erase(key);
    Flatten(manifest, "", table);
    section.tables.push_back(std::move(table));
    for (const results::Server& server : file.servers) {
      Table facts{.head = {fmt::format("server {}", server.index + 1), server.url}, .rows = {{"model", server.model}}};
      Flatten(server.facts, "", facts);
      section.tables.push_back(std::move(facts));
    }
    if (file.interrupted) section.lines.push_back(fmt::format("{}: interrupted; only finished runs count.", file.path));
  }
  if (roofline.empty()) return section;
  Table table{.head = {"roofline", "of the machine it was measured on"}, .rows = {}};
  json::object shown = roofline;
  for (const char* key : {"kind", "peaks"}) shown.erase(key);
  Flatten(shown, "", table);
  section.tables.push_back(std::move(table));
  return section;
}

std::string S(double seconds) { return fmt::format("{:.2f}", seconds); }

Section Overview(const std::vector<Subject>& subjects) {
  Table table{
      .head = {"server", "phase", "runs", "answered", "success", "response mean s", "median s", "p95 s", "max s",
               "mean of answered s", "first token median s", "gap p50 ms", "gap p99 ms", "tokens/s of all", "tokens"},
      .rows = {}};
  Section section{.title = "Results", .lines = {}, .tables = {}, .pictures = {}};
  bool estimated = false;
  for (const Subject& subject : subjects) {
    for (const Group& group : results::GroupsOf(*subject.file, subject.server)) {
      const Figures f = results::FiguresOf(group, subject.file->plan.timeout_s);
      estimated |= f.tokens_estimated;
      table.rows.push_back({subject.label, results::TitleOf(group.phase, group.users),
                            fmt::format("{}", group.runs.size()), fmt::format("{} of {}", f.answered, f.asked),
                            fmt::format("{:.0f} %", f.success() * 100), S(f.response_s.mean), S(f.response_s.median),
                            S(f.response_s.p95), S(f.response_s.max),
                            f.answered > 0 ? S(f.answered_response_s.mean) : "-", S(f.first_token_s.median),
                            fmt::format("{:.1f}", f.gap_ms.median), fmt::format("{:.1f}", f.gap_ms.p99),
                            fmt::format("{:.1f}{}", f.total_tokens_per_s, f.tokens_estimated ? " (estimated)" : ""),
                            fmt::format("{}", f.tokens)});
      for (const auto& [failure, count] : f.failures) {
        section.lines.push_back(
            fmt::format("{}, {}: {} failed: {}", subject.label, table.rows.back()[1], count, failure));
      }
    }
  }
  section.lines.push_back(
      "A failure counts with the timeout in response and first token, with 0 tokens/s, and with one gap of the "
      "timeout.");
  if (estimated) section.lines.push_back("Estimated: texts were counted where usage did not come or cannot be true.");
  section.tables.push_back(std::move(table));
  const std::string distribution = "Share of the largest number of users answered within so many seconds";
  section.pictures.push_back({distribution, LatencyDistribution(subjects, {})});
  section.pictures.push_back({"Throughput of all users together", ThroughputByUsers(subjects)});
  return section;
}

// The original report's table: one line a user, of the first run with the most users.
Section PerUser(const Subject& subject, const gate::Rules& rules) {
  Section section{.title = fmt::format("Users of {}", subject.label), .lines = {}, .tables = {}, .pictures = {}};
  Table table{.head = {"user", "response s", "first token s", "gap p50 ms", "gap p99 ms", "prompt tokens", "tokens",
                       "status", "Retry-After s"},
              .rows = {}};
  for (const Group& group : results::GroupsOf(*subject.file, subject.server)) {
    if (group.phase != results::Phase::kUsers || group.users != MostUsers(subject)) continue;
    std::vector<results::Request> first = results::RoundsOf(group).front().requests;
    std::stable_sort(first.begin(), first.end(), [](const auto& a, const auto& b) { return a.user < b.user; });
    if (first.size() > 100) {
      section.lines.push_back(fmt::format("The first 100 of {} requests of the first run.", first.size()));
      first.resize(100);
    }
    for (const results::Request& r : first) {
      const results::Spread gaps = results::SpreadOf(r.gaps_ms);
      table.rows.push_back({fmt::format("{}", r.user + 1), S(r.waited_s),
                            r.first_token_s > 0 ? S(r.first_token_s) : "-", fmt::format("{:.1f}", gaps.median),
                            fmt::format("{:.1f}", gaps.p99), fmt::format("{}", r.prompt_tokens),
                            fmt::format("{}{}", r.tokens, r.tokens_estimated ? "~" : ""),
                            r.ok() ? fmt::format("{}", r.http_status) : results::FailureOf(r),
                            r.retry_after_s ? S(*r.retry_after_s) : "-"});
    }
  }
  if (!table.rows.empty()) section.tables.push_back(std::move(table));
  section.pictures.push_back({"Response time per user, against the band", ResponsePerUser(subject, rules)});
  section.pictures.push_back({"Every request in its time", Timeline(subject)});
  return section;
}

Section Compared(const std::vector<Subject>& subjects, const gate::Rules& rules) {
  const Subject& before = subjects.front();
  const Subject& after = subjects.back();
  Section section{.title = "Before and after", .lines = {}, .tables = {}, .pictures = {}};
  section.lines.push_back(fmt::format("Before: {}. After: {}.", before.label, after.label));
  if (before.file == after.file) {
    for (const results::Comparison& c : results::Compare(*before.file, before.server, after.server)) {
      section.lines.push_back(fmt::format("{}, {} against {}: {}", results::TitleOf(c.phase, c.users), before.label,
                                          after.label, results::TextOf(c)));
    }
  } else {
    section.lines.push_back(
        "Measured one after the other: what disturbed only one of them is in the ratio. `bench load --vs` measures in "
        "turns.");
  }
  section.pictures.push_back({"Mean response by number of users", BeforeAfter(before, after, rules)});
  return section;
}

Section Decided(const Subject& subject, const gate::Rules& rules) {
  const gate::Decision decision = gate::Judge(*subject.file, subject.server, rules);
  Section section{.title = fmt::format("Decision: {} for {}", gate::NameOf(decision.verdict), subject.label),
                  .lines = decision.reasons,
                  .tables = {},
                  .pictures = {}};
  for (const std::string& missing : decision.missing) section.lines.push_back("Missing: " + missing);
  if (decision.capacity) {
    for (const std::string& line : gate::TextOf(*decision.capacity, rules))
      section.lines.push_back("Capacity: " + line);
  }
  for (const std::string& step : decision.next_steps) section.lines.push_back("Next: " + step);
  return section;
}

}  // namespace

std::vector<Section> MakeReport(const std::vector<results::ResultFile>& files, const json::object& roofline,
                                const gate::Rules& rules) {
  const std::vector<Subject> subjects = SubjectsOf(files);
  std::vector<Section> sections;
  for (const Subject& subject : subjects) sections.push_back(Decided(subject, rules));
  sections.push_back(Overview(subjects));
  if (subjects.size() > 1) sections.push_back(Compared(subjects, rules));
  for (const Subject& subject : subjects) sections.push_back(PerUser(subject, rules));
  sections.push_back(Conditions(files, roofline));
  return sections;
}

}  // namespace tenfold::report
