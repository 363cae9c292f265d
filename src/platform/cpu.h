// What this machine's processor can do, and how much of it this process may use.
#pragma once

#include <cstdint>
#include <string>

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

// How many compute threads this process should use.
struct CpuBudget {
  int physical_cores = 1;  // cores in the process's CPU set, hyper-threads counted once
  int logical_cpus = 1;    // CPUs in the process's CPU set
  double quota_cpus = 0;   // cgroup v1/v2 quota along the whole path; 0: none
  int threads = 1;         // min(physical cores, floor(quota)), at least 1
};
// root: "" for the real system; tests pass a directory that holds proc/ and sys/ trees. What cannot be read counts as
// absent: no topology files, every CPU is a core; no cgroup files, no quota. Any thread.
CpuBudget DetectCpuBudget(const std::string& root = "");

}  // namespace tenfold::platform
