// How much of a machine's free memory the pool of KV pages takes when nobody says: pure arithmetic, shared by the
// loader, which does it, and inspect/, which tells of it.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tenfold::kv {

// Left alone for activations, sockets, and whatever else the machine does: an eighth, and never less than 128 MiB.
inline uint64_t MarginBytes(uint64_t left_bytes) { return std::max(left_bytes / 8, uint64_t{128} << 20); }

// What a pool may take of the memory that is left once the weights are there. Pages are touched only when they are
// first used, so a pool that is never needed costs nothing.
inline uint64_t PoolBytes(uint64_t left_bytes) {
  const uint64_t margin = MarginBytes(left_bytes);
  return left_bytes > margin ? left_bytes - margin : 0;
}

}  // namespace tenfold::kv
