#include "results/figures_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenfold::results {
namespace {

std::string Row(std::string_view label, const Spread& s, int digits) {
  std::string row = fmt::format("{:<26}", label);
  for (const double value : {s.mean, s.median, s.p95, s.p99, s.max}) row += fmt::format("{:>10.{}f}", value, digits);
  return row + "\n";
}

}  // namespace

std::string FormatFigures(const Figures& f, const Group& group, double timeout_s) {
  std::string out = fmt::format("-- {}, {} round{}\n", TitleOf(group.phase, group.users), group.runs.size(),
                                group.runs.size() == 1 ? "" : "s");
  out += fmt::format("answered                  {:>10} of {}\n", f.answered, f.asked);
  for (const auto& [failure, count] : f.failures) out += fmt::format("  failed {:>3}: {}\n", count, failure);
  if (!f.failures.empty()) {
    out += fmt::format("  each failure counts below as {} s, 0 tokens/s and one gap of {} s\n", timeout_s, timeout_s);
  }
  if (f.longest_retry_after_s >= 0) {
    out += fmt::format("  refusals asked to wait {} s at most\n", f.longest_retry_after_s);
  }
  out += fmt::format("{:<26}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "", "mean", "median", "p95", "p99", "max");
  out += Row("response, s", f.response_s, 3);
  out += Row("first token, s", f.first_token_s, 3);
  out += Row("between tokens, ms", f.gap_ms, 1);
  out += fmt::format("tokens/s of one user      {:>10.2f}{:>10.2f}  slowest {:.2f}\n", f.tokens_per_s.mean,
                     f.tokens_per_s.median, f.tokens_per_s.min);
  out += fmt::format(
      "tokens/s of all users     {:>10.2f}  {} tokens {}in {:.3f} s\n", f.total_tokens_per_s, f.tokens,
      f.tokens_estimated ? "(estimated: text events counted where usage did not come or cannot be true) " : "",
      f.wall_s);
  if (f.doubtful > 0) {
    const auto doubtful = std::find_if(group.requests.begin(), group.requests.end(),
                                       [](const Request& r) { return !r.tokens_doubt.empty(); });
    out += fmt::format("  {} answers with a usage that cannot be true: {}\n", f.doubtful, doubtful->tokens_doubt);
  }
  if (f.prompt_tokens > 0) {
    out += fmt::format("prompt tokens of a user   {:>10.1f}\n",
                       static_cast<double>(f.prompt_tokens) / static_cast<double>(f.answered));
  }
  return out;
}

}  // namespace tenfold::results
