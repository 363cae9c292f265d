// What the tiles of attention share: the pages of one block and how they are prefetched. Included by attend_half.h and
// attend_int8.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/float_kernels.h"

namespace tenfold::kernels {
namespace {

constexpr int64_t kPage = 16;
constexpr int64_t kBlockPages = kBlockTokens / kPage;

inline int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t Max(int64_t a, int64_t b) { return a > b ? a : b; }

// The K, or the V, of the pages of one block.
struct BlockPages {
  const uint8_t* at[kBlockPages];
  ptrdiff_t ahead[kBlockPages];  // from there to what is read after it, in bytes
};

// Why this cache: attend_tiles.h.
inline void PrefetchToSecondLevel(const uint8_t* p) { __builtin_prefetch(p, 0, 2); }

}  // namespace
}  // namespace tenfold::kernels
