#include "base/clock.h"

#include <gtest/gtest.h>

#include <thread>

namespace tenfold {
namespace {

TEST(Clock, CountsMicrosecondsForward) {
  const int64_t before = NowUs();
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const int64_t passed = NowUs() - before;
  EXPECT_GE(passed, 5'000);
  EXPECT_LT(passed, 5'000'000);
}

}  // namespace
}  // namespace tenfold
