// The decision: may a service for these users stay on this machine, by rules written before the run?
//
// It reads results and never asks a server. What decides, of N users at once (Rules::users):
//   PASS              everybody is answered, the mean inside the target (faster than the band passes too), and up to
//                     `degrade_users` at once are not felt: p95 inside the target, everybody answered.
//   CONDITIONAL PASS  the best answer inside the target, the mean of the answered not above `overrun` times it, and
//                     `least_success` answered; also where nothing fails but some data is missing.
//   MIGRATE           less than that.
//   NO EVIDENCE       too few runs, runs so far apart that they do not agree, wrong answers, or no such users measured.
// Means are of the answered, because success is judged beside them; p95 counts failures with the timeout.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gate/capacity.h"
#include "gate/rules.h"
#include "results/result_file.h"

namespace tenfold::gate {

enum class Verdict { kPass = 0, kConditionalPass = 1, kMigrate = 2, kNoEvidence = 3 };  // also the exit codes
// "PASS", "CONDITIONAL PASS", "MIGRATE", "NO EVIDENCE".
std::string_view NameOf(Verdict verdict);

struct Decision {
  Verdict verdict = Verdict::kNoEvidence;
  std::vector<std::string> reasons;  // sentences, the weightiest first
  std::vector<std::string> missing;  // what was not measured and would be needed
  std::optional<Capacity> capacity;
  std::vector<std::string> next_steps;
};

// server: index in file.servers. Pure.
Decision Judge(const results::ResultFile& file, int64_t server, const Rules& rules);

// Lines for a terminal. Pure.
std::string TextOf(const Decision& decision, const Rules& rules);

}  // namespace tenfold::gate
