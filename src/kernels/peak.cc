#include "kernels/peak.h"

#include <emmintrin.h>

#include "base/check.h"
#include "kernels/unroll.h"

namespace tenfold::kernels {
namespace {

constexpr size_t kStretch = 256;  // of each stream in turn

// The sums must stay in registers: left as an array that a loop runs over, GCC 12 keeps them in memory at -O2, and the
// reader was as slow as its own stores (18.9 GB/s on a Zen 4 core).
template <int kStreams>
__m128i ReadStreams(const uint8_t* p, size_t stream_bytes, size_t prefetch_bytes) {
  const auto load = [](const uint8_t* from) { return _mm_load_si128(reinterpret_cast<const __m128i*>(from)); };
  __m128i a = _mm_setzero_si128();
  __m128i b = a;
  __m128i c = a;
  __m128i d = a;
  for (size_t at = 0; at < stream_bytes; at += kStretch) {
    for (int s = 0; s < kStreams; ++s) {
      const uint8_t* const from = p + static_cast<size_t>(s) * stream_bytes + at;
      TENFOLD_UNROLL
      for (size_t line = 0; line < kStretch; line += 64) {
        if (prefetch_bytes != 0) __builtin_prefetch(from + line + prefetch_bytes);
        a = _mm_xor_si128(a, load(from + line));
        b = _mm_xor_si128(b, load(from + line + 16));
        c = _mm_xor_si128(c, load(from + line + 32));
        d = _mm_xor_si128(d, load(from + line + 48));
      }
    }
  }
  return _mm_xor_si128(_mm_xor_si128(a, b), _mm_xor_si128(c, d));
}

__m128i Read(const uint8_t* p, size_t stream_bytes, int streams, size_t prefetch_bytes) {
  switch (streams) {
    case 1:
      return ReadStreams<1>(p, stream_bytes, prefetch_bytes);
    case 2:
      return ReadStreams<2>(p, stream_bytes, prefetch_bytes);
    case 4:
      return ReadStreams<4>(p, stream_bytes, prefetch_bytes);
    case 8:
      return ReadStreams<8>(p, stream_bytes, prefetch_bytes);
    default:
      TENFOLD_CHECK(false, "1, 2, 4 or 8 streams are read");
      return _mm_setzero_si128();
  }
}

}  // namespace

std::vector<PeakLoop> PeakLoopsOf(Isa isa) {
  const auto loops = [](const PeakTable& table) {
    return std::vector<PeakLoop>(table.loops, table.loops + table.count);
  };
  switch (isa) {
    case Isa::kScalar:
      return {};
    case Isa::kAvx2:
      return loops(kPeakAvx2);
    case Isa::kAvxVnni: {
      std::vector<PeakLoop> all = loops(kPeakAvxVnni);
      for (const PeakLoop& loop : loops(kPeakAvx2)) {
        if (loop.kind != PeakKind::kInteger) all.push_back(loop);
      }
      return all;
    }
    case Isa::kAvx512Vnni:
      return loops(kPeakAvx512Vnni);
  }
  return {};
}

void RunCycleChain(int64_t turns) {
  int64_t sum = 0;
  const int64_t one = 1;
#define TENFOLD_ADD_4 "add %[one], %[sum]\n\tadd %[one], %[sum]\n\tadd %[one], %[sum]\n\tadd %[one], %[sum]\n\t"
#define TENFOLD_ADD_16 TENFOLD_ADD_4 TENFOLD_ADD_4 TENFOLD_ADD_4 TENFOLD_ADD_4
  asm volatile("1:\n\t" TENFOLD_ADD_16 TENFOLD_ADD_16 TENFOLD_ADD_16 TENFOLD_ADD_16 "dec %[turns]\n\tjnz 1b"
               : [turns] "+r"(turns), [sum] "+r"(sum)
               : [one] "r"(one)
               : "cc");
#undef TENFOLD_ADD_16
#undef TENFOLD_ADD_4
}

uint64_t ReadMemory(const uint8_t* p, size_t bytes, int streams, size_t prefetch_bytes) {
  const size_t stream_bytes = bytes / static_cast<size_t>(streams);
  TENFOLD_CHECK(stream_bytes % kStretch == 0, "streams are read in stretches of 256 bytes");
  const __m128i sum = Read(p, stream_bytes, streams, prefetch_bytes);
  return static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_xor_si128(sum, _mm_unpackhi_epi64(sum, sum))));
}

}  // namespace tenfold::kernels
