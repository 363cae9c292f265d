// What RunEngine measured, as tables for people and as JSON lines. Every speed stands beside the part of the roofline
// of the same run that it is.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "bench/engine_run.h"

namespace tenfold::bench {

// A case's samples summed up. Seconds are of one step (decode) or of the whole prompt (prefill).
struct CaseSummary {
  double median_s = 0;
  double min_s = 0;
  double max_s = 0;
  double cores = 0;         // median
  double tokens_per_s = 0;  // from here on by the median
  double bytes_per_s = 0;
  double integer_macs_per_s = 0;
  double of_bandwidth = 0;     // of all threads' reading
  double of_integer_peak = 0;  // of all threads' best integer loop of the same instruction set
  double of_roof = 0;          // the least time that memory and arithmetic allow, over the time it took
  bool memory_bound = false;   // which of the two that was
};
// Needs at least one sample.
CaseSummary Summarise(const EngineResult& result, const CaseResult& c);

// {"kind": "sample", ...}: the last one of c.
boost::json::object SampleToJson(const CaseResult& c, int round);
// {"kind": "engine"}, {"kind": "load"} ..., {"kind": "case"} ...; with a profile {"kind": "phase"} ...
std::vector<boost::json::object> ToJson(const EngineResult& result, const EngineOptions& options);
// Several lines, each with a newline.
std::string Format(const EngineResult& result, const EngineOptions& options);

}  // namespace tenfold::bench
