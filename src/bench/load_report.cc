#include "bench/load_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "stats/summary.h"

namespace tenfold::bench {
namespace {

Spread Describe(const std::vector<double>& values) {
  if (values.empty()) return {};
  return {.mean = stats::Mean(values),
          .median = stats::Median(values),
          .p95 = stats::Percentile(values, 95),
          .min = stats::Percentile(values, 0),
          .max = stats::Percentile(values, 100)};
}

std::string FailureOf(const UserResult& user) {
  std::string name =
      user.outcome == Outcome::kHttpStatus ? fmt::format("HTTP {}", user.http_status) : NameOf(user.outcome);
  return user.detail.empty() ? name : fmt::format("{} ({})", name, user.detail);
}

std::string Row(std::string_view label, const Spread& spread, int digits) {
  return fmt::format("{:<26}{:>10.{}f}{:>10.{}f}{:>10.{}f}{:>10.{}f}\n", label, spread.mean, digits, spread.median,
                     digits, spread.p95, digits, spread.max, digits);
}

}  // namespace

LoadSummary Summarise(const LoadResult& result, int64_t timeout_us) {
  LoadSummary summary;
  summary.users = static_cast<int64_t>(result.users.size());
  std::vector<double> response_s, first_token_s, tokens_per_s, gap_ms;
  for (const UserResult& user : result.users) {
    if (user.outcome != Outcome::kOk) {
      ++summary.failures[FailureOf(user)];
      response_s.push_back(static_cast<double>(timeout_us) / 1e6);
      first_token_s.push_back(static_cast<double>(timeout_us) / 1e6);
      tokens_per_s.push_back(0);
      continue;
    }
    ++summary.answered;
    response_s.push_back(static_cast<double>(user.response_us) / 1e6);
    first_token_s.push_back(static_cast<double>(user.first_token_us) / 1e6);
    tokens_per_s.push_back(static_cast<double>(user.tokens) * 1e6 /
                           static_cast<double>(std::max<int64_t>(1, user.response_us)));
    for (const int64_t gap_us : user.gaps_us) gap_ms.push_back(static_cast<double>(gap_us) / 1e3);
    summary.tokens += user.tokens;
    summary.prompt_tokens += user.prompt_tokens;
    summary.tokens_estimated |= user.tokens_estimated;
  }
  summary.response_s = Describe(response_s);
  summary.first_token_s = Describe(first_token_s);
  summary.tokens_per_s = Describe(tokens_per_s);
  summary.gap_ms = Describe(gap_ms);
  summary.wall_s = static_cast<double>(result.wall_us) / 1e6;
  if (summary.wall_s > 0) summary.total_tokens_per_s = static_cast<double>(summary.tokens) / summary.wall_s;
  return summary;
}

std::string FormatSummary(const LoadSummary& summary, const LoadOptions& options, const std::string& model) {
  const double timeout_s = static_cast<double>(options.timeout_us) / 1e6;
  std::string out = fmt::format("{}  model {}  {} users at once, {} tokens each, timeout {} s\n", options.url,
                                model.empty() ? "not named" : model, summary.users, options.max_tokens, timeout_s);
  out += fmt::format("answered                  {:>10} of {}\n", summary.answered, summary.users);
  for (const auto& [failure, count] : summary.failures) out += fmt::format("  failed {:>3}: {}\n", count, failure);
  if (!summary.failures.empty()) {
    out +=
        fmt::format("  each failed user counts below as {} s and 0 tokens/s; gaps are of answered users\n", timeout_s);
  }
  out += fmt::format("{:<26}{:>10}{:>10}{:>10}{:>10}\n", "", "mean", "median", "p95", "max");
  out += Row("response, s", summary.response_s, 3);
  out += Row("first token, s", summary.first_token_s, 3);
  out += Row("between tokens, ms", summary.gap_ms, 1);
  out += fmt::format("tokens/s of one user      {:>10.2f}{:>10.2f}  slowest {:.2f}\n", summary.tokens_per_s.mean,
                     summary.tokens_per_s.median, summary.tokens_per_s.min);
  out += fmt::format("tokens/s of all users     {:>10.2f}  {} tokens {}in {:.3f} s\n", summary.total_tokens_per_s,
                     summary.tokens, summary.tokens_estimated ? "(estimated: no usage came, text events counted) " : "",
                     summary.wall_s);
  if (summary.prompt_tokens > 0) {
    out += fmt::format("prompt tokens of a user   {:>10.1f}\n",
                       static_cast<double>(summary.prompt_tokens) / static_cast<double>(summary.answered));
  }
  return out;
}

}  // namespace tenfold::bench
