// Requests summed up, each figure by one definition (docs/results.md), in which a failed request is never a fast one.
//
// A failed request counts with the timeout in response and first token (with the time it was waited for, if that was
// longer), with 0 in tokens/s, and with one gap of the timeout in the gaps: that is how long somebody would have looked
// at a still picture. The mean of the answered alone stands beside, where a rule asks for it, and never instead.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "results/result_file.h"

namespace tenfold::results {

// Percentiles as stats/summary.h defines them. Zeros when there is nothing to describe.
struct Spread {
  double mean = 0;
  double median = 0;
  double p95 = 0;
  double p99 = 0;
  double min = 0;
  double max = 0;
};
Spread SpreadOf(const std::vector<double>& values);

struct Figures {
  int64_t asked = 0;
  int64_t answered = 0;
  Spread response_s;
  Spread first_token_s;
  Spread tokens_per_s;         // of each request, over its whole response time
  Spread gap_ms;               // of all gaps between tokens
  Spread answered_response_s;  // of answered requests alone
  Spread answered_first_token_s;
  int64_t tokens = 0;         // of answered requests
  int64_t prompt_tokens = 0;  // likewise; 0 when the server did not say
  bool tokens_estimated = false;
  int64_t doubtful = 0;  // requests whose usage cannot be true
  int64_t wrong = 0;     // answers without the text they had to bring
  double wall_s = 0;     // of all runs together
  double total_tokens_per_s = 0;
  double longest_retry_after_s = -1;        // -1: no refusal said
  std::map<std::string, int64_t> failures;  // "timeout", "HTTP 503 (Loading model)" and so on -> how many

  double success() const { return asked == 0 ? 0 : static_cast<double>(answered) / static_cast<double>(asked); }
};

// What was measured under one heading: one phase with one number of users on one server, all rounds.
struct Group {
  int64_t server = 0;
  Phase phase = Phase::kUsers;
  int64_t users = 1;
  std::vector<Request> requests;
  std::vector<Run> runs;
};
// In the order cold, users ascending, rate; no warm-up. server: -1 for all of them, one after the other.
std::vector<Group> GroupsOf(const ResultFile& file, int64_t server = -1);
// The same, one group for each round.
std::vector<Group> RoundsOf(const Group& group);

Figures FiguresOf(const Group& group, double timeout_s);
// How long a failed request counts.
double CountedSeconds(const Request& request, double timeout_s);
// "timeout (no token came)", "HTTP 503 (Loading model)".
std::string FailureOf(const Request& request);
// "cold start", "one user", "10 users", "random arrivals".
std::string TitleOf(Phase phase, int64_t users);

}  // namespace tenfold::results
