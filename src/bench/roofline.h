// What this machine can do at most, measured: bytes read from memory and multiplications a second, on one thread and on
// all. Every speed of `tenfold bench engine` is printed as a part of these.
//
// What it does: keeps the best of many windows of a fraction of a millisecond, because a roof is a maximum and a shared
// machine has quiet moments of that length only. The clock is measured beside every window by a chain of dependent
// additions, so that "instructions a cycle" holds whatever the clock does. What it does not: print.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "kernels/isa.h"
#include "kernels/peak.h"
#include "platform/memory.h"
#include "platform/thread_pool.h"

namespace tenfold::bench {

// One loop on one thread (with its clock) and on all threads at once.
struct Peak {
  kernels::Isa isa = kernels::Isa::kScalar;
  kernels::PeakLoop loop{};
  double macs_per_s = 0;                  // one thread, best window
  double clock_hz = 0;                    // in that window
  double all_macs_per_s = 0;              // every thread in the same window
  double instructions_per_cycle() const;  // one thread; 0: not measured yet
  double macs_per_cycle() const;
};

struct Bandwidth {
  double one_thread = 0;  // bytes a second
  double all_threads = 0;
  int one_streams = 0;  // how the best window read: streams of each thread, and how far ahead it asked
  int all_streams = 0;
  size_t one_prefetch_bytes = 0;
  size_t all_prefetch_bytes = 0;
};

struct Roofline {
  int threads = 1;
  size_t buffer_bytes = 0;
  bool huge_pages = false;
  double clock_hz = 0;  // the highest the chain has shown
  Bandwidth read;
  std::vector<Peak> peaks;

  // All threads' best rate among the loops of that set and kind; 0: none was measured (scalar).
  double AllMacsPerS(kernels::Isa isa, kernels::PeakKind kind) const;
};

// Measures on the threads of a pool; driven by its caller.
class RooflineMeter {
 public:
  // Takes a buffer four times the last-level cache (256 to 512 MiB) and fills it. isas: whose loops to run, each
  // supported here. Errors: kResourceExhausted.
  static Result<RooflineMeter> Create(platform::ThreadPool& pool, std::vector<kernels::Isa> isas);

  // One round, some 0.2 s for each instruction set on an idle machine: every loop and every way to read, each in
  // several windows. Any number of rounds; they only ever raise the result.
  void Measure();
  const Roofline& best() const { return best_; }

 private:
  RooflineMeter(platform::ThreadPool& pool, platform::HugeBuffer buffer);
  void MeasurePeak(Peak& peak);
  void MeasureReading(int streams, size_t prefetch_bytes);
  size_t NextPart(size_t bytes);

  platform::ThreadPool* pool_;
  platform::HugeBuffer buffer_;
  size_t at_ = 0;
  Roofline best_;
};

// Runs fn(0 .. threads - 1), each on a thread of its own, after all have arrived. The seconds from the first start to
// the last end; 0 when some thread did not get a CPU in time (fn has then not run at all).
double RunTogether(platform::ThreadPool& pool, const std::function<void(int)>& fn);

}  // namespace tenfold::bench
