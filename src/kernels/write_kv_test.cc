// What WriteKv stores, as halves and as int8, on every instruction set.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "kernels/attention.h"
#include "kernels/attention_testing.h"
#include "kernels/test_isas.h"
#include "tensor/fp16.h"

namespace tenfold::kernels {
namespace {

class WriteKvTest : public ::testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Isas, WriteKvTest, ::testing::ValuesIn(TestIsas()), TestIsaName);

TEST_P(WriteKvTest, RoundsToTheNearestFiniteHalf) {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> x = {0.0f,    -0.0f,  1.0f, -1.0f / 3.0f, 65504.0f, 65519.0f,   65520.0f, 1e30f,
                          -1e30f,  inf,    -inf, 0x1p-24f,     0x1p-25f, 0x1.8p-25f, 6e-6f,    2049.0f,
                          2051.0f, 1e-30f, 0.1f, -7.7f,        3e-5f,    -6.2e-5f,   1024.5f,  1025.5f};
  for (const int64_t head_dim : {24}) {
    for (int64_t slot = 0; slot < 16; ++slot) {
      std::vector<uint16_t> page(KvPageBytes(head_dim, kHalves) / 2, kHalfNan);
      const std::vector<int32_t> ids = {0};
      std::vector<float> negative(x);
      for (float& value : negative) value = -value;
      WriteKv(GetParam(), {reinterpret_cast<uint8_t*>(page.data()), KvPageBytes(head_dim, kHalves), 0, ids, kHalves},
              slot, head_dim, x.data(), negative.data());
      for (int64_t j = 0; j < 16; ++j) {
        for (int64_t d = 0; d < head_dim; ++d) {
          const uint16_t k = page[d * 16 + j];
          const uint16_t v = page[16 * head_dim + j * head_dim + d];
          if (j != slot) {
            ASSERT_EQ(k, kHalfNan);
            ASSERT_EQ(v, kHalfNan);
          } else {
            const uint16_t want = tensor::FloatToHalf(std::clamp(x[d], -65504.0f, 65504.0f));
            ASSERT_EQ(k, want) << x[d];
            ASSERT_EQ(v, want ^ 0x8000) << x[d];
          }
        }
      }
    }
  }
}

TEST_P(WriteKvTest, KeepsNan) {
  std::vector<uint16_t> page(KvPageBytes(8, kHalves) / 2, 0);
  const std::vector<int32_t> ids = {0};
  const std::vector<float> nans(8, std::numeric_limits<float>::quiet_NaN());
  WriteKv(GetParam(), {reinterpret_cast<uint8_t*>(page.data()), KvPageBytes(8, kHalves), 0, ids, kHalves}, 3, 8,
          nans.data(), nans.data());
  EXPECT_TRUE(std::isnan(tensor::HalfToFloat(page[3])));
  EXPECT_TRUE(std::isnan(tensor::HalfToFloat(page[16 * 8 + 3 * 8])));
}

// int8 elements are the nearest multiples of their scale, every ISA stores the same bytes, and slots beside the written
// one are left alone.
TEST_P(WriteKvTest, Int8IsTheNearest) {
  std::mt19937 random(5);
  for (const int64_t head_dim : {8, 24, 40, 64, 128, 200, 256}) {
    Sequence s(head_dim, 16, random(), 1, kInt8);
    std::vector<uint8_t> page(KvPageBytes(head_dim, kInt8), 0xEE);
    const std::vector<int32_t> ids = {0};
    for (int64_t p = 0; p < 16; ++p) {
      const std::vector<uint8_t> before = page;
      WriteKv(GetParam(), {page.data(), page.size(), 0, ids, kInt8}, p, head_dim, s.WrittenK(p).data(),
              s.WrittenV(p).data());
      // One scale for each 32 of K and one for V, an element each.
      const auto changed = std::inner_product(page.begin(), page.end(), before.begin(), int64_t{0}, std::plus<>(),
                                              [](uint8_t a, uint8_t b) { return a != b ? 1 : 0; });
      EXPECT_LE(changed, 2 * head_dim + (head_dim + 31) / 32 * 2 + 4);
      for (int64_t d = 0; d < head_dim; ++d) {
        const auto [first, last] = std::minmax_element(s.WrittenK(p).begin() + d / 32 * 32,
                                                       s.WrittenK(p).begin() + std::min(head_dim, d / 32 * 32 + 32));
        const double k_step = std::max(-*first, *last) / 127.0;
        // The step as a half is off by 2^-11 of it, 127 of them by 0.062 steps.
        EXPECT_NEAR(s.StoredK(p, d), s.WrittenK(p)[d], 0.57 * k_step);
        const auto [v_first, v_last] = std::minmax_element(s.WrittenV(p).begin(), s.WrittenV(p).end());
        EXPECT_NEAR(s.StoredV(p, d), s.WrittenV(p)[d], 0.5001 * std::max(-*v_first, *v_last) / 127.0);
      }
    }
    const int32_t id = s.pages().page_ids[0];
    const uint8_t* const scalar = s.pages().base + static_cast<size_t>(id) * s.pages().page_stride_bytes;
    for (size_t i = 0; i < page.size(); ++i) {
      if (page[i] == 0xEE) continue;
      ASSERT_EQ(page[i], scalar[i]) << "byte " << i << " head_dim " << head_dim;
    }
  }
}

TEST_P(WriteKvTest, Int8KeepsNanZeroAndTinyValues) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> k(64, 1.0f);
  k[40] = nan;  // of the second block of 32
  Sequence s(64, 3, 6, 1, kInt8);
  WriteKv(GetParam(), s.pages(), 0, 64, k.data(), k.data());
  EXPECT_EQ(s.StoredK(0, 3), tensor::HalfToFloat(tensor::FloatToHalf(1.0f / 127)) * 127.0);
  EXPECT_TRUE(std::isnan(s.StoredK(0, 32)));
  EXPECT_TRUE(std::isnan(s.StoredV(0, 3)));
  const std::vector<float> zero(64, 0.0f);
  WriteKv(GetParam(), s.pages(), 1, 64, zero.data(), zero.data());
  std::vector<float> tiny(64, 1.9e-5f);  // a 127th is 2.5 times the least half
  tiny[1] = -1e30f;
  tiny[0] = 1e30f;
  WriteKv(GetParam(), s.pages(), 2, 64, tiny.data(), tiny.data());
  for (int64_t d = 0; d < 64; ++d) {
    EXPECT_EQ(s.StoredK(1, d), 0.0);
    EXPECT_EQ(s.StoredV(1, d), 0.0);
  }
  EXPECT_NEAR(s.StoredK(2, 1), -65504, 40);
  EXPECT_NEAR(s.StoredV(2, 0), 65504, 1);
  EXPECT_NEAR(s.StoredK(2, 50), 1.9e-5, 0.3e-5);
}

