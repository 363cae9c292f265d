// The conditions a figure was measured under, so that two figures can be told apart from two machines.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "base/result.h"

namespace tenfold::bench {

struct Manifest {
  std::string command;  // "bench roofline", "bench engine"
  std::string date;     // UTC, when the run began
  std::string commit;   // of the source tree at build time; "-dirty" behind it: with changes; "unknown" outside git
  std::string compiler;
  std::string build;  // "release", "debug" or "sanitizer"
  std::string cpu;
  std::string kernel;  // of the operating system
  std::string isas;    // supported here, widest last
  int physical_cores = 0;
  int logical_cpus = 0;
  double quota_cpus = 0;  // 0: none
  int threads = 0;
  std::string load_average;  // the system's, when the run began
  uint64_t available_bytes = 0;
};

// Of this machine, process and moment. threads: how many the run uses.
Manifest MakeManifest(const std::string& command, int threads);

// The system's of one, five and fifteen minutes; "unknown" where it cannot be read.
std::string LoadAverage();

// {"kind": "manifest", ...}
boost::json::object ToJson(const Manifest& manifest);
// Two lines for people, each with a newline.
std::string Format(const Manifest& manifest);

}  // namespace tenfold::bench
