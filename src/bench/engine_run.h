// The engine measured below HTTP: prompts and decode steps of many shapes, on the threads and with the loader that the
// server uses.
//
// What it does: loads the model as the server would, then runs every case once a round, in an order that turns around
// from round to round, with a little of the roofline at the start of each, so that what drifts drifts for all. What it
// does not: schedule (a case is one step, or one prompt in chunks), print, or judge.
//
// Keys and values of contexts are random halves written once: how long attention takes does not depend on them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/engine_case.h"
#include "bench/roofline.h"
#include "kernels/kv_format.h"
#include "model/step_profile.h"
#include "platform/placement.h"

namespace tenfold::bench {

struct EngineOptions {
  std::string model_path{};
  std::vector<EngineCase> cases{};
  int rounds = 5;
  int loads = 1;    // times the model is loaded; the last stays
  int threads = 0;  // 0: from the CPU budget, as the server
  platform::Affinity affinity{};
  std::string isa{};  // empty: TENFOLD_ISA or the widest
  bool exact = false;
  kernels::KvFormat kv_format{};
  bool profile = false;       // times phases too, in a run of its own beside every timed one
  int64_t step_tokens = 512;  // of a prompt in one step
  int64_t decode_steps = 4;   // in one run of a decode case
  uint64_t kv_bytes = 0;      // cases that need more are skipped; 0: half of the memory that the weights leave
  uint64_t seed = 1;
};

struct LoadStage {
  std::string name;
  double seconds = 0;
};
struct LoadTime {
  double seconds = 0;
  std::vector<LoadStage> stages;
};

// A run of a case: its phases, and the draws, which are no part of the model.
struct CaseProfile {
  model::StepProfile phases;
  double draw_seconds = 0;
  double seconds = 0;  // of all its steps, draws included
};

struct Sample {
  double seconds = 0;  // prefill: the whole prompt; decode: all steps, each with a draw for every sequence
  double cores = 0;    // CPU time of the process over that time: below the threads, somebody else had the rest
};

struct CaseResult {
  EngineCase c;
  std::string skipped{};  // why, if it was
  int64_t steps = 1;
  PhaseWork work{};  // of all steps of one run
  std::vector<Sample> samples{};
  std::optional<CaseProfile> profile{};  // the fastest of all
};

struct EngineResult {
  std::string isa{};
  int threads = 1;
  std::string architecture{};
  uint64_t file_bytes = 0;
  uint64_t weight_bytes = 0;
  bool huge_pages = false;
  std::vector<LoadTime> loads{};
  Roofline roofline{};
  std::vector<CaseResult> cases{};
  int rounds = 0;  // that were finished
  bool interrupted = false;
};

struct EngineWatch {
  std::function<bool()> stop;  // asked between steps; true: keep what there is and return
  std::function<void(const CaseResult& c, int round)> on_sample;  // c.samples.back() is new
};

// Blocks for minutes. Errors: what loading refuses; a model without any case that fits.
Result<EngineResult> RunEngine(const EngineOptions& options, const EngineWatch& watch);

}  // namespace tenfold::bench
