// How much more memory this process may take.
#pragma once

#include <cstdint>
#include <string>

namespace tenfold::platform {

// Bytes: MemAvailable of the machine, or what the cgroup (v2 or v1, every level of the path) still allows if that is
// less. 0 if unknown. root: "" for the real system; tests pass a directory with proc/ and sys/ trees.
uint64_t AvailableMemoryBytes(const std::string& root = "");

// The tightest limit of those cgroups, used or not; 0: none.
uint64_t MemoryLimitBytes(const std::string& root = "");

}  // namespace tenfold::platform
