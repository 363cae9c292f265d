// The yardsticks themselves: a loop's time is proportional to its turns, no loop beats what two instructions a cycle
// allow by more than the clock's error, and memory is read whole.
#include "kernels/peak.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "kernels/test_isas.h"

namespace tenfold::kernels {
namespace {

// The least of many short runs: what is left when nobody disturbs.
double LeastNs(const std::function<void()>& run) {
  double least = 1e18;
  for (int i = 0; i < 60; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    least = std::min(least, took.count());
  }
  return least;
}

TEST(Peak, TheChainTakesTimeInProportionToItsTurns) {
  const double one = LeastNs([] { RunCycleChain(500); });
  const double four = LeastNs([] { RunCycleChain(2000); });
  EXPECT_GT(four, 3.0 * one);
  EXPECT_LT(four, 5.0 * one);
  // 500 * 64 cycles: no CPU that runs this has a clock beyond 10 GHz, or below 0.1.
  EXPECT_GT(one, 500 * kChainCycles / 10.0);
  EXPECT_LT(one, 500 * kChainCycles / 0.1);
}

TEST(Peak, EveryLoopRunsWhatItSays) {
  for (const Isa isa : TestIsas()) {
    for (const PeakLoop& loop : PeakLoopsOf(isa)) {
      SCOPED_TRACE(std::string(NameOf(isa)) + " " + loop.name);
      const double one = LeastNs([&] { loop.run(1000); });
      const double four = LeastNs([&] { loop.run(4000); });
      EXPECT_GT(four, 3.0 * one);
      EXPECT_LT(four, 5.0 * one);
      EXPECT_EQ(loop.macs % loop.instructions, 0);
      const double cycle_ns = LeastNs([] { RunCycleChain(500); }) / (500 * kChainCycles);
      const double per_cycle = 4000.0 * static_cast<double>(loop.instructions) * cycle_ns / four;
      EXPECT_GT(per_cycle, 0.4);
      EXPECT_LT(per_cycle, 4.5);  // no vector unit of today starts more
    }
  }
}

TEST(Peak, ScalarCodeHasNoPeakLoop) { EXPECT_TRUE(PeakLoopsOf(Isa::kScalar).empty()); }

TEST(Peak, EveryInstructionSetHasALoopOfEveryKind) {
  for (const Isa isa : {Isa::kAvx2, Isa::kAvxVnni, Isa::kAvx512Vnni}) {
    const std::vector<PeakLoop> loops = PeakLoopsOf(isa);
    for (const PeakKind kind : {PeakKind::kInteger, PeakKind::kInt16, PeakKind::kFloat}) {
      EXPECT_TRUE(std::any_of(loops.begin(), loops.end(), [&](const PeakLoop& l) { return l.kind == kind; }))
          << NameOf(isa);
    }
  }
}

TEST(Peak, MemoryIsReadWhole) {
  struct alignas(64) Line {
    uint8_t bytes[64];
  };
  std::vector<Line> memory(8 * 256 / 64 * 3);
  uint8_t* const bytes = memory[0].bytes;
  const size_t size = memory.size() * sizeof(Line);
  for (const int streams : {1, 2, 4, 8}) {
    for (const size_t ahead : {size_t{0}, size_t{2048}}) {
      ASSERT_EQ(ReadMemory(bytes, size, streams, ahead), 0u);
      for (size_t i = 0; i < size; i += 37) {
        bytes[i] = 1;
        EXPECT_NE(ReadMemory(bytes, size, streams, ahead), 0u) << "byte " << i << ", streams " << streams;
        bytes[i] = 0;
      }
    }
  }
}

}  // namespace
}  // namespace tenfold::kernels
