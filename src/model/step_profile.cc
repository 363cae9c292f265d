#include "model/step_profile.h"

#include "base/clock.h"

namespace tenfold::model {

std::string_view NameOf(Phase phase) {
  static constexpr std::string_view kNames[] = {"prepare",    "embed",     "norm+quantise", "qkv",
                                                "rope+store", "attention", "quantise",      "attention out",
                                                "gate/up",    "down",      "head"};
  static_assert(std::size(kNames) == static_cast<size_t>(Phase::kCount));
  return kNames[static_cast<size_t>(phase)];
}

void StepProfile::Start() { last_ns_ = NowNs(); }

void StepProfile::BeginParallel(Phase phase) {
  phase_ = phase;
  for (Worker& worker : workers_) worker = {};
  begin_ns_ = NowNs();
}

void StepProfile::EndParallel() {
  const int64_t now = NowNs();
  PhaseTime& time = phases_[static_cast<size_t>(phase_)];
  time.wall_ns += now - last_ns_;
  time.serial_ns += begin_ns_ - last_ns_;
  for (const Worker& worker : workers_) time.busy_ns += worker.last_ns - worker.first_ns;
  ++time.runs;
  last_ns_ = now;
}

void StepProfile::Enter(int worker) {
  Worker& w = workers_[static_cast<size_t>(worker)];
  if (w.first_ns == 0) w.first_ns = NowNs();
}

void StepProfile::Leave(int worker) { workers_[static_cast<size_t>(worker)].last_ns = NowNs(); }

int64_t StepProfile::TotalNs() const {
  int64_t total = 0;
  for (const PhaseTime& time : phases_) total += time.wall_ns;
  return total;
}

}  // namespace tenfold::model
