// What a search found, as lines for people and as JSON lines. Pure.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "tune/search.h"

namespace tenfold::tune {

struct ReportInput {
  int64_t users = 10;
  double target_s = 12;
  int64_t tokens = 64;  // of an answer
  double bound_s = 1200;
  boost::json::object optimization;  // /health's, of a server with the choice; for what is said about contexts
  bool context_given = false;        // the user has answered that question
};

// "threads 1: slower, 1.70 of the time (1.68 to 1.73 in 2 rounds)".
std::string TextOf(const Knob& knob, const ArmResult& arm);

// The whole end of a run, several lines.
std::string Report(const Space& space, const Outcome& outcome, const ReportInput& input);

// How sure the gain is, in one sentence: for the profile.
std::string GainOf(const Space& space, const Outcome& outcome);

// {"kind": "knob"} for each knob, {"kind": "confirmation"} where there is one, {"kind": "choice"}.
std::vector<boost::json::object> ToJson(const Space& space, const Outcome& outcome);

// The setting keys whose chosen values differ from the defaults.
Assignment ChangedSettings(const Space& space, const Candidate& chosen);

}  // namespace tenfold::tune
