#include "tensor/fp16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tenfold::tensor {
namespace {

// The value of a half by the definition of IEEE 754 binary16, independent of bit tricks. h must not be inf or NaN.
double HalfByDefinition(uint16_t h) {
  const int exponent = (h >> 10) & 31;
  const int mantissa = h & 1023;
  const double magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return h & 0x8000 ? -magnitude : magnitude;
}

TEST(Fp16, EveryHalfBecomesItsValue) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const float f = HalfToFloat(static_cast<uint16_t>(h));
    ASSERT_EQ(std::signbit(f), (h & 0x8000) != 0) << h;
    if ((h & 0x7C00) != 0x7C00) {
      ASSERT_EQ(static_cast<double>(f), HalfByDefinition(static_cast<uint16_t>(h))) << h;
    } else if ((h & 0x3FF) == 0) {
      ASSERT_TRUE(std::isinf(f)) << h;
    } else {
      ASSERT_TRUE(std::isnan(f)) << h;
    }
  }
}

TEST(Fp16, EveryHalfSurvivesTheRoundTrip) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const uint16_t back = FloatToHalf(HalfToFloat(static_cast<uint16_t>(h)));
    if ((h & 0x7C00) == 0x7C00 && (h & 0x3FF) != 0) {
      ASSERT_EQ(back & 0x7E00, 0x7E00) << "a NaN stays a quiet NaN: " << h;
      ASSERT_EQ(back & 0x8000, h & 0x8000) << h;
    } else {
      ASSERT_EQ(back, h);
    }
  }
}

// Between neighbours a < b: just below the middle rounds to a, just above to b, the middle to the even one.
TEST(Fp16, RoundsToNearestEvenBetweenAllNeighbours) {
  for (uint32_t h = 0; h < 0x7C00; ++h) {
    const double a = HalfByDefinition(static_cast<uint16_t>(h));
    const double b = h + 1 == 0x7C00 ? 65536.0 : HalfByDefinition(static_cast<uint16_t>(h + 1));
    const float middle = static_cast<float>((a + b) / 2);  // exact: 12 significant bits
    const float infinity = std::numeric_limits<float>::infinity();
    for (const uint32_t sign : {0u, 0x8000u}) {
      const float s = sign ? -1.0f : 1.0f;
      ASSERT_EQ(FloatToHalf(s * middle), sign | (h + (h & 1))) << h;
      ASSERT_EQ(FloatToHalf(s * std::nextafterf(middle, 0.0f)), sign | h) << h;
      ASSERT_EQ(FloatToHalf(s * std::nextafterf(middle, infinity)), sign | (h + 1)) << h;
    }
  }
}

TEST(Fp16, ExtremesOfFloat) {
  EXPECT_EQ(FloatToHalf(std::numeric_limits<float>::denorm_min()), 0);
  EXPECT_EQ(FloatToHalf(-std::numeric_limits<float>::denorm_min()), 0x8000);
  EXPECT_EQ(FloatToHalf(std::numeric_limits<float>::max()), 0x7C00);
  EXPECT_EQ(FloatToHalf(-std::numeric_limits<float>::infinity()), 0xFC00);
  EXPECT_EQ(FloatToHalf(-0.0f), 0x8000);
}

}  // namespace
}  // namespace tenfold::tensor
