// The loops that measure arithmetic peaks, as each instruction set's folder provides them. Plain data and function
// pointers only, so that the folders can include it (see float_kernels.h).
//
// Operands are neither zero nor denormal: zeros would draw less power than a model does and flatter the clock.
#pragma once

#include <cstdint>

namespace tenfold::kernels {

constexpr uint32_t kPeakBytes = 0x472e153b;  // operands of the integer loops: no zeros, all positive

enum class PeakKind { kInteger, kInt16, kFloat };

struct PeakLoop {
  const char* name = "";               // "vpdpbusd zmm"
  PeakKind kind = PeakKind::kInteger;  // products of 8-bit integers, of 16-bit ones, or of floats
  int64_t instructions = 0;            // in one turn of the loop
  int64_t macs = 0;                    // multiplications, each with its addition, in one turn
  void (*run)(int64_t turns) = nullptr;
};

struct PeakTable {
  int count;
  PeakLoop loops[4];
};

extern const PeakTable kPeakAvx2;
extern const PeakTable kPeakAvxVnni;
extern const PeakTable kPeakAvx512Vnni;

}  // namespace tenfold::kernels

// 24 instructions over 12 independent accumulators, registers 0 to 11: more than latency (at most 5) times rate (2). I
// is a macro from a register's number to an instruction; operands are in registers 14 and 15.
#define TENFOLD_PEAK_12(I) I("0") I("1") I("2") I("3") I("4") I("5") I("6") I("7") I("8") I("9") I("10") I("11")
#define TENFOLD_PEAK_24(I) TENFOLD_PEAK_12(I) TENFOLD_PEAK_12(I)
#define TENFOLD_PEAK_CLOBBERS                                                                                      \
  "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm14", \
      "xmm15"
