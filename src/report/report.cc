// What stands in a report: the decision, all figures, each user, before and after, the conditions (document.h).
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <map>

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

// Whole characters of UTF-8, at most `most` bytes of them.
std::string Shortened(const std::string& text, size_t most) {
  if (text.size() <= most) return text;
  size_t end = most - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string_view Basename(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// Short enough for a legend and a table cell: "qwen3-4b.gguf at 127.0.0.1:8080"; the file where there are several.
std::string LabelOf(const results::ResultFile& file, const results::Server& server, bool several) {
  std::string_view url = server.url;
  if (const size_t scheme = url.find("://"); scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  std::string label = server.model.empty()
                          ? std::string(url)
                          : fmt::format("{} at {}", Shortened(std::string(Basename(server.model)), 40), url);
  if (several) label = fmt::format("{}: {}", Basename(file.path), label);
  return Shortened(label, 80);
}

std::vector<Subject> SubjectsOf(const std::vector<results::ResultFile>& files) {
  std::vector<Subject> subjects;
  std::map<std::string, int> seen;
  for (const results::ResultFile& file : files) {
    for (const results::Server& server : file.servers) {
      subjects.push_back({&file, server.index, LabelOf(file, server, files.size() > 1)});
      ++seen[subjects.back().label];
    }
  }
  // Of equal names (runs before and after in folders of their own) each gets its place.
  for (size_t i = 0; i < subjects.size(); ++i) {
    if (seen[subjects[i].label] > 1) subjects[i].label = fmt::format("({}) {}", i + 1, subjects[i].label);
  }
  return subjects;
}

std::string Plain(const json::value& value) {
  if (value.is_double()) return fmt::format("{:g}", value.get_double());
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

std::vector<std::string> ResponseRow(const Subject& subject, const Group& group, const Figures& f) {
  return {subject.label,
          results::TitleOf(group.phase, group.users),
          fmt::format("{}", group.runs.size()),
          fmt::format("{} of {}", f.answered, f.asked),
          fmt::format("{:.0f} %", f.success() * 100),
          S(f.response_s.mean),
          S(f.response_s.median),
          S(f.response_s.p95),
          S(f.response_s.max),
          f.answered > 0 ? S(f.answered_response_s.mean) : "-"};
}

std::vector<std::string> TokenRow(const Subject& subject, const Group& group, const Figures& f) {
  return {subject.label,
          results::TitleOf(group.phase, group.users),
          S(f.first_token_s.median),
          S(f.first_token_s.p95),
          fmt::format("{:.1f}", f.gap_ms.median),
          fmt::format("{:.1f}", f.gap_ms.p99),
          fmt::format("{:.1f}", f.tokens_per_s.mean),
          fmt::format("{:.1f}", f.total_tokens_per_s),
          fmt::format("{}{}", f.tokens, f.tokens_estimated ? " (estimated)" : "")};
}

Section Overview(const std::vector<Subject>& subjects, const gate::Rules& rules) {
  Table responses{.head = {"server", "phase", "runs", "answered", "success", "response mean s", "median s", "p95 s",
                           "max s", "mean of answered s"},
                  .rows = {}};
  Table tokens{.head = {"server", "phase", "first token median s", "p95 s", "gap p50 ms", "gap p99 ms",
                        "tokens/s of one", "tokens/s of all", "tokens"},
               .rows = {}};
  Section section{.title = "Results", .lines = {}, .tables = {}, .pictures = {}};
  bool estimated = false;
  for (const Subject& subject : subjects) {
    for (const Group& group : results::GroupsOf(*subject.file, subject.server)) {
      const Figures f = results::FiguresOf(group, subject.file->plan.timeout_s);
      estimated |= f.tokens_estimated;
      responses.rows.push_back(ResponseRow(subject, group, f));
      tokens.rows.push_back(TokenRow(subject, group, f));
      for (const auto& [failure, count] : f.failures) {
        section.lines.push_back(fmt::format("{}, {}: {} failed: {}", subject.label,
                                            results::TitleOf(group.phase, group.users), count, failure));
      }
    }
  }
  section.lines.push_back(
      "A failure counts with the timeout in response and first token, with 0 tokens/s, and with one gap of the "
      "timeout.");
  if (estimated) section.lines.push_back("Estimated: texts were counted where usage did not come or cannot be true.");
  section.tables = {std::move(responses), std::move(tokens)};
  section.pictures = {
      {"Share of the largest number of users answered within so many seconds", LatencyDistribution(subjects, rules)},
      {"Throughput of all users together", ThroughputByUsers(subjects)}};
  return section;
}

std::string Maybe(bool there, const std::string& text) { return there ? text : "-"; }

std::vector<std::string> UserRow(const results::Request& r, const std::vector<results::Group>& runs) {
  std::vector<std::string> responses;
  for (const results::Group& run : runs) {
    for (const results::Request& of_run : run.requests) {
      if (of_run.user == r.user && of_run.question == r.question) responses.push_back(S(of_run.waited_s));
    }
  }
  const results::Spread gaps = results::SpreadOf(r.gaps_ms);
  return {fmt::format("{}", r.user + 1),
          fmt::format("{}", fmt::join(responses, ", ")),
          Maybe(r.first_token_s > 0, S(r.first_token_s)),
          Maybe(!r.gaps_ms.empty(), fmt::format("{:.1f}", gaps.median)),
          Maybe(!r.gaps_ms.empty(), fmt::format("{:.1f}", gaps.p99)),
          Maybe(r.prompt_tokens > 0, fmt::format("{}", r.prompt_tokens)),
          fmt::format("{}{}", r.tokens, r.tokens_estimated ? " (estimated)" : ""),
          !r.ok() ? results::FailureOf(r) : Maybe(r.http_status > 0, fmt::format("{}", r.http_status)),
          r.retry_after_s ? S(*r.retry_after_s) : "-"};
}

// The original report's table: one line a user, of the most users measured.
Section PerUser(const Subject& subject, const gate::Rules& rules) {
  constexpr size_t kMostRows = 100;
  Section section{.title = fmt::format("Users of {}", subject.label), .lines = {}, .tables = {}, .pictures = {}};
  Table table{.head = {"user", "response s", "first token s", "gap p50 ms", "gap p99 ms", "prompt tokens", "tokens",
                       "status", "Retry-After s"},
              .rows = {}};
  for (const Group& group : results::GroupsOf(*subject.file, subject.server)) {
    if (group.phase != results::Phase::kUsers || group.users != MostUsers(subject)) continue;
    const std::vector<Group> runs = results::RoundsOf(group);
    std::vector<results::Request> first = runs.front().requests;
    std::stable_sort(first.begin(), first.end(), [](const auto& a, const auto& b) { return a.user < b.user; });
    if (runs.size() > 1) {
      table.head[1] = "response s, run by run";
      section.lines.push_back("Tokens, gaps and status are of the first run.");
    }
    if (first.size() > kMostRows) {
      section.lines.push_back(fmt::format("The first {} of {} requests of a run.", kMostRows, first.size()));
      first.resize(kMostRows);
    }
    for (const results::Request& r : first) table.rows.push_back(UserRow(r, runs));
  }
  if (!table.rows.empty()) section.tables.push_back(std::move(table));
  section.pictures.push_back({"Response time per user, against the band", ResponsePerUser(subject, rules)});
  section.pictures.push_back({"Every request in its time", Timeline(subject)});
  return section;
}

// Figures of one phase, one a row: what it was, what it is, the one over the other.
void CompareFigures(const std::string& phase, const Figures& before, const Figures& after, Table& table) {
  struct Figure {
    std::string_view name;
    double before, after;
  };
  const Figure figures[] = {
      {"success %", before.success() * 100, after.success() * 100},
      {"response mean s", before.response_s.mean, after.response_s.mean},
      {"response p95 s", before.response_s.p95, after.response_s.p95},
      {"first token median s", before.first_token_s.median, after.first_token_s.median},
      {"gap p99 ms", before.gap_ms.p99, after.gap_ms.p99},
      {"tokens/s of all", before.total_tokens_per_s, after.total_tokens_per_s},
  };
  for (const Figure& figure : figures) {
    table.rows.push_back({phase, std::string(figure.name), S(figure.before), S(figure.after),
                          figure.before > 0 ? S(figure.after / figure.before) : "-"});
  }
}

Section Compared(const Subject& before, const Subject& after, const gate::Rules& rules) {
  Section section{.title = "Before and after", .lines = {}, .tables = {}, .pictures = {}};
  section.lines.push_back(fmt::format("Before: {}. After: {}.", before.label, after.label));
  if (before.file == after.file) {
    for (const results::Comparison& c : results::Compare(*before.file, after.server, before.server)) {
      section.lines.push_back(
          fmt::format("Mean response after, {}: {}", results::TitleOf(c.phase, c.users), results::TextOf(c)));
    }
  } else {
    section.lines.push_back(
        "Measured one after the other: what disturbed only one of them is in the ratio. `bench load --vs` measures in "
        "turns.");
  }
  Table table{.head = {"phase", "figure", "before", "after", "after / before"}, .rows = {}};
  for (const Group& a : results::GroupsOf(*before.file, before.server)) {
    for (const Group& b : results::GroupsOf(*after.file, after.server)) {
      if (a.phase != b.phase || a.users != b.users) continue;
      CompareFigures(results::TitleOf(a.phase, a.users), results::FiguresOf(a, before.file->plan.timeout_s),
                     results::FiguresOf(b, after.file->plan.timeout_s), table);
    }
  }
  if (!table.rows.empty()) section.tables.push_back(std::move(table));
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
  sections.push_back(Overview(subjects, rules));
  if (subjects.size() > 1) sections.push_back(Compared(subjects.front(), subjects.back(), rules));
  for (const Subject& subject : subjects) sections.push_back(PerUser(subject, rules));
  sections.push_back(Conditions(files, roofline));
  return sections;
}

}  // namespace tenfold::report
