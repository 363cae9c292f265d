// Time as the rooms see it: it only goes forward. Tests pass their own.
#pragma once

#include <chrono>
#include <cstdint>

namespace tenfold {

// Microseconds on the steady clock, from an arbitrary start. Any thread.
inline int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// The same clock in nanoseconds, for measuring what takes microseconds; a call costs some 25 of them. Any thread.
inline int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace tenfold
