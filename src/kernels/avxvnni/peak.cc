// AVX-VNNI's peak: products of bytes summed by fours into 32 bits, in ymm registers with the VEX encoding.
#include "kernels/peak_loops.h"

namespace tenfold::kernels {
namespace {

#define TENFOLD_DOT(n) "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" n "\n\t"
void Dot(int64_t turns) {
  asm volatile(
      "vpbroadcastd %[bytes], %%ymm14\n\t"
      "vpbroadcastd %[bytes], %%ymm15\n\t"
      "1:\n\t" TENFOLD_PEAK_24(TENFOLD_DOT) "dec %[turns]\n\tjnz 1b"
      : [turns] "+r"(turns)
      : [bytes] "m"(kPeakBytes)
      : TENFOLD_PEAK_CLOBBERS);
}

}  // namespace

const PeakTable kPeakAvxVnni = {1, {{"vpdpbusd ymm (VEX)", PeakKind::kInteger, 24, int64_t{24} * 32, Dot}, {}, {}, {}}};

}  // namespace tenfold::kernels
