// Time as the rooms see it: microseconds that only go forward. Tests pass their own.
#pragma once

#include <chrono>
#include <cstdint>

namespace tenfold {

// Microseconds on the steady clock, from an arbitrary start. Any thread.
inline int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace tenfold
