// Measurements for the search as users meet a server: N of them ask at the same moment, and the seconds are those of
// the last who has the whole answer.
//
// Each candidate is a child process (server_process.h). As many as memory allows stay up between their turns: an idle
// server takes no CPU, and an interleaved comparison need not load the model for each of its measurements. Prompts are
// never asked twice, so that no cache of prompts helps. A smaller `scale` cuts prompts and answers alike.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <list>
#include <string>
#include <vector>

#include "load/prompts.h"
#include "tune/search.h"
#include "tune/server_process.h"

namespace tenfold::tune {

struct Workload {
  int64_t users = 10;
  int64_t tokens = 64;                // of each answer
  std::vector<load::Prompt> prompts;  // not empty
};
// What the users of measurement number `n` ask. Prompts keep that part of their words, at least one. Pure.
std::vector<load::Prompt> PromptsOf(const Workload& workload, double scale, size_t n);
int64_t TokensOf(const Workload& workload, double scale);  // of an answer, at least 2

struct TrialOptions {
  std::string binary;
  std::vector<std::string> arguments;  // of every candidate: the model and what is not tuned
  Workload workload;
  size_t servers = 1;  // that may be up at once
  std::function<bool()> stopped;
};

class ServerTrials : public Measuring {
 public:
  ServerTrials(const Space& space, TrialOptions options) : space_(space), options_(std::move(options)) {}

  Measured Measure(const Trial& trial) override;
  bool stopped() const override { return options_.stopped(); }
  // /health's "optimization" of the first server that was ready; empty before.
  const boost::json::object& optimization() const { return optimization_; }

 private:
  struct Up {
    Candidate candidate;
    ServerProcess process;
  };
  Result<ServerProcess*> ServerOf(const Trial& trial);
  void End(const Candidate& candidate);
  std::vector<std::string> ArgumentsOf(const Candidate& candidate) const;
  Result<double> Ask(const std::string& url, const std::vector<load::Prompt>& prompts, int64_t tokens, double limit_s);

  const Space& space_;
  TrialOptions options_;
  std::list<Up> up_;  // the one used last at the front
  boost::json::object optimization_;
  size_t asked_ = 0;
};

// How many servers of such a model fit into memory, at least 1: each takes the file's size and some for what is kept of
// the users' prompts.
size_t ServersThatFit(uint64_t model_bytes, uint64_t available_bytes);

}  // namespace tenfold::tune
