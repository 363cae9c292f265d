// What decides, written down before the run: the rules of `tenfold gate`, and the small TOML file that changes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tenfold::gate {

struct Rules {
  double fast_s = 8;            // the band that users expect of an answer: faster passes too
  double target_s = 12;         // and its end
  int64_t users = 10;           // who ask at once, as the decision is for
  int64_t degrade_users = 5;    // so many must not be felt: p95 inside the target, everybody answered
  double overrun = 1.25;        // on conditions: mean of the answered up to so many times the target,
  double least_success = 0.9;   // at least this part answered, and the best inside the target
  int64_t least_runs = 3;       // repetitions, below which nothing is decided
  double most_spread = 0.25;    // (slowest run - fastest run) / median run, above which runs must agree
  bool single_run = false;      // evidence = "single-run": one run is enough of what was imported
  int64_t cores = 0;            // of the machine that served; 0: as the manifest says
  int64_t reference_cores = 8;  // a second machine that the capacity model speaks of
};

// Keys as the members above; `evidence` is "repeated" or "single-run". Errors name `path`, the line and the key: no
// TOML, an unknown key, a wrong type, a value out of range. Pure.
Result<Rules> ParseRules(std::string_view text, const std::string& path);

}  // namespace tenfold::gate
