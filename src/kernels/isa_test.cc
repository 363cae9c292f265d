// Instruction set names, the choice, and that a forced choice is the one whose kernels run.
#include "kernels/isa.h"

#include <gtest/gtest.h>

#include "kernels/matmul_kernels.h"

namespace tenfold::kernels {
namespace {

TEST(Isa, NamesRoundTrip) {
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvxVnni, Isa::kAvx512Vnni}) {
    EXPECT_EQ(IsaFromName(NameOf(isa)), isa);
  }
  EXPECT_EQ(IsaFromName("AVX2"), std::nullopt);
  EXPECT_EQ(IsaFromName(""), std::nullopt);
}

TEST(Isa, UnforcedIsTheWidestSupported) {
  const std::vector<Isa> supported = SupportedIsas();
  ASSERT_EQ(supported.front(), Isa::kScalar);
  for (const char* none : {static_cast<const char*>(nullptr), ""}) {
    Result<Isa> chosen = ChooseIsa(none);
    ASSERT_TRUE(chosen.ok());
    EXPECT_EQ(*chosen, supported.back());
  }
}

TEST(Isa, ForcedIsObeyedOrRefusedByName) {
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvxVnni, Isa::kAvx512Vnni}) {
    Result<Isa> chosen = ChooseIsa(std::string(NameOf(isa)).c_str());
    ASSERT_EQ(chosen.ok(), IsSupported(isa));
    if (chosen.ok()) {
      EXPECT_EQ(*chosen, isa);
    }
  }
  Result<Isa> unknown = ChooseIsa("sse9");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message.find("sse9"), std::string::npos);
  EXPECT_NE(unknown.error().message.find("scalar"), std::string::npos);
}

// The kernels a set dispatches to say its name, so a forced set cannot silently run another's.
TEST(Isa, TablesHoldTheirOwnKernels) {
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvxVnni, Isa::kAvx512Vnni}) {
    const std::string suffix = "__" + std::string(NameOf(isa));
    for (const FormatKernels& k : MatmulKernelsOf(isa).formats) {
      EXPECT_NE(k.direct, nullptr);
      EXPECT_TRUE(std::string_view(k.direct_name).ends_with(suffix)) << k.direct_name;
      if (k.panel != nullptr) {
        EXPECT_TRUE(std::string_view(k.panel_name).ends_with(suffix)) << k.panel_name;
      }
    }
  }
}

}  // namespace
}  // namespace tenfold::kernels
