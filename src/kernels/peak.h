// What one core can do at most: loops of one instruction and nothing else, a chain that shows the clock, and a reader
// of memory. The yardstick of `tenfold bench roofline`, and through it of every speed we print.
//
// What it does: runs a stated number of instructions. What it does not: take the time; bench/ does, in windows short
// enough to miss the neighbours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/isa.h"
#include "kernels/peak_loops.h"

namespace tenfold::kernels {

// The loops of one instruction set; none for kScalar, whose plain code has no one instruction to be measured by.
// Running a loop needs IsSupported(isa).
std::vector<PeakLoop> PeakLoopsOf(Isa isa);

// Runs turns * kChainCycles additions, each of which waits for the one before: as many cycles on every x86-64 so far
// (an addition of two registers takes one, and none is removed at renaming as additions of constants are by some).
inline constexpr int64_t kChainCycles = 64;
void RunCycleChain(int64_t turns);

// Reads [p, p + bytes) once, as `streams` equal parts side by side, asking for lines prefetch_bytes ahead in each (0:
// leaves that to the hardware). Returns a value that depends on all of it. bytes: a multiple of streams * 256, streams
// 1, 2, 4 or 8; p on a cache line. 16-byte loads: a core reads several times faster than any memory answers that way.
uint64_t ReadMemory(const uint8_t* p, size_t bytes, int streams, size_t prefetch_bytes);

}  // namespace tenfold::kernels
