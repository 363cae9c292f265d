// A machine to be tuned that does not exist: every variant has a factor of time, noise on top, and clocks that only
// count. For tests of the search.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tune/search.h"

namespace tenfold::tune {

struct SimulatedMachine {
  double full_s = 18;                     // the defaults with the whole work
  double start_s = 4;                     // of a server
  double noise = 0.03;                    // relative, of each measurement
  double drift = 0.1;                     // how far the machine's speed wanders, relative; slowly
  size_t servers = 3;                     // that may be up at once
  std::map<std::string, double> factors;  // "threads 1" -> of the time; not named: 1
  std::set<std::string> hangs;
  std::set<std::string> refuses;
};

class SimulatedMeasuring : public Measuring {
 public:
  SimulatedMeasuring(const Space& space, SimulatedMachine machine, uint64_t seed)
      : space_(space), machine_(std::move(machine)), random_(seed) {}

  double Truth(const Candidate& candidate) const {
    double factor = 1;
    for (size_t k = 0; k < space_.knobs.size(); ++k) {
      const auto found = machine_.factors.find(NameOf(candidate, k));
      if (found != machine_.factors.end()) factor *= found->second;
    }
    return factor;
  }

  Measured Measure(const Trial& trial) override {
    ++trials;
    Measured got;
    if (std::find(up_.begin(), up_.end(), trial.candidate) == up_.end()) {
      if (Is(machine_.refuses, trial.candidate)) {
        got = {.seconds = 0, .start_s = 1, .cost_s = 1, .failure = "refused"};
        return Count(got);
      }
      got.start_s = std::min(machine_.start_s, trial.start_limit_s);
      if (machine_.start_s > trial.start_limit_s) {
        got.failure = "not ready in time";
        got.cost_s = got.start_s;
        return Count(got);
      }
      up_.push_back(trial.candidate);
      if (up_.size() > machine_.servers) up_.erase(up_.begin());
    }
    wander_ = 0.9 * wander_ + 0.436 * Normal();  // keeps a deviation of 1
    const double seconds = machine_.full_s * trial.scale * Truth(trial.candidate) *
                           std::exp(machine_.noise * Normal() + machine_.drift * wander_);
    if (Is(machine_.hangs, trial.candidate) || seconds > trial.answer_limit_s) {
      got.failure = "timeout";
      std::erase(up_, trial.candidate);
      got.cost_s = got.start_s + trial.answer_limit_s;
      return Count(got);
    }
    got.seconds = seconds;
    got.cost_s = got.start_s + seconds + 0.05;
    return Count(got);
  }

  bool stopped() const override { return trials >= stop_after; }

  int64_t trials = 0;
  int64_t stop_after = int64_t{1} << 60;
  double spent_s = 0;

 private:
  std::string NameOf(const Candidate& c, size_t k) const {
    return space_.knobs[k].name + " " + space_.knobs[k].variants[c[k]].text;
  }
  bool Is(const std::set<std::string>& names, const Candidate& candidate) const {
    for (size_t k = 0; k < space_.knobs.size(); ++k) {
      if (names.contains(NameOf(candidate, k))) return true;
    }
    return false;
  }
  double Normal() { return normal_(random_); }
  const Measured& Count(const Measured& got) {
    spent_s += got.cost_s;
    return got;
  }

  const Space& space_;
  SimulatedMachine machine_;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_{0, 1};
  double wander_ = 0;
  std::vector<Candidate> up_;
};

inline Assignment UsualDefaults() {
  return {{"threads", "0"},       {"parallel", "10"},      {"batch_size", "512"},  {"cpu_affinity", "none"},
          {"huge_pages", "true"}, {"cache_type_k", "f16"}, {"cache_type_v", "f16"}};
}

// Two cores of a socket with two hyper-threads each, unless described otherwise.
inline Space UsualSpace(Assignment start = UsualDefaults(),
                        const std::string& machine = "package:1 [numa] core:2 pu:2") {
  SpaceInput input;
  input.topology = platform::ReadSyntheticTopology(machine).value();
  input.defaults = UsualDefaults();
  input.start = std::move(start);
  return MakeSpace(input);
}

}  // namespace tenfold::tune
