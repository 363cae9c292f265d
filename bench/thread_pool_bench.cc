// What one phase of the thread pool costs beyond its work: threads that spin, threads that sleep, and the caller alone.
//
// The time of an empty phase is what the pool adds to each of the seven phases of a layer. Run it on an idle machine:
// beside other work these figures are the scheduler's, not the pool's.
#include <benchmark/benchmark.h>

#include <thread>

#include "base/clock.h"
#include "platform/cpu.h"
#include "platform/thread_pool.h"

namespace tenfold {
namespace {

int Threads() { return std::max(2, platform::DetectCpuBudget().threads); }

void WorkFor(int64_t ns) {
  const int64_t end = NowNs() + ns;
  while (NowNs() < end) __builtin_ia32_pause();
}

// range(0): items a phase, range(1): nanoseconds of work an item. Between phases nothing: all threads spin.
void BM_PhaseSpinning(benchmark::State& state) {
  platform::ThreadPool pool(Threads(), nullptr);
  const int64_t items = state.range(0);
  const int64_t ns = state.range(1);
  for (auto _ : state) {
    pool.ParallelFor(items, [ns](int64_t, int) {
      if (ns > 0) WorkFor(ns);
    });
  }
  state.counters["threads"] = pool.threads();
}
BENCHMARK(BM_PhaseSpinning)
    ->Args({1, 0})
    ->Args({2, 0})
    ->Args({64, 0})
    ->Args({2, 5000})
    ->Args({64, 5000})
    ->UseRealTime();

// The first phase after the others went to sleep: from the call to its return.
void BM_PhaseAfterSleep(benchmark::State& state) {
  platform::ThreadPool pool(Threads(), nullptr);
  const int64_t items = state.range(0);
  const int64_t ns = state.range(1);
  for (auto _ : state) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const int64_t begin = NowNs();
    pool.ParallelFor(items, [ns](int64_t, int) { WorkFor(ns); });
    state.SetIterationTime(static_cast<double>(NowNs() - begin) * 1e-9);
  }
}
BENCHMARK(BM_PhaseAfterSleep)->Args({2, 5000})->Args({64, 5000})->UseManualTime();

}  // namespace
}  // namespace tenfold
BENCHMARK_MAIN();
