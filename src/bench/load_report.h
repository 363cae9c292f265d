// What a load test's users saw, as numbers and as the text `tenfold bench load` prints.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/load.h"

namespace tenfold::bench {

// Over users, or over all gaps. Zeros when there is nothing to describe.
struct Spread {
  double mean = 0;
  double median = 0;
  double p95 = 0;
  double min = 0;
  double max = 0;
};

struct LoadSummary {
  int64_t users = 0;
  int64_t answered = 0;
  // A failed user counts with the whole timeout in both, and with 0 in tokens_per_s: never as fast.
  Spread response_s;
  Spread first_token_s;
  Spread tokens_per_s;  // of each user, over the whole response time
  // Only of answered users: a failed one has no full set of gaps.
  Spread gap_ms;
  int64_t tokens = 0;         // of answered users
  int64_t prompt_tokens = 0;  // of answered users; 0 when the server did not say
  bool tokens_estimated = false;
  double wall_s = 0;
  double total_tokens_per_s = 0;  // tokens / wall_s
  // "timeout", "HTTP 503 (Loading model)" and so on -> how many users.
  std::map<std::string, int64_t> failures;
};

// Pure. `timeout_us` as in LoadOptions.
LoadSummary Summarise(const LoadResult& result, int64_t timeout_us);

// A few lines with a newline at the end of each.
std::string FormatSummary(const LoadSummary& summary, const LoadOptions& options, const std::string& model);

}  // namespace tenfold::bench
