#include "results/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "stats/summary.h"

namespace tenfold::results {
namespace {

// What a request adds to the lists that are described.
struct Samples {
  std::vector<double> response_s, first_token_s, tokens_per_s, gap_ms, answered_response_s, answered_first_token_s;

  void Add(const Request& r, double timeout_s) {
    if (!r.ok()) {
      const double counted_s = CountedSeconds(r, timeout_s);
      response_s.push_back(counted_s);
      first_token_s.push_back(counted_s);
      tokens_per_s.push_back(0);
      gap_ms.push_back(timeout_s * 1e3);
      return;
    }
    response_s.push_back(r.waited_s);
    answered_response_s.push_back(r.waited_s);
    // A server that answers in one piece has its first token with its last.
    const double first_s = r.first_token_s > 0 ? r.first_token_s : r.waited_s;
    first_token_s.push_back(first_s);
    answered_first_token_s.push_back(first_s);
    tokens_per_s.push_back(static_cast<double>(r.tokens) / std::max(1e-6, r.waited_s));
    gap_ms.insert(gap_ms.end(), r.gaps_ms.begin(), r.gaps_ms.end());
  }
};

int OrderOf(Phase phase) { return phase == Phase::kCold ? 0 : phase == Phase::kUsers ? 1 : 2; }

}  // namespace

Spread SpreadOf(const std::vector<double>& values) {
  if (values.empty()) return {};
  return {.mean = stats::Mean(values),
          .median = stats::Median(values),
          .p95 = stats::Percentile(values, 95),
          .p99 = stats::Percentile(values, 99),
          .min = stats::Percentile(values, 0),
          .max = stats::Percentile(values, 100)};
}

double CountedSeconds(const Request& request, double timeout_s) { return std::max(request.waited_s, timeout_s); }

std::string FailureOf(const Request& request) {
  const std::string name = request.outcome == Outcome::kHttpStatus ? fmt::format("HTTP {}", request.http_status)
                                                                   : std::string(NameOf(request.outcome));
  return request.detail.empty() ? name : fmt::format("{} ({})", name, request.detail);
}

std::string TitleOf(Phase phase, int64_t users) {
  if (phase == Phase::kCold) return "cold start";
  if (phase == Phase::kWarmUp) return "warm-up";
  if (phase == Phase::kRate) return "random arrivals";
  return users == 1 ? "one user" : fmt::format("{} users", users);
}

std::vector<Group> GroupsOf(const ResultFile& file, int64_t server) {
  using Key = std::tuple<int64_t, int, int64_t>;
  std::map<Key, Group> groups;
  const auto group_of = [&](int64_t of_server, Phase phase, int64_t users) -> Group* {
    if (phase == Phase::kWarmUp || (server >= 0 && server != of_server)) return nullptr;
    Group& group = groups[Key(of_server, OrderOf(phase), users)];
    group.server = of_server;
    group.phase = phase;
    group.users = users;
    return &group;
  };
  for (const Request& r : file.requests) {
    if (Group* group = group_of(r.server, r.phase, r.users)) group->requests.push_back(r);
  }
  for (const Run& r : file.runs) {
    if (Group* group = group_of(r.server, r.phase, r.users)) group->runs.push_back(r);
  }
  std::vector<Group> out;
  for (auto& [key, group] : groups) {
    if (!group.requests.empty()) out.push_back(std::move(group));
  }
  return out;
}

std::vector<Group> RoundsOf(const Group& group) {
  std::map<int64_t, Group> rounds;
  const auto round_of = [&](int64_t round) -> Group& {
    Group& out = rounds[round];
    out.server = group.server;
    out.phase = group.phase;
    out.users = group.users;
    return out;
  };
  for (const Request& r : group.requests) round_of(r.round).requests.push_back(r);
  for (const Run& r : group.runs) round_of(r.round).runs.push_back(r);
  std::vector<Group> out;
  for (auto& [number, round] : rounds) {
    if (!round.requests.empty()) out.push_back(std::move(round));
  }
  return out;
}

Figures FiguresOf(const Group& group, double timeout_s) {
  Figures out;
  Samples samples;
  for (const Request& r : group.requests) {
    ++out.asked;
    samples.Add(r, timeout_s);
    out.doubtful += !r.tokens_doubt.empty();
    out.wrong += r.outcome == Outcome::kWrong;
    if (r.retry_after_s) out.longest_retry_after_s = std::max(out.longest_retry_after_s, *r.retry_after_s);
    if (!r.ok()) {
      ++out.failures[FailureOf(r)];
      continue;
    }
    ++out.answered;
    out.tokens += r.tokens;
    out.prompt_tokens += r.prompt_tokens;
    out.tokens_estimated |= r.tokens_estimated;
  }
  out.response_s = SpreadOf(samples.response_s);
  out.first_token_s = SpreadOf(samples.first_token_s);
  out.tokens_per_s = SpreadOf(samples.tokens_per_s);
  out.gap_ms = SpreadOf(samples.gap_ms);
  out.answered_response_s = SpreadOf(samples.answered_response_s);
  out.answered_first_token_s = SpreadOf(samples.answered_first_token_s);
  for (const Run& run : group.runs) out.wall_s += run.wall_s;
  if (out.wall_s > 0) out.total_tokens_per_s = static_cast<double>(out.tokens) / out.wall_s;
  return out;
}

}  // namespace tenfold::results
