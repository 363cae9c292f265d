// The instruction sets that tests of kernels run on: every one this machine has.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/isa.h"

namespace tenfold::kernels {

inline std::vector<Isa> TestIsas() { return SupportedIsas(); }

inline std::string TestIsaName(const ::testing::TestParamInfo<Isa>& info) { return std::string(NameOf(info.param)); }

}  // namespace tenfold::kernels
