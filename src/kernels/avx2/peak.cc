// AVX2's peaks: what integer products are made of there, and fused multiply-adds.
#include "kernels/peak_loops.h"

namespace tenfold::kernels {
namespace {

// Products of bytes, sums of pairs: 32 multiplications an instruction. Where sums of several stay inside 16 bits this
// alone is the wall.
#define TENFOLD_MADDUBS(n) "vpmaddubsw %%ymm14, %%ymm15, %%ymm" n "\n\t"
void Maddubs(int64_t turns) {
  asm volatile(
      "vpbroadcastd %[bytes], %%ymm14\n\t"
      "vpbroadcastd %[bytes], %%ymm15\n\t"
      "1:\n\t" TENFOLD_PEAK_24(TENFOLD_MADDUBS) "dec %[turns]\n\tjnz 1b"
      : [turns] "+r"(turns)
      : [bytes] "m"(kPeakBytes)
      : TENFOLD_PEAK_CLOBBERS);
}

// The same with each result widened to 32 bits, as code does that cannot bound its sums: two instructions for 32.
#define TENFOLD_MADDUBS_MADD(n) \
  "vpmaddubsw %%ymm14, %%ymm15, %%ymm" n "\n\tvpmaddwd %%ymm" n ", %%ymm14, %%ymm" n "\n\t"
void MaddubsMadd(int64_t turns) {
  asm volatile(
      "vpbroadcastd %[bytes], %%ymm14\n\t"
      "vpbroadcastd %[bytes], %%ymm15\n\t"
      "1:\n\t" TENFOLD_PEAK_24(TENFOLD_MADDUBS_MADD) "dec %[turns]\n\tjnz 1b"
      : [turns] "+r"(turns)
      : [bytes] "m"(kPeakBytes)
      : TENFOLD_PEAK_CLOBBERS);
}

// Products of words, sums of pairs: 16 multiplications an instruction; the addition to a sum runs elsewhere.
#define TENFOLD_MADD(n) "vpmaddwd %%ymm14, %%ymm15, %%ymm" n "\n\t"
void Madd(int64_t turns) {
  asm volatile(
      "vpbroadcastd %[words], %%ymm14\n\t"
      "vpbroadcastd %[words], %%ymm15\n\t"
      "1:\n\t" TENFOLD_PEAK_24(TENFOLD_MADD) "dec %[turns]\n\tjnz 1b"
      : [turns] "+r"(turns)
      : [words] "m"(kPeakBytes)
      : TENFOLD_PEAK_CLOBBERS);
}

#define TENFOLD_FMA(n) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" n "\n\t"
#define TENFOLD_CLEAR(n) "vxorps %%ymm" n ", %%ymm" n ", %%ymm" n "\n\t"
void MultiplyAdd(int64_t turns) {
  static constexpr float kFactor = 0.37f;  // sums stay far below the largest float for longer than anybody waits
  asm volatile(TENFOLD_PEAK_12(TENFOLD_CLEAR)
               "vbroadcastss %[factor], %%ymm14\n\t"
               "vbroadcastss %[factor], %%ymm15\n\t"
               "1:\n\t" TENFOLD_PEAK_24(TENFOLD_FMA) "dec %[turns]\n\tjnz 1b"
               : [turns] "+r"(turns)
               : [factor] "m"(kFactor)
               : TENFOLD_PEAK_CLOBBERS);
}

}  // namespace

const PeakTable kPeakAvx2 = {
    4,
    {{"vpmaddubsw ymm", PeakKind::kInteger, 24, int64_t{24} * 32, Maddubs},
     {"vpmaddubsw+vpmaddwd ymm", PeakKind::kInteger, 48, int64_t{24} * 32, MaddubsMadd},
     {"vpmaddwd ymm", PeakKind::kInt16, 24, int64_t{24} * 16, Madd},
     {"vfmadd231ps ymm", PeakKind::kFloat, 24, int64_t{24} * 8, MultiplyAdd}},
};

}  // namespace tenfold::kernels
