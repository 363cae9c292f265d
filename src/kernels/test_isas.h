// The instruction sets that tests of kernels run on: every one this machine has.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/isa.h"

namespace tenfold::kernels {

inline std::vector<Isa> TestIsas() { return SupportedIsas(); }

// The sets that tests of matrix products name, and whether their kernels in this program run here. kernels_evex_test
// (CMakeLists.txt) holds the AVX-VNNI kernels alone, in the encoding that AVX-512 VNNI machines have.
#ifdef TENFOLD_EVEX_VNNI
inline std::vector<Isa> MatmulIsas() { return {Isa::kAvxVnni}; }
inline bool RunsHere(Isa isa) { return isa == Isa::kAvxVnni && IsSupported(Isa::kAvx512Vnni); }
#else
inline std::vector<Isa> MatmulIsas() { return {Isa::kScalar, Isa::kAvx2, Isa::kAvxVnni, Isa::kAvx512Vnni}; }
inline bool RunsHere(Isa isa) { return IsSupported(isa); }
#endif

inline std::string TestIsaName(const ::testing::TestParamInfo<Isa>& info) { return std::string(NameOf(info.param)); }

}  // namespace tenfold::kernels
