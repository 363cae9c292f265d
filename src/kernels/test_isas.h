// The instruction sets that tests of kernels run on: every one this machine has.
#pragma once

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/isa.h"

namespace tenfold::kernels {

inline std::vector<Isa> TestIsas() {
  std::vector<Isa> isas = {Isa::kScalar};
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (avx2) isas.push_back(Isa::kAvx2);
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vnni")) {
    isas.push_back(Isa::kAvx512Vnni);
  }
  return isas;
}

inline std::string TestIsaName(const testing::TestParamInfo<Isa>& info) {
  constexpr const char* kNames[] = {"scalar", "avx2", "avxvnni", "avx512vnni"};
  return kNames[static_cast<int>(info.param)];
}

}  // namespace tenfold::kernels
