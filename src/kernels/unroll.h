// Full unrolling of the short constant loops that index arrays of vector registers: left as loops, the arrays would
// live in memory. At most 16 turns.
#pragma once

// Not under clang's sanitizers: every access of an unrolled tile gets its own check, and a file of panels then took
// more than ten minutes to compile.
#if defined(__clang__)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TENFOLD_UNROLL
#else
#define TENFOLD_UNROLL _Pragma("clang loop unroll(full)")
#endif
#else
#define TENFOLD_UNROLL _Pragma("GCC unroll 16")
#endif
