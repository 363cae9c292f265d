// What this machine's processor can do, and how much of it this process may use.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tenfold::platform {

// Instruction sets usable here: the CPU has them and the operating system saves their registers.
struct CpuFeatures {
  bool avx2 = false;        // with fma, f16c, bmi2
  bool avxvnni = false;     // with avx2
  bool avx512vnni = false;  // with avx512f, bw, dq, vl, and avx2
  std::string model_name;   // "AMD EPYC ..."; "" if unknown
};
// Of this machine, found once. Any thread.
const CpuFeatures& DetectCpu();

// The words of cpuid and xgetbv that decide the above (Intel SDM vol. 2A, CPUID). Apart, so that tests can be any CPU.
struct CpuidWords {
  uint32_t leaf1_ecx = 0;
  uint32_t leaf7_ebx = 0;
  uint32_t leaf7_ecx = 0;
  uint32_t leaf7_1_eax = 0;  // leaf 7, sub-leaf 1
  uint64_t xcr0 = 0;         // registers the operating system saves; 0 without OSXSAVE
};
// model_name is left empty. Any thread.
CpuFeatures DecodeCpuid(const CpuidWords& words);

// What the operating system lets this process use of the CPUs.
struct CpuLimits {
  std::vector<int> cpus;  // the CPU set (affinity mask, inside the cgroup's cpuset), ascending; never empty
  double quota_cpus = 0;  // cgroup v1/v2 quota along the whole path; 0: none
};
// root: "" for the real system; tests pass a directory that holds proc/ and sys/ trees. What cannot be read counts as
// absent: one CPU, no quota. Any thread.
CpuLimits DetectCpuLimits(const std::string& root = "");

// How many compute threads this process should use. placement.h makes it of any topology.
struct CpuBudget {
  int physical_cores = 1;  // cores in the process's CPU set, hyper-threads counted once
  int fast_cores = 1;      // of them, those of the fastest kind; all of them where there is one kind
  int logical_cpus = 1;    // CPUs in the process's CPU set
  double quota_cpus = 0;   // as above
  int threads = 1;         // min(fast cores, floor(quota)), at least 1
};
// Of this machine; about 3 ms. Any thread.
CpuBudget DetectCpuBudget();

}  // namespace tenfold::platform
