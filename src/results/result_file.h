// A whole file of results: the manifest, then servers, requests and runs in the order they happened.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "results/record.h"

namespace tenfold::results {

// How the test was asked for; part of the manifest.
struct Plan {
  double timeout_s = 60;
  int64_t max_tokens = 0;  // of each answer; 0: not known
  int64_t rounds = 1;
  bool imported = false;  // measured elsewhere, not by this program: see gate/csv.h
};

struct ResultFile {
  std::string path;
  boost::json::object manifest;  // as in the file
  Plan plan;
  std::vector<Server> servers;    // by index; at least one
  std::vector<Request> requests;  // only of finished runs
  std::vector<Run> runs;
  boost::json::object roofline;  // empty: the file has none
  bool interrupted = false;      // it says so, or it ends without its last line
};

boost::json::object ToJson(const Plan& plan);
Result<Plan> PlanFromJson(const boost::json::object& json);
// The file's first line: the conditions (any fields), marked as a manifest of this schema.
boost::json::object ManifestLine(boost::json::object conditions, const Plan& plan);
// The file's last line.
boost::json::object EndLine(bool interrupted, const std::string& load_average);

// `path` for errors, which name it and the line. A last line that was cut off (a crash, a full disk) counts as not
// written; any other wrong line is refused: kCorrupt, or kUnsupported for another schema. Pure.
Result<ResultFile> ParseResults(std::string_view text, const std::string& path);

// Whether `text` is a file of `tenfold bench roofline --json`, and what it measured. Pure.
boost::json::object RooflineOf(std::string_view text);

}  // namespace tenfold::results