// How far attention over int8 keys and values is from attention over what was to be stored, for Gaussian keys, values
// and queries at head_dim 128. Expected: V's steps are evenly spread over largest / 127, largest about 2.8 deviations
// of 128 dims: NMSE 2.8^2 / 127^2 / 12 = 4.0e-5. K's largest of 32 is about 2.1 deviations, so an element is off by
// NMSE 2.3e-5, a score (of deviation 1, scale 1 / sqrt(128)) by the same, and numerators of e^score by as much relative
// to what they vary; both are averaged over positions like the values themselves. Together below 1e-4.
TEST_P(WriteKvTest, Int8AgainstWhatWasWritten) {
  constexpr int64_t kDim = 128;
  const Item item{700, 4, 4};
  Sequence s(kDim, item.first_position + item.n_tokens, 21, 1, kInt8);
  const std::vector<float> q = s.Gaussian(item.n_tokens * item.n_heads * kDim, 1.0f);
  const float scale = 1.0f / std::sqrt(static_cast<float>(kDim));
  const std::vector<float> out = RunAttend(GetParam(), s, item, scale, q);
  std::vector<double> k;
  std::vector<double> v;
  for (int64_t p = 0; p < s.length(); ++p) {
    k.insert(k.end(), s.WrittenK(p).begin(), s.WrittenK(p).end());
    v.insert(v.end(), s.WrittenV(p).begin(), s.WrittenV(p).end());
  }
  double error = 0;
  double power = 0;
  double absolute = 0;
  for (int64_t row = 0; row < item.n_tokens * item.n_heads; ++row) {
    const int64_t visible = item.first_position + row / item.n_heads + 1;
    const Reference r = ExactRow(k, v, visible, kDim, scale, q.data() + row * kDim, kHalves);
    for (int64_t d = 0; d < kDim; ++d) {
      const double difference = out[row * kDim + d] - r.out[d];
      error += difference * difference;
      power += r.out[d] * r.out[d];
      absolute += std::fabs(difference);
    }
  }
  RecordProperty("nmse", std::to_string(error / power));
  std::printf("NMSE %.3g, mean absolute difference %.3g\n", error / power, absolute / static_cast<double>(out.size()));
  EXPECT_LT(error / power, 1e-4);
  EXPECT_GT(error / power, 1e-5) << "int8 cannot be this good: was it halves?";
}

}  // namespace
}  // namespace tenfold::kernels
