#include "tensor/dequantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "tensor/fp16.h"
#include "tensor/int8_block.h"
#include "tensor/k_scales.h"

namespace tenfold::tensor {
namespace {

void PutHalf(float value, uint8_t* dst) {
  const uint16_t h = FloatToHalf(value);
  std::memcpy(dst, &h, sizeof h);
}

float GetHalf(const uint8_t* src) {
  uint16_t h;
  std::memcpy(&h, src, sizeof h);
  return HalfToFloat(h);
}

std::vector<float> Dequantized(DType type, const std::vector<uint8_t>& bytes, size_t elems) {
  std::vector<float> out(elems);
  DequantizeRow(type, bytes.data(), elems, out.data());
  return out;
}

TEST(KScales, PackedSixBitFieldsComeBack) {
  KScale in[8];
  for (int j = 0; j < 8; ++j) in[j] = {static_cast<uint8_t>(7 * j + 9), static_cast<uint8_t>(63 - 8 * j)};
  uint8_t packed[12];
  PackKScales(in, packed);
  for (int j = 0; j < 8; ++j) {
    EXPECT_EQ(UnpackKScale(packed, j).scale, in[j].scale) << j;
    EXPECT_EQ(UnpackKScale(packed, j).min, in[j].min) << j;
  }
}

// The packing itself, bit by bit: only scale 5 = 0b101101 and min 6 = 0b110010 are set.
TEST(KScales, HighFieldsLieWhereTheFormatPutsThem) {
  uint8_t s[12] = {};
  s[9] = 0b1101;        // low nibble: low 4 bits of scale 5
  s[1] = 0b10 << 6;     // top bits of s[1]: high 2 bits of scale 5
  s[10] = 0b0010 << 4;  // high nibble: low 4 bits of min 6
  s[6] = 0b11 << 6;     // top bits of s[6]: high 2 bits of min 6
  for (int j = 0; j < 8; ++j) {
    EXPECT_EQ(UnpackKScale(s, j).scale, j == 5 ? 0b101101 : 0) << j;
    EXPECT_EQ(UnpackKScale(s, j).min, j == 6 ? 0b110010 : 0) << j;
  }
}

TEST(Dequantize, Q8_0ByHand) {
  std::vector<uint8_t> block(34);
  PutHalf(0.25f, block.data());
  block[2] = 4;
  block[3] = 0xFF;   // -1
  block[33] = 0x80;  // -128
  const std::vector<float> x = Dequantized(DType::kQ8_0, block, 32);
  EXPECT_EQ(x[0], 1.0f);
  EXPECT_EQ(x[1], -0.25f);
  EXPECT_EQ(x[2], 0.0f);
  EXPECT_EQ(x[31], -32.0f);
}

TEST(Dequantize, Q4KByHand) {
  std::vector<uint8_t> block(144);
  PutHalf(0.5f, block.data());
  PutHalf(2.0f, block.data() + 2);
  // scale j = j + 1 and min j = j, all below 16, so only low bits are set.
  for (int j = 0; j < 4; ++j) {
    block[4 + j] = static_cast<uint8_t>(j + 1);
    block[8 + j] = static_cast<uint8_t>(j);
    block[12 + j] = static_cast<uint8_t>((j + 5) | ((j + 4) << 4));
  }
  block[16] = 0xA3;         // element 0: 3, element 32: 10
  block[16 + 127] = 0xF1;   // element 223: 1, element 255: 15
  block[16 + 64 + 5] = 12;  // element 128 + 5: 12
  const std::vector<float> x = Dequantized(DType::kQ4_K, block, 256);
  EXPECT_EQ(x[0], 0.5f * 1 * 3);
  EXPECT_EQ(x[1], 0.0f);
  EXPECT_EQ(x[32], 0.5f * 2 * 10 - 2.0f * 1);
  EXPECT_EQ(x[33], -2.0f);
  EXPECT_EQ(x[133], 0.5f * 5 * 12 - 2.0f * 4);
  EXPECT_EQ(x[223], 0.5f * 7 * 1 - 2.0f * 6);
  EXPECT_EQ(x[255], 0.5f * 8 * 15 - 2.0f * 7);
}

TEST(Dequantize, Q6KByHand) {
  std::vector<uint8_t> block(210);
  PutHalf(0.125f, block.data() + 208);
  for (int j = 0; j < 16; ++j) block[192 + j] = static_cast<uint8_t>(j - 8);  // signed
  // Byte 3 of each field in the second half (elements 128 + 3, +32, +64, +96).
  block[64 + 3] = 0x5C;                           // low bits 12 of element 131, 5 of element 195
  block[64 + 32 + 3] = 0x90;                      // low bits 0 of element 163, 9 of element 227
  block[128 + 32 + 3] = 1 | 2 << 2 | 3 << 4 | 0;  // high bits 1, 2, 3, 0
  const std::vector<float> x = Dequantized(DType::kQ6_K, block, 256);
  EXPECT_EQ(x[131], 0.125f * 0 * (12 + 16 - 32));  // scale 8 is 0
  EXPECT_EQ(x[163], 0.125f * 2 * (0 + 32 - 32));
  EXPECT_EQ(x[195], 0.125f * 4 * (5 + 48 - 32));
  EXPECT_EQ(x[227], 0.125f * 6 * (9 + 0 - 32));
  EXPECT_EQ(x[0], 0.125f * -8 * -32);
  EXPECT_EQ(x[255], 0.125f * 7 * -32);
}

// Where in a block the high bytes of its halves (or of a BF16, or a float) lie.
std::vector<int> HighBytesOfHalves(DType type) {
  switch (type) {
    case DType::kF32:
      return {3};
    case DType::kQ4_K:
    case DType::kQ5_K:
    case DType::kQ4_1:
    case DType::kQ5_1:
      return {1, 3};
    case DType::kQ2_K:
      return {81, 83};
    case DType::kQ3_K:
      return {109};
    case DType::kQ6_K:
      return {209};
    case DType::kTQ1_0:
      return {53};
    case DType::kTQ2_0:
      return {65};
    case DType::kIQ1_M:
      return {55};  // the top nibble of the last u16 is that of the half
    case DType::kMXFP4:
      return {};
    default:
      return {1};
  }
}

// Bytes of a linear congruential generator; halves (or floats) are kept finite by clearing one exponent bit.
std::vector<uint8_t> PseudoRandomRow(DType type, size_t elems) {
  std::vector<uint8_t> bytes(RowBytes(type, elems));
  uint64_t state = static_cast<uint64_t>(type) + 1;
  for (uint8_t& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<uint8_t>(state >> 56);
  }
  const uint32_t block = TraitsOf(type).block_bytes;
  for (const int at : HighBytesOfHalves(type)) {
    for (size_t i = static_cast<size_t>(at); i < bytes.size(); i += block) bytes[i] &= 0xBF;
  }
  if (type == DType::kMXFP4) {
    for (size_t i = 0; i < bytes.size(); i += block) bytes[i] = static_cast<uint8_t>(96 + bytes[i] % 64);
  }
  return bytes;
}

struct OtherCase {
  DType type;
  uint64_t fnv1a;  // over the bytes of all 2048 floats
  float at0, at100, at1023, at2047;
};

// What the formats' formulas, written independently in NumPy on float32 arrays, give for the same bytes.
constexpr OtherCase kOtherCases[] = {
    {DType::kF32, 0x531100be22bdc795, 0x1.4b04d8p-58f, -0x1.6321acp-99f, 0x1.6d1332p-59f, -0x1.6b52fp-86f},
    {DType::kF16, 0xd06a623687afecaa, -0x1.b1p-5f, -0x1.db4p-11f, -0x1.2p-3f, -0x1.2f4p-5f},
    {DType::kQ8_0, 0xed59c339c28ecb26, 0x1.4b8p-13f, 0x1.a39b8p+4f, 0x1.f33p+3f, -0x1.2bcp-2f},
    {DType::kQ4_K, 0x211e564b13e7696c, 0x1.134d4p+4f, 0x1.32b7p+2f, 0x1.9a0eap-5f, -0x1.10d5b8p+6f},
    {DType::kQ6_K, 0x0331dd74a59df03a, -0x1.13p+1f, -0x1.82b8p+4f, -0x1.a586p-4f, 0x1.00dc4p-4f},
    // From here on: what llama.cpp's reference dequantisers (ggml 0.15, plain C) give.
    {DType::kQ4_0, 0x9fde8cdf48a5efef, 0x1.c7p-9f, -0x1.05b8p-7f, -0x1.2d2p-7f, -0x1.7acp-4f},
    {DType::kQ4_1, 0x146c027c6b2f45e8, -0x1.a18872p+2f, -0x1.fa8p-7f, -0x1.567b2p-1f, 0x1.e21b56p+1f},
    {DType::kQ5_0, 0xba2f84f263e5ad68, 0x1.437p+1f, 0x0p+0f, 0x1.702p-5f, 0x1.062p-13f},
    {DType::kQ5_1, 0x874322f6367198ad, 0x1.00d798p-3f, 0x1.6bdfp+2f, 0x1.28cp-6f, 0x1.6b1ap-1f},
    {DType::kQ2_K, 0x7deabd0550c11a1c, -0x1.9fb458p+3f, -0x1.f7004p+1f, -0x1.8bdap-5f, -0x1.8e688p-5f},
    {DType::kQ3_K, 0xa8f40eeca5d62b1f, -0x1.506p-8f, 0x1.21a8p-7f, -0x0p+0f, 0x1.098cp-6f},
    {DType::kQ5_K, 0xe738e1b2735e92a3, -0x1.43cfcp+0f, -0x1.e04ep-4f, -0x1.1a9f9p-3f, -0x1.0f0718p+1f},
    {DType::kIQ2_XXS, 0x176b15d14bc8ee66, 0x1.14b8p-10f, 0x1.cf41cp-8f, 0x1.40fp-8f, -0x1.af4p-10f},
    {DType::kIQ2_XS, 0x26c2f1b48690ec6a, -0x1.ac84p-2f, 0x1.9b6p-2f, 0x1.cbeb6p-7f, 0x1.8a89ap-7f},
    {DType::kIQ3_XXS, 0xcef9d295f982ec50, 0x1.16d3p-2f, 0x1.31948p-1f, 0x1.1413p+1f, 0x1.848cp-5f},
    {DType::kIQ1_S, 0x01adb2b830669e7e, 0x1.63c8p-13f, -0x1.ce84p-12f, -0x1.c14cp-4f, 0x1.30bp-7f},
    {DType::kIQ4_NL, 0x8399c8b9d6aba501, 0x1.b996p+1f, -0x1.976cp-4f, -0x1.cfp-14f, 0x1.14b88p+7f},
    {DType::kIQ3_S, 0xa0d4face8d625f31, -0x1.401p-9f, 0x1.360f8p-4f, -0x1.2994p+5f, -0x1.4acp+2f},
    {DType::kIQ2_S, 0x80f4f9553c8c69d7, 0x1.50a8p+2f, 0x1.44a2p+4f, -0x1.4c869p-3f, 0x1.4d46cp+2f},
    {DType::kIQ4_XS, 0x2bb5a1bd691167fb, -0x1.a50ccp+3f, -0x1.e304p-2f, -0x1.9da72p+0f, 0x1.137p-7f},
    {DType::kIQ1_M, 0x94e2101e5d4f0066, -0x1.b97ep-12f, -0x1.2dep-16f, 0x1.bb34p-4f, -0x1.54398p-3f},
    {DType::kBF16, 0xa7c2695107cd897e, -0x1.8ap-4f, 0x1.fp-57f, 0x1.aep-24f, -0x1.1cp-47f},
    {DType::kTQ1_0, 0xd6f75fb4e1ebc5b8, -0x1.dp-18f, 0x0p+0f, 0x1.6ecp-14f, -0x0p+0f},
    {DType::kTQ2_0, 0xe94a498777bf52f2, -0x1.a94p-5f, 0x1.a94p-6f, -0x1.42p-3f, -0x1.8ecp-13f},
    {DType::kMXFP4, 0xa322ee5b9a712783, 0x0p+0f, -0x1p-4f, 0x1p+14f, -0x1.8p-2f},
};

TEST(Dequantize, BitForBitWhatOthersCompute) {
  for (const OtherCase& expected : kOtherCases) {
    SCOPED_TRACE(NameOf(expected.type));
    const std::vector<float> x = Dequantized(expected.type, PseudoRandomRow(expected.type, 2048), 2048);
    EXPECT_EQ(x[0], expected.at0);
    EXPECT_EQ(x[100], expected.at100);
    EXPECT_EQ(x[1023], expected.at1023);
    EXPECT_EQ(x[2047], expected.at2047);
    std::vector<uint8_t> bytes(x.size() * sizeof(float));
    std::memcpy(bytes.data(), x.data(), bytes.size());
    uint64_t hash = 0xcbf29ce484222325u;
    for (const uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3u;
    EXPECT_EQ(hash, expected.fnv1a);
  }
}

std::vector<float> Gaussian(size_t elems, float spread, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> x(elems);
  for (float& v : x) v = normal(rng);
  return x;
}

std::vector<uint8_t> Quantized(DType type, const std::vector<float>& x) {
  std::vector<uint8_t> bytes(RowBytes(type, x.size()));
  QuantizeRow(type, x.data(), x.size(), bytes.data());
  return bytes;
}

// The largest distance between neighbouring values in the sub-block that holds `elem`, read back from the bytes.
float StepAt(DType type, const uint8_t* row, size_t elem) {
  const DTypeTraits traits = TraitsOf(type);
  const uint8_t* block = row + elem / traits.block_elems * traits.block_bytes;
  const size_t within = elem % traits.block_elems;
  if (type == DType::kQ8_0) return GetHalf(block);
  if (type == DType::kQ4_K || type == DType::kQ5_K) {
    return GetHalf(block) * UnpackKScale(block + 4, static_cast<int>(within / 32)).scale;
  }
  if (type == DType::kQ6_K) {
    return GetHalf(block + 208) * static_cast<float>(static_cast<int8_t>(block[192 + within / 16]));
  }
  Int8Block b;
  ToInt8Block(type, block, &b);
  const bool uneven = type == DType::kIQ4_NL || type == DType::kIQ4_XS;  // levels 89 and 113
  return b.Scale(static_cast<int>(within / 16)) * (uneven ? 24.0f : 1.0f);
}

constexpr DType kQuantizedTypes[] = {DType::kQ4_0, DType::kQ4_1, DType::kQ5_0,   DType::kQ5_1,
                                     DType::kQ8_0, DType::kQ2_K, DType::kQ3_K,   DType::kQ4_K,
                                     DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS};

TEST(Quantize, BlockTypesLandWithinHalfAStep) {
  for (const DType type : kQuantizedTypes) {
    SCOPED_TRACE(NameOf(type));
    for (const float spread : {1e-3f, 0.02f, 1.0f, 1000.0f}) {
      const std::vector<float> x = Gaussian(4096, spread, 7);
      const std::vector<uint8_t> bytes = Quantized(type, x);
      const std::vector<float> back = Dequantized(type, bytes, x.size());
      for (size_t i = 0; i < x.size(); ++i) {
        const float step = StepAt(type, bytes.data(), i);
        ASSERT_LE(std::fabs(back[i] - x[i]), 0.5f * step * 1.0001f + 1e-6f * spread) << i << " spread " << spread;
      }
    }
  }
}

double RelativeRms(const std::vector<float>& x, const std::vector<float>& back) {
  double error = 0, power = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    error += (back[i] - x[i]) * static_cast<double>(back[i] - x[i]);
    power += static_cast<double>(x[i]) * x[i];
  }
  return std::sqrt(error / power);
}

// A step of s loses s/sqrt(12) RMS. Gaussian maxima are about 2.3 sigma in 32 and 2 in 16 elements, so the expected
// losses are 2*2.3/15/3.46 = 9 % (Q4_K), 2/31/3.46 = 1.9 % (Q6_K) and 2.3/127/3.46 = 0.5 % (Q8_0); a third is allowed
// on top for scales rounded up and for uneven maxima.
TEST(Quantize, LosesNoMoreThanTheFormatMust) {
  const std::vector<float> x = Gaussian(16384, 0.02f, 11);
  EXPECT_EQ(RelativeRms(x, Dequantized(DType::kF32, Quantized(DType::kF32, x), x.size())), 0.0);
  EXPECT_LT(RelativeRms(x, Dequantized(DType::kF16, Quantized(DType::kF16, x), x.size())), 0x1p-11);
  EXPECT_LT(RelativeRms(x, Dequantized(DType::kQ8_0, Quantized(DType::kQ8_0, x), x.size())), 0.007);
  EXPECT_LT(RelativeRms(x, Dequantized(DType::kQ6_K, Quantized(DType::kQ6_K, x), x.size())), 0.026);
  EXPECT_LT(RelativeRms(x, Dequantized(DType::kQ4_K, Quantized(DType::kQ4_K, x), x.size())), 0.12);
  EXPECT_LT(RelativeRms(x, Dequantized(DType::kBF16, Quantized(DType::kBF16, x), x.size())), 0x1p-8);
  EXPECT_LT(RelativeRms(x, Dequantized(DType::kQ4_0, Quantized(DType::kQ4_0, x), x.size())), 0.13);
  EXPECT_LT(RelativeRms(x, Dequantized(DType::kQ5_0, Quantized(DType::kQ5_0, x), x.size())), 0.06);
  EXPECT_LT(RelativeRms(x, Dequantized(DType::kQ4_1, Quantized(DType::kQ4_1, x), x.size())), 0.12);
  EXPECT_LT(RelativeRms(x, Dequantized(DType::kQ5_1, Quantized(DType::kQ5_1, x), x.size())), 0.06);
  EXPECT_LT(RelativeRms(x, Dequantized(DType::kQ5_K, Quantized(DType::kQ5_K, x), x.size())), 0.06);
  EXPECT_LT(RelativeRms(x, Dequantized(DType::kIQ4_NL, Quantized(DType::kIQ4_NL, x), x.size())), 0.12);
  EXPECT_LT(RelativeRms(x, Dequantized(DType::kIQ4_XS, Quantized(DType::kIQ4_XS, x), x.size())), 0.12);
  EXPECT_LT(RelativeRms(x, Dequantized(DType::kQ3_K, Quantized(DType::kQ3_K, x), x.size())), 0.26);
  EXPECT_LT(RelativeRms(x, Dequantized(DType::kQ2_K, Quantized(DType::kQ2_K, x), x.size())), 0.5);
}

TEST(Quantize, EdgesStayFiniteAndZerosStayZero) {
  for (const DType type : kQuantizedTypes) {
    SCOPED_TRACE(NameOf(type));
    const bool has_zero = type != DType::kIQ4_NL;  // the levels of IQ4 lack 0; IQ4_XS may scale by 0
    std::vector<float> x(256, 0.0f);
    if (has_zero) {
      EXPECT_EQ(Dequantized(type, Quantized(type, x), 256), x);
    }
    std::fill(x.begin(), x.end(), 3.0f);  // no negative value: the min is 0
    for (const float v : Dequantized(type, Quantized(type, x), 256)) EXPECT_NEAR(v, 3.0f, 0.02f);
    std::fill(x.begin(), x.end(), 1e-30f);  // far below the smallest scale
    for (const float v : Dequantized(type, Quantized(type, x), 256)) EXPECT_LE(std::fabs(v), 1e-5f);
    x[9] = -3e38f;  // beyond the largest scale: clipped, but never infinite or NaN
    for (const float v : Dequantized(type, Quantized(type, x), 256)) EXPECT_TRUE(std::isfinite(v));
  }
}

TEST(Quantize, Bf16RoundsToNearestEven) {
  const std::vector<float> x = {1.0f, 1.00390625f, 1.01171875f, -1.005f, 0x1.fffffep+127f};
  const std::vector<float> back = Dequantized(DType::kBF16, Quantized(DType::kBF16, x), x.size());
  EXPECT_EQ(back[0], 1.0f);
  EXPECT_EQ(back[1], 1.0f);         // a tie, down to even
  EXPECT_EQ(back[2], 1.015625f);    // a tie, up to even
  EXPECT_EQ(back[3], -1.0078125f);  // nearer
  EXPECT_TRUE(std::isinf(back[4]));
}

TEST(DequantizeDeathTest, ATypeWeCannotComputeIsOurBug) {
  std::vector<uint8_t> block(144);
  std::vector<float> x(256);
  EXPECT_DEATH(DequantizeRow(DType::kQ8_1, block.data(), 32, x.data()), "computable");
  EXPECT_DEATH(QuantizeRow(DType::kIQ1_S, x.data(), 256, block.data()), "quantiser");
}

}  // namespace
}  // namespace tenfold::tensor
