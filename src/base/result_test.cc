#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace tenfold {
namespace {

Result<int> Half(int n) {
  if (n % 2 != 0) return Error{ErrorCode::kInvalidArgument, "odd"};
  return n / 2;
}

Result<int> Quarter(int n) {
  TENFOLD_TRY(const int half, Half(n));
  TENFOLD_TRY(const int quarter, Half(half));  // a second one in the same scope must compile
  return quarter;
}

Status CheckEven(int n) {
  TENFOLD_TRY([[maybe_unused]] const int half, Half(n));
  return {};
}

Result<std::string> Describe(int n) {
  TENFOLD_TRY_STATUS(CheckEven(n));
  return std::string("even");
}

TEST(Result, HoldsAValueOrAnError) {
  EXPECT_EQ(Half(4).value(), 2);
  ASSERT_FALSE(Half(3).ok());
  EXPECT_EQ(Half(3).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Half(3).error().message, "odd");
}

TEST(Result, TryPassesTheFirstErrorUp) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_FALSE(Quarter(6).ok());
  EXPECT_FALSE(Quarter(5).ok());
  EXPECT_EQ(*Describe(2), "even");
  EXPECT_EQ(Describe(1).error().message, "odd");
}

TEST(Result, MovesWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> made = std::make_unique<int>(7);
  const std::unique_ptr<int> taken = std::move(made).value();
  EXPECT_EQ(*taken, 7);
}

TEST(Result, StatusIsSuccessUnlessGivenAnError) {
  EXPECT_TRUE(Status().ok());
  const Status failed = Error{ErrorCode::kIo, "disk"};
  EXPECT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message, "disk");
}

TEST(ResultDeathTest, WrongAccessIsABug) {
  EXPECT_DEATH((void)Half(3).value(), "on an error");
  EXPECT_DEATH((void)Half(4).error(), "on a value");
}

}  // namespace
}  // namespace tenfold
