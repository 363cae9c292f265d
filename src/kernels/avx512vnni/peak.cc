// AVX-512 VNNI's peaks, in both widths: some CPUs (Zen 4) run a zmm instruction as two halves, so that zmm and ymm give
// the same, others twice as much with zmm, and a few lower their clock for it.
#include "kernels/peak_loops.h"

namespace tenfold::kernels {
namespace {

#define TENFOLD_DOT_ZMM(n) "vpdpbusd %%zmm14, %%zmm15, %%zmm" n "\n\t"
void DotZmm(int64_t turns) {
  asm volatile(
      "vpbroadcastd %[bytes], %%zmm14\n\t"
      "vpbroadcastd %[bytes], %%zmm15\n\t"
      "1:\n\t" TENFOLD_PEAK_24(TENFOLD_DOT_ZMM) "dec %[turns]\n\tjnz 1b"
      : [turns] "+r"(turns)
      : [bytes] "m"(kPeakBytes)
      : TENFOLD_PEAK_CLOBBERS);
}

#define TENFOLD_DOT_YMM(n) "vpdpbusd %%ymm14, %%ymm15, %%ymm" n "\n\t"
void DotYmm(int64_t turns) {
  asm volatile(
      "vpbroadcastd %[bytes], %%ymm14\n\t"
      "vpbroadcastd %[bytes], %%ymm15\n\t"
      "1:\n\t" TENFOLD_PEAK_24(TENFOLD_DOT_YMM) "dec %[turns]\n\tjnz 1b"
      : [turns] "+r"(turns)
      : [bytes] "m"(kPeakBytes)
      : TENFOLD_PEAK_CLOBBERS);
}

#define TENFOLD_DOT_WORDS(n) "vpdpwssd %%zmm14, %%zmm15, %%zmm" n "\n\t"
void DotWordsZmm(int64_t turns) {
  asm volatile(
      "vpbroadcastd %[words], %%zmm14\n\t"
      "vpbroadcastd %[words], %%zmm15\n\t"
      "1:\n\t" TENFOLD_PEAK_24(TENFOLD_DOT_WORDS) "dec %[turns]\n\tjnz 1b"
      : [turns] "+r"(turns)
      : [words] "m"(kPeakBytes)
      : TENFOLD_PEAK_CLOBBERS);
}

#define TENFOLD_FMA(n) "vfmadd231ps %%zmm14, %%zmm15, %%zmm" n "\n\t"
#define TENFOLD_CLEAR(n) "vxorps %%ymm" n ", %%ymm" n ", %%ymm" n "\n\t"
void MultiplyAddZmm(int64_t turns) {
  static constexpr float kFactor = 0.37f;  // sums stay far below the largest float for longer than anybody waits
  asm volatile(TENFOLD_PEAK_12(TENFOLD_CLEAR)
               "vbroadcastss %[factor], %%zmm14\n\t"
               "vbroadcastss %[factor], %%zmm15\n\t"
               "1:\n\t" TENFOLD_PEAK_24(TENFOLD_FMA) "dec %[turns]\n\tjnz 1b"
               : [turns] "+r"(turns)
               : [factor] "m"(kFactor)
               : TENFOLD_PEAK_CLOBBERS);
}

}  // namespace

const PeakTable kPeakAvx512Vnni = {
    4,
    {{"vpdpbusd zmm", PeakKind::kInteger, 24, int64_t{24} * 64, DotZmm},
     {"vpdpbusd ymm", PeakKind::kInteger, 24, int64_t{24} * 32, DotYmm},
     {"vpdpwssd zmm", PeakKind::kInt16, 24, int64_t{24} * 32, DotWordsZmm},
     {"vfmadd231ps zmm", PeakKind::kFloat, 24, int64_t{24} * 16, MultiplyAddZmm}},
};

}  // namespace tenfold::kernels
