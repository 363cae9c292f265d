#include "base/checked_math.h"

#include <gtest/gtest.h>

namespace tenfold {
namespace {

TEST(CheckedMath, SaysWhenItDoesNotFit) {
  EXPECT_EQ(CheckedMul(6, 7), 42u);
  EXPECT_EQ(CheckedMul(UINT64_MAX, 0), 0u);
  EXPECT_EQ(CheckedMul(uint64_t{1} << 32, uint64_t{1} << 31), uint64_t{1} << 63);
  EXPECT_EQ(CheckedMul(uint64_t{1} << 32, uint64_t{1} << 32), std::nullopt);
  EXPECT_EQ(CheckedAdd(UINT64_MAX - 1, 1), UINT64_MAX);
  EXPECT_EQ(CheckedAdd(UINT64_MAX, 1), std::nullopt);
}

TEST(CheckedMath, RoundsUpToAMultiple) {
  EXPECT_EQ(CheckedRoundUp(0, 32), 0u);
  EXPECT_EQ(CheckedRoundUp(1, 32), 32u);
  EXPECT_EQ(CheckedRoundUp(32, 32), 32u);
  EXPECT_EQ(CheckedRoundUp(33, 32), 64u);
  EXPECT_EQ(CheckedRoundUp(UINT64_MAX, 1), UINT64_MAX);
  EXPECT_EQ(CheckedRoundUp(UINT64_MAX - 1, 32), std::nullopt);
}

}  // namespace
}  // namespace tenfold
