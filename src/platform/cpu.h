// What this machine's processor can do, and how much of it this process may use.
#pragma once

#include <string>

namespace tenfold::platform {

// Instruction sets usable here: the CPU has them and the operating system saves their registers.
struct CpuFeatures {
  bool avx2 = false;         // with fma, f16c, bmi2
  bool avxvnni = false;
  bool avx512vnni = false;   // with avx512f, bw, dq, vl
  std::string model_name;    // "AMD EPYC ..."; "" if unknown
};
const CpuFeatures& DetectCpu();

// How many compute threads this process should use.
struct CpuBudget {
  int physical_cores = 1;      // cores in the process's CPU set, hyper-threads counted once
  int logical_cpus = 1;        // CPUs in the process's CPU set
  double quota_cpus = 0;       // cgroup v1/v2 quota along the whole path; 0: none
  int threads = 1;             // min(physical cores, floor(quota)), at least 1
};
// root: "" for the real system; tests pass a directory that holds proc/ and sys/ trees.
CpuBudget DetectCpuBudget(const std::string& root = "");

}  // namespace tenfold::platform
