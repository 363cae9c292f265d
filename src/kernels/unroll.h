// Full unrolling of the short constant loops that index arrays of vector registers: left as loops, the arrays would
// live in memory. At most 16 turns.
#pragma once

#if defined(__clang__)
#define TENFOLD_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TENFOLD_UNROLL _Pragma("GCC unroll 16")
#endif
