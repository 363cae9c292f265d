#include "bench/roofline.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <utility>

#include "base/clock.h"

namespace tenfold::bench {
namespace {

constexpr int kWindows = 12;            // of each kind in a round
constexpr int64_t kPeakTurns = 12'000;  // 12 cycles a turn where two instructions start in each: 50 us at 3 GHz
constexpr int64_t kChainTurns = 1'000;  // 64,000 cycles
constexpr size_t kReadWindow = size_t{8} << 20;  // bytes of a thread in one window
constexpr size_t kReadGrain = 8 * 256;           // whole stretches of the most streams
constexpr int64_t kArriveNs = 3'000'000;         // longest wait for a thread that has no CPU
constexpr int kStreams[] = {1, 2, 4, 8};
constexpr size_t kPrefetchBytes[] = {0, 2048};

double Seconds(int64_t ns) { return static_cast<double>(ns) * 1e-9; }

// Cycles a second, by the chain.
double ClockHz() {
  const int64_t begin = NowNs();
  kernels::RunCycleChain(kChainTurns);
  return static_cast<double>(kChainTurns * kernels::kChainCycles) / Seconds(NowNs() - begin);
}

// A buffer that no cache holds a useful part of.
size_t BufferBytes() {
  const int64_t cache = std::max<int64_t>(0, sysconf(_SC_LEVEL3_CACHE_SIZE));
  return static_cast<size_t>(std::clamp(4 * cache, int64_t{256} << 20, int64_t{512} << 20));
}

}  // namespace

double RunTogether(platform::ThreadPool& pool, const std::function<void(int)>& fn) {
  const int threads = pool.threads();
  std::atomic<int> arrived{0};
  std::atomic<bool> called_off{false};
  std::atomic<int64_t> first_begin{INT64_MAX};
  std::atomic<int64_t> last_end{0};
  // Nobody leaves an item before all have arrived, so every item has a thread of its own.
  pool.ParallelFor(threads, [&](int64_t item, int) {
    const int64_t deadline = NowNs() + kArriveNs;
    arrived.fetch_add(1);
    while (arrived.load() < threads && !called_off.load()) {
      if (NowNs() > deadline) called_off.store(true);
      __builtin_ia32_pause();
    }
    if (called_off.load()) return;
    int64_t begin = NowNs();
    fn(static_cast<int>(item));
    int64_t end = NowNs();
    for (int64_t seen = first_begin.load(); begin < seen && !first_begin.compare_exchange_weak(seen, begin);) {
    }
    for (int64_t seen = last_end.load(); end > seen && !last_end.compare_exchange_weak(seen, end);) {
    }
  });
  return called_off.load() ? 0 : Seconds(last_end.load() - first_begin.load());
}

double Peak::instructions_per_cycle() const {
  if (clock_hz <= 0) return 0;
  return macs_per_s / static_cast<double>(loop.macs) * static_cast<double>(loop.instructions) / clock_hz;
}

double Peak::macs_per_cycle() const { return clock_hz <= 0 ? 0 : macs_per_s / clock_hz; }

double Roofline::AllMacsPerS(kernels::Isa isa, kernels::PeakKind kind) const {
  double best = 0;
  for (const Peak& peak : peaks) {
    if (peak.isa == isa && peak.loop.kind == kind) best = std::max(best, peak.all_macs_per_s);
  }
  return best;
}

RooflineMeter::RooflineMeter(platform::ThreadPool& pool, platform::HugeBuffer buffer)
    : pool_(&pool), buffer_(std::move(buffer)) {}

Result<RooflineMeter> RooflineMeter::Create(platform::ThreadPool& pool, std::vector<kernels::Isa> isas) {
  TENFOLD_TRY(platform::HugeBuffer buffer, platform::HugeBuffer::Allocate(BufferBytes()));
  RooflineMeter meter(pool, std::move(buffer));
  uint8_t* const data = meter.buffer_.data();
  constexpr size_t kPart = size_t{1} << 20;
  pool.ParallelFor(static_cast<int64_t>(meter.buffer_.size() / kPart), [&](int64_t part, int) {
    std::fill_n(data + static_cast<size_t>(part) * kPart, kPart, static_cast<uint8_t>(part + 1));
  });
  meter.best_.threads = pool.threads();
  meter.best_.buffer_bytes = meter.buffer_.size();
  meter.best_.huge_pages = meter.buffer_.asked_huge_pages() && platform::HugePagesAllowed();
  for (const kernels::Isa isa : isas) {
    for (const kernels::PeakLoop& loop : kernels::PeakLoopsOf(isa)) {
      meter.best_.peaks.push_back({.isa = isa, .loop = loop});
    }
  }
  return meter;
}

void RooflineMeter::Measure() {
  for (Peak& peak : best_.peaks) MeasurePeak(peak);
  for (const int streams : kStreams) {
    for (const size_t prefetch_bytes : kPrefetchBytes) MeasureReading(streams, prefetch_bytes);
  }
}

void RooflineMeter::MeasurePeak(Peak& peak) {
  const double macs = static_cast<double>(kPeakTurns * peak.loop.macs);
  peak.loop.run(kPeakTurns / 10);  // wide units may have to wake up, and lower the clock
  for (int i = 0; i < kWindows; ++i) {
    const double before = ClockHz();
    const int64_t begin = NowNs();
    peak.loop.run(kPeakTurns);
    const double rate = macs / Seconds(NowNs() - begin);
    const double after = ClockHz();
    // A chain is only ever slowed by who disturbs it. Where the two disagree the clock of the window is not known.
    const double clock = std::max(before, after);
    best_.clock_hz = std::max(best_.clock_hz, clock);
    if (std::min(before, after) < 0.98 * clock || rate <= peak.macs_per_s) continue;
    peak.macs_per_s = rate;
    peak.clock_hz = clock;
  }
  for (int i = 0; i < kWindows; ++i) {
    const double seconds = RunTogether(*pool_, [&](int) { peak.loop.run(4 * kPeakTurns); });
    if (seconds > 0) peak.all_macs_per_s = std::max(peak.all_macs_per_s, 4 * macs * best_.threads / seconds);
  }
}

// Walks through the buffer, so that what a window reads was last read a whole buffer ago.
size_t RooflineMeter::NextPart(size_t bytes) {
  if (at_ + bytes > buffer_.size()) at_ = 0;
  return std::exchange(at_, at_ + bytes);
}

void RooflineMeter::MeasureReading(int streams, size_t prefetch_bytes) {
  Bandwidth& read = best_.read;
  std::atomic<uint64_t> sink{0};
  for (int i = 0; i < kWindows / 2; ++i) {
    const uint8_t* const from = buffer_.data() + NextPart(kReadWindow);
    const int64_t begin = NowNs();
    sink ^= kernels::ReadMemory(from, kReadWindow, streams, prefetch_bytes);
    const double rate = static_cast<double>(kReadWindow) / Seconds(NowNs() - begin);
    if (rate > read.one_thread) {
      read.one_thread = rate;
      read.one_streams = streams;
      read.one_prefetch_bytes = prefetch_bytes;
    }
  }
  for (int i = 0; i < kWindows / 2; ++i) {
    const auto threads = static_cast<size_t>(best_.threads);
    const size_t each = std::min(kReadWindow, buffer_.size() / 2 / threads / kReadGrain * kReadGrain);
    const size_t all = each * threads;
    const uint8_t* const from = buffer_.data() + NextPart(all);
    const double seconds = RunTogether(*pool_, [&](int t) {
      sink ^= kernels::ReadMemory(from + static_cast<size_t>(t) * each, each, streams, prefetch_bytes);
    });
    const double rate = seconds > 0 ? static_cast<double>(all) / seconds : 0;
    if (rate > read.all_threads) {
      read.all_threads = rate;
      read.all_streams = streams;
      read.all_prefetch_bytes = prefetch_bytes;
    }
  }
}

}  // namespace tenfold::bench
