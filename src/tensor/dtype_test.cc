#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace tenfold::tensor {
namespace {

struct Expected {
  uint32_t id;
  const char* name;
  uint32_t elems;
  uint32_t bytes;
};

// From the format's description: id, name, elements a block, bytes a block.
constexpr Expected kExpected[] = {
    {0, "F32", 1, 4},         {1, "F16", 1, 2},         {2, "Q4_0", 32, 18},      {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},      {7, "Q5_1", 32, 24},      {8, "Q8_0", 32, 34},      {9, "Q8_1", 32, 36},
    {10, "Q2_K", 256, 84},    {11, "Q3_K", 256, 110},   {12, "Q4_K", 256, 144},   {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},   {15, "Q8_K", 256, 292},   {16, "IQ2_XXS", 256, 66}, {17, "IQ2_XS", 256, 74},
    {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},   {20, "IQ4_NL", 32, 18},   {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},   {23, "IQ4_XS", 256, 136}, {24, "I8", 1, 1},         {25, "I16", 1, 2},
    {26, "I32", 1, 4},        {27, "I64", 1, 8},        {28, "F64", 1, 8},        {29, "IQ1_M", 256, 56},
    {30, "BF16", 1, 2},       {34, "TQ1_0", 256, 54},   {35, "TQ2_0", 256, 66},   {39, "MXFP4", 32, 17},
};

TEST(DType, EveryKnownTypeHasItsGeometry) {
  std::set<uint32_t> ids;
  for (const Expected& e : kExpected) {
    ids.insert(e.id);
    const auto traits = TraitsOf(e.id);
    ASSERT_TRUE(traits.has_value()) << e.id;
    EXPECT_EQ(traits->name, e.name);
    EXPECT_EQ(traits->block_elems, e.elems) << e.name;
    EXPECT_EQ(traits->block_bytes, e.bytes) << e.name;
    EXPECT_EQ(NameOf(static_cast<DType>(e.id)), e.name);
    EXPECT_EQ(RowBytes(static_cast<DType>(e.id), 3 * 256), 3 * 256 / e.elems * e.bytes) << e.name;
  }
  for (uint32_t id = 0; id < 1000; ++id) EXPECT_EQ(TraitsOf(id).has_value(), ids.count(id) == 1) << id;
  EXPECT_FALSE(TraitsOf(0xFFFFFFFFu).has_value());
}

TEST(DType, EveryTypeOfWeightsIsComputable) {
  std::set<std::string> refused;
  for (const Expected& e : kExpected) {
    if (!IsComputable(static_cast<DType>(e.id))) refused.insert(e.name);
  }
  EXPECT_EQ(refused, (std::set<std::string>{"Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64"}));
  EXPECT_FALSE(IsComputable(static_cast<DType>(1000)));
}

TEST(DType, TheListOfComputableTypesReads) {
  const std::string names = ComputableTypeNames();
  EXPECT_EQ(names.rfind("F32, F16, Q4_0, Q4_1, ", 0), 0u) << names;
  EXPECT_NE(names.find(", TQ2_0 and MXFP4"), std::string::npos) << names;
  EXPECT_EQ(names.find("Q8_K"), std::string::npos) << names;
}

TEST(DTypeDeathTest, ARowOfHalfABlockIsOurBug) {
  EXPECT_DEATH((void)RowBytes(DType::kQ8_0, 33), "whole number of blocks");
}

}  // namespace
}  // namespace tenfold::tensor
