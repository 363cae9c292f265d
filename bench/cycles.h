// Speeds a cycle: the clock of this core beside a benchmark's loop, shown by a chain of dependent additions. A clock
// that drifts, or that wide instructions lower, then does not move the figure.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>

#include "base/clock.h"
#include "kernels/peak.h"

namespace tenfold {

class CycleClock {
 public:
  CycleClock() : hz_(Look()) {}

  // Adds the counters "GMAC/s" and "MAC/cycle", and "GB/s" where bytes are more than 0. Ask right after the loop; macs
  // and bytes are of all its iterations.
  void Report(benchmark::State& state, double macs, double bytes) const {
    const double hz = std::max(hz_, Look());
    state.counters["GMAC/s"] = benchmark::Counter(macs * 1e-9, benchmark::Counter::kIsRate);
    state.counters["MAC/cycle"] = benchmark::Counter(macs / hz, benchmark::Counter::kIsRate);
    if (bytes > 0) state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsRate);
  }

 private:
  // The fastest of a few looks of some 10 us: whoever disturbs one only makes it slower.
  static double Look() {
    constexpr int64_t kTurns = 500;
    int64_t least_ns = INT64_MAX;
    for (int i = 0; i < 6; ++i) {
      const int64_t begin = NowNs();
      kernels::RunCycleChain(kTurns);
      least_ns = std::min(least_ns, NowNs() - begin);
    }
    return static_cast<double>(kTurns * kernels::kChainCycles) * 1e9 / static_cast<double>(least_ns);
  }

  double hz_;
};

}  // namespace tenfold
