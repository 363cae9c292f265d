#include "gate/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "stats/summary.h"

namespace tenfold::gate {
namespace {

using results::Figures;
using results::Group;

constexpr double kTiny = 1e-9;  // 1.25 times 12 s is 15 s, whatever the binary digits say

// What one group of requests deserves.
enum class Level { kPass, kConditional, kMigrate };

bool WithinConditions(const Figures& f, const Rules& rules) {
  return f.answered > 0 && f.answered_response_s.min <= rules.target_s + kTiny &&
         f.answered_response_s.mean <= rules.overrun * rules.target_s + kTiny &&
         f.success() >= rules.least_success - kTiny;
}

Level LevelOf(const Figures& f, const Rules& rules, bool small) {
  const double judged_s = small ? f.response_s.p95 : f.answered_response_s.mean;
  if (f.answered > 0 && f.answered == f.asked && judged_s <= rules.target_s + kTiny) return Level::kPass;
  return WithinConditions(f, rules) ? Level::kConditional : Level::kMigrate;
}

std::string Overrun(double seconds, double target_s) {
  if (seconds <= target_s + kTiny) return fmt::format("{:.2f} s, inside {} s", seconds, target_s);
  return fmt::format("{:.2f} s, {:.0f} % over {} s", seconds, (seconds / target_s - 1) * 100, target_s);
}

// Sentences about a group; the load that is decided about, or a smaller one that must not be felt.
void Explain(const Group& group, const Figures& f, const Rules& rules, std::vector<std::string>& out) {
  const bool small = group.users != rules.users;
  const std::string who = results::TitleOf(group.phase, group.users);
  out.push_back(fmt::format("{}: {} of {} answered, {:.0f} % success (PASS needs 100 %, on conditions {:.0f} %)", who,
                            f.answered, f.asked, f.success() * 100, rules.least_success * 100));
  for (const auto& [failure, count] : f.failures) out.push_back(fmt::format("{}: {} failed: {}", who, count, failure));
  if (f.answered == 0) return;
  out.push_back(fmt::format(
      "{}: mean of the answered {} (on conditions up to {:.0f} % over); with failures as the timeout {:.2f} s", who,
      Overrun(f.answered_response_s.mean, rules.target_s), (rules.overrun - 1) * 100, f.response_s.mean));
  out.push_back(small ? fmt::format("{}: p95 {}", who, Overrun(f.response_s.p95, rules.target_s))
                      : fmt::format("{}: best {}", who, Overrun(f.answered_response_s.min, rules.target_s)));
  if (!small && f.answered_response_s.mean < rules.fast_s) {
    out.push_back(fmt::format("{}: faster than the band of {} to {} s", who, rules.fast_s, rules.target_s));
  }
}

// Whether the runs allow a decision at all; says why not, and what was waived.
bool HasEvidence(const results::ResultFile& file, const Group& group, const Rules& rules,
                 std::vector<std::string>& reasons) {
  const std::vector<Group> runs = results::RoundsOf(group);
  const auto count = static_cast<int64_t>(runs.size());
  bool enough = count >= rules.least_runs;
  if (!enough && rules.single_run && file.plan.imported) {
    reasons.push_back(
        fmt::format("evidence = \"single-run\": {} run{} of imported figures must do, {} are asked for otherwise",
                    count, count == 1 ? "" : "s", rules.least_runs));
    enough = true;
  } else if (!enough) {
    reasons.push_back(fmt::format("too few runs: {} with {} users, {} are needed{}", count, group.users,
                                  rules.least_runs,
                                  rules.single_run ? " (\"single-run\" waives that for imported figures only)" : ""));
  }
  std::vector<double> means;
  bool agree = true;
  const Level first = LevelOf(results::FiguresOf(runs.front(), file.plan.timeout_s), rules, false);
  for (const Group& run : runs) {
    const Figures f = results::FiguresOf(run, file.plan.timeout_s);
    agree &= LevelOf(f, rules, false) == first;
    means.push_back(f.response_s.mean);
  }
  const auto [least, most] = std::minmax_element(means.begin(), means.end());
  const double spread = (*most - *least) / stats::Median(means);
  if (spread <= rules.most_spread + kTiny) return enough;
  reasons.push_back(fmt::format(
      "noisy: runs between {:.2f} and {:.2f} s, {:.0f} % apart where {:.0f} % are allowed; {}", *least, *most,
      spread * 100, rules.most_spread * 100, agree ? "each alone says the same" : "they do not agree"));
  return enough && agree;
}

// Of the machine that served, where it can be known: that of the manifest only when it asked itself.
int64_t CoresOf(const results::ResultFile& file, int64_t server, const Rules& rules) {
  if (rules.cores > 0 || file.plan.imported) return rules.cores;
  const std::string& url = file.servers[static_cast<size_t>(server)].url;
  const bool local = url.find("//127.0.0.1") != std::string::npos || url.find("//localhost") != std::string::npos ||
                     url.find("//[::1]") != std::string::npos;
  const boost::json::value* cores = file.manifest.if_contains("physical_cores");
  return local && cores != nullptr && cores->is_int64() ? cores->get_int64() : 0;
}

std::vector<std::string> NextSteps(Verdict verdict, const results::Server& server, const Rules& rules) {
  const std::string model = server.model.empty() ? "MODEL" : server.model;
  const std::string again = fmt::format("tenfold bench load {} --users 1,{},{} --rounds {} --output r.jsonl",
                                        server.url.starts_with("http") ? server.url : "URL", rules.degrade_users,
                                        rules.users, rules.least_runs);
  const std::string move = fmt::format(
      "on a machine with a GPU, with the same API: vllm serve ORIGINAL_MODEL --served-model-name '{}' --host 0.0.0.0 "
      "--port 8080 --max-num-seqs {}; clients change nothing but the base URL",
      model, rules.users);
  const std::string tune = fmt::format("tune: tenfold tune -m MODEL --users {}; ask for shorter answers", rules.users);
  switch (verdict) {
    case Verdict::kPass:
      return {"nothing; measure again after a change of model, machine or users"};
    case Verdict::kConditionalPass:
      return {tune + "; close what is missing, then measure again: " + again, "if that is not enough, " + move};
    case Verdict::kMigrate:
      return {tune + ", if that was never done", move};
    case Verdict::kNoEvidence:
      break;
  }
  return {"measure: " + again};
}

void NameMissing(const std::vector<Group>& groups, const results::ResultFile& file, const Rules& rules, Decision& out) {
  const auto measured = [&](int64_t users) {
    return std::any_of(groups.begin(), groups.end(), [&](const Group& group) {
      return group.phase == results::Phase::kUsers && group.users == users;
    });
  };
  if (!measured(rules.users)) out.missing.push_back(fmt::format("{} users at once were not measured", rules.users));
  if (!measured(rules.degrade_users)) {
    out.missing.push_back(fmt::format("{} users at once were not measured: whether up to {} are felt is not known",
                                      rules.degrade_users, rules.degrade_users));
  }
  if (rules.users != 1 && !measured(1))
    out.missing.push_back("one user alone, with the model loaded, was not measured");
  if (file.interrupted) out.missing.push_back("the test was interrupted: its last run is not in the file");
}

}  // namespace

std::string_view NameOf(Verdict verdict) {
  constexpr std::string_view kNames[] = {"PASS", "CONDITIONAL PASS", "MIGRATE", "NO EVIDENCE"};
  return kNames[static_cast<size_t>(verdict)];
}

Decision Judge(const results::ResultFile& file, int64_t server, const Rules& rules) {
  Decision out;
  const std::vector<Group> groups = results::GroupsOf(file, server);
  NameMissing(groups, file, rules, out);
  bool evidence = false, felt_known = false;
  int64_t wrong = 0;
  Level worst = Level::kPass;
  for (const Group& group : groups) {
    const Figures f = results::FiguresOf(group, file.plan.timeout_s);
    wrong += f.wrong;
    if (f.doubtful > 0)
      out.reasons.push_back(fmt::format("{} answers came with token counts that cannot be true", f.doubtful));
    if (group.phase == results::Phase::kCold) {
      out.reasons.push_back(fmt::format("cold start {:.2f} s, load included: no rule is about it", f.response_s.mean));
    }
    const bool main = group.users == rules.users;
    if (group.phase != results::Phase::kUsers || (!main && group.users > rules.degrade_users)) continue;
    Explain(group, f, rules, out.reasons);
    worst = std::max(worst, LevelOf(f, rules, !main));
    if (main) evidence = HasEvidence(file, group, rules, out.reasons);
    felt_known |= group.users == rules.degrade_users;
  }
  if (wrong > 0) out.reasons.push_back(fmt::format("{} wrong answers: how fast they came is no evidence", wrong));
  if (!evidence || wrong > 0) {
    out.verdict = Verdict::kNoEvidence;
  } else if (worst == Level::kPass && felt_known) {
    out.verdict = Verdict::kPass;
  } else {
    out.verdict = worst == Level::kMigrate ? Verdict::kMigrate : Verdict::kConditionalPass;
  }
  out.capacity = CapacityOf(groups, file.plan.timeout_s, CoresOf(file, server, rules), rules);
  out.next_steps = NextSteps(out.verdict, file.servers[static_cast<size_t>(server)], rules);
  return out;
}

std::string TextOf(const Decision& decision, const Rules& rules) {
  std::string out = fmt::format("{}\n", NameOf(decision.verdict));
  const auto list = [&out](std::string_view title, const std::vector<std::string>& lines) {
    if (!lines.empty()) out += fmt::format("{}\n", title);
    for (const std::string& line : lines) out += fmt::format("  - {}\n", line);
  };
  list("why", decision.reasons);
  list("missing", decision.missing);
  if (decision.capacity) list("capacity", TextOf(*decision.capacity, rules));
  list("next", decision.next_steps);
  return out;
}

}  // namespace tenfold::gate
