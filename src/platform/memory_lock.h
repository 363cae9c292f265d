// Keeping pages in memory (mlock), as far as this process may: the limit is looked at first, what fits is locked, and
// what does not is explained. Never fails the caller: a model that may be swapped out still answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace tenfold::platform {

// What the system lets this process lock.
struct LockAllowance {
  bool unlimited = false;    // RLIMIT_MEMLOCK is infinite, or the capability CAP_IPC_LOCK overrides it
  uint64_t limit_bytes = 0;  // RLIMIT_MEMLOCK, after the soft limit was raised to the hard one
  uint64_t room_bytes = 0;   // of the limit, what is not used yet
};
// Raises the soft limit as far as it goes, which every process may. Any thread.
LockAllowance DetectLockAllowance();

struct LockResult {
  size_t locked_bytes = 0;
  std::string reason;  // empty when everything was locked; else why not, and what to raise
};
// Locks as much of the buffer, from its start, as is allowed. Untouched pages are filled in by it.
LockResult LockMemory(std::span<const uint8_t> bytes);

}  // namespace tenfold::platform
