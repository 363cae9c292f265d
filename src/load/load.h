// A load test as its users feel it, phase by phase: the first request of all, one user, N at the same moment, or
// requests that arrive at random; against one server, or two in turns.
//
// What it does: one HTTP client for any OpenAI-compatible server, in one thread; measures from the moment of asking,
// and hands over each record (results/record.h) as it comes. What it does not: print, sum up, judge, or retry.
//
// Closed loop: each user asks the next question when the last is answered, so a slow server is asked less. Open loop
// (`rate`): requests arrive as a Poisson process whoever is still waiting, as strangers do; only this shows a queue
// that grows without end. Two servers are asked in alternating order (a b, b a, ...), one phase at a time, so that a
// machine that grows slower meanwhile favours neither.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "load/exchange.h"
#include "load/prompts.h"
#include "load/target.h"
#include "results/record.h"

namespace tenfold::load {

struct LoadOptions {
  std::vector<Target> targets;  // at least one
  Asking asking;
  std::vector<Prompt> prompts;           // request number n asks PromptAt(prompts, n); not empty
  std::vector<int64_t> users = {1, 10};  // one phase each
  double rate = 0;                       // requests a second on the average; above 0: instead of users
  double rate_s = 60;                    // how long they arrive
  int64_t rounds = 1;                    // of all phases but the cold start
  int64_t questions = 1;                 // of each user in one round
  int64_t warm_ups = 1;                  // requests to each server before the first round
  bool cold = true;                      // the first request to each server is a phase of its own
  uint64_t seed = 1;                     // of the arrivals
};

// How far the phase under way is.
struct Progress {
  int64_t server = 0;
  results::Phase phase = results::Phase::kUsers;
  int64_t users = 1;
  int64_t round = 0;
  int64_t finished = 0;  // requests
  int64_t asked = 0;     // all that the phase will ask
  int64_t failed = 0;
  int64_t text_events = 0;  // of those under way
  double seconds = 0;       // since the phase began
};

// Called from the thread that runs the test; each may be empty.
struct Observer {
  std::function<void(const results::Server&)> on_server;
  std::function<void(const results::Request&)> on_request;
  std::function<void(const results::Run&)> on_run;  // the requests before it with its server, phase, users, round count
  std::function<void(const Progress&)> on_progress;  // some ten times a second
  std::function<bool()> stopped;                     // true: end soon; the run under way is given up
};

// Runs the test; blocks. An Error only when no request could be made at all: a bad URL, libcurl broken. True when all
// was done, false when `stopped` ended it. Call from one thread at a time.
Result<bool> RunLoad(const LoadOptions& options, const Observer& observer);

// When requests arrive, in seconds from the start, ascending and below `seconds`: a Poisson process. The same seed
// gives the same moments. Pure.
std::vector<double> ArrivalTimes(double rate, double seconds, uint64_t seed);

}  // namespace tenfold::load
