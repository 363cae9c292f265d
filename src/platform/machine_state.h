// What a machine is like at this moment, as far as it decides how a server fares on it: memory, swap, huge pages, who
// else takes CPU time, clocks. Facts alone; doctor/ says what they mean.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tenfold::platform {

struct MachineState {
  uint64_t memory_total_bytes = 0;      // 0: unknown
  uint64_t memory_available_bytes = 0;  // to this process (available_memory.h); 0: unknown
  uint64_t memory_limit_bytes = 0;      // of the cgroup; 0: none
  uint64_t swap_total_bytes = 0;
  uint64_t swap_free_bytes = 0;
  std::string huge_pages;      // "always", "madvise" or "never"; "" unknown
  uint64_t hugetlb_bytes = 0;  // set apart for hugetlbfs, which we do not use
  double load_average = -1;    // of the last minute; below 0: unknown
  // Of the CPUs this process may use, each once: "performance", "powersave (intel_pstate)"; empty: the system does not
  // say, as in most virtual machines.
  std::vector<std::string> governors;
};
// root: "" for the real system; tests pass a folder that holds proc/ and sys/ trees. Any thread.
MachineState ReadMachineState(const std::string& root = "");

// CPU time of the whole machine since it was started, in the kernel's ticks (proc(5), stat).
struct CpuTimes {
  uint64_t all = 0;    // idle included; 0: unknown
  uint64_t busy = 0;   // of it, neither idle nor waiting for disks nor stolen
  uint64_t steal = 0;  // what a hypervisor gave to others while we wanted it
};
CpuTimes ReadCpuTimes(const std::string& root = "");

// Parts of the time between two readings.
struct CpuShares {
  double busy = 0;
  double steal = 0;
};
// None where no time passed or it is unknown. Pure.
std::optional<CpuShares> SharesBetween(const CpuTimes& before, const CpuTimes& after);

// Part of a file's bytes that is in the page cache. None if it cannot be known: the kernel tells only who owns the
// file or may write it.
std::optional<double> CachedShare(const std::string& path);

}  // namespace tenfold::platform
