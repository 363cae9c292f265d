// Attention on every instruction set against a double-precision softmax over the same stored keys and values.
#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/attention_testing.h"
#include "kernels/test_isas.h"
#include "tensor/fp16.h"

namespace tenfold::kernels {
namespace {

// What holds of every format and arithmetic on every instruction set.
class AttentionTest : public ::testing::TestWithParam<std::tuple<Isa, Way>> {
 protected:
  Isa isa() const { return std::get<0>(GetParam()); }
  const Way& way() const { return std::get<1>(GetParam()); }
  void Check(const Item& item, int64_t head_dim, unsigned seed, float q_spread = 1.0f) {
    CheckItem(isa(), way(), item, head_dim, seed, q_spread);
  }
};
INSTANTIATE_TEST_SUITE_P(All, AttentionTest,
                         ::testing::Combine(::testing::ValuesIn(TestIsas()),
                                            ::testing::Values(Way(kHalves), Way(kInt8), kHalvesInInt16)),
                         [](const auto& info) {
                           const Way& way = std::get<1>(info.param);
                           const bool int16 = way.arithmetic == AttendArithmetic::kInt16;
                           return std::string(NameOf(std::get<0>(info.param))) + "_" +
                                  std::string(NameOf(way.format.k)) + (int16 ? "_in_int16" : "");
                         });

// What holds of keys and values that are halves.
class HalvesTest : public ::testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Isas, HalvesTest, ::testing::ValuesIn(TestIsas()), TestIsaName);

TEST_P(AttentionTest, OneTokenAtEveryLength) {
  for (const int64_t head_dim : {8, 64, 128}) {
    for (int64_t length = 1; length <= 70; ++length) Check({length - 1, 1, 4}, head_dim, length);
  }
}

TEST_P(AttentionTest, ChunksOfEveryShape) {
  std::mt19937 random(7);
  for (const int64_t head_dim : {8, 24, 32, 64, 72, 96, 128, 256}) {
    for (int64_t n_tokens = 1; n_tokens <= 40; n_tokens += head_dim <= 64 ? 1 : 3) {
      const Item item{static_cast<int64_t>(random() % 51), n_tokens, 1 + static_cast<int64_t>(random() % 8)};
      Check(item, head_dim, random());
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(AttentionTest, EveryHeadCount) {
  for (int64_t heads = 1; heads <= 17; ++heads) {
    Check({77, 1, heads}, 64, heads);
    Check({60, 3, heads}, 40, heads);
  }
}

TEST_P(AttentionTest, LongContext) {
  Check({1500, 1, 4}, 128, 1);
  Check({1000, 16, 4}, 64, 2);
}

// Scores up to about +-80 make nearly one-hot rows, where a wrong maximum would overflow.
TEST_P(AttentionTest, LargeScores) {
  Check({130, 9, 4}, 128, 3, 25.0f);
  Check({70, 1, 1}, 64, 4, 25.0f);
}

// Scores that climb from -80 to 80 raise the maximum at every position; falling ones never again after the first.
TEST_P(HalvesTest, RisingAndFallingScores) {
  for (const bool rising : {true, false}) {
    constexpr int64_t kLength = 161;
    Sequence s(32, kLength, 11);
    for (int64_t p = 0; p < kLength; ++p) {
      const float score = (rising ? 1.0f : -1.0f) * (static_cast<float>(p) - 80.0f);
      for (int64_t d = 0; d < 32; ++d) s.K(p, d) = tensor::FloatToHalf(d == 0 ? score : 0.0f);
    }
    const Item item{kLength - 5, 5, 2};
    std::vector<float> q(item.n_tokens * item.n_heads * 32, 1.0f);
    ExpectExact(s, item, 1.0f, q, RunAttend(GetParam(), s, item, 1.0f, q));
  }
}

// Keys of -inf get no weight; a row that sees nothing else is zero, not NaN.
TEST_P(HalvesTest, MinusInfinityScores) {
  constexpr int64_t kLength = 100;
  const Item item{0, kLength, 2};
  Sequence s(16, kLength, 12);
  for (int64_t p = 0; p < 70; ++p) {
    for (int64_t d = 0; d < 16; ++d) s.K(p, d) = 0xFC00;
  }
  const std::vector<float> q(item.n_tokens * item.n_heads * 16, 0.5f);
  const std::vector<float> out = RunAttend(GetParam(), s, item, 1.0f, q);
  for (int64_t i = 0; i < 70 * 32; ++i) ASSERT_EQ(out[i], 0.0f);
  for (int64_t d = 0; d < 32; ++d) ASSERT_NEAR(out[70 * 32 + d], tensor::HalfToFloat(s.V(70, d % 16)), 1e-6);
}

// A row of an item is bit for bit what it is alone: tokens one by one, in two parts, and each head alone.
TEST_P(AttentionTest, ResultsDoNotDependOnNeighbours) {
  for (const int64_t head_dim : {8, 64, 128}) {
    const Item item{37, 40, 5};
    Sequence s(head_dim, 77, 13, 1, way());
    const int64_t row = item.n_heads * head_dim;
    const std::vector<float> q = s.Gaussian(item.n_tokens * row, 2.0f);
    const std::vector<float> whole = RunAttend(isa(), s, item, 0.3f, q);
    for (const int64_t step : {1, 2, 23}) {
      for (int64_t t = 0; t < item.n_tokens; t += step) {
        const int64_t n = std::min(step, item.n_tokens - t);
        const std::vector<float> q_part(q.begin() + t * row, q.begin() + (t + n) * row);
        const std::vector<float> part = RunAttend(isa(), s, {37 + t, n, item.n_heads}, 0.3f, q_part);
        ASSERT_EQ(std::memcmp(part.data(), whole.data() + t * row, part.size() * 4), 0) << t << " step " << step;
      }
    }
    for (int64_t r = 0; r < item.n_tokens * item.n_heads; ++r) {
      const std::vector<float> q_row(q.begin() + r * head_dim, q.begin() + (r + 1) * head_dim);
      const std::vector<float> alone = RunAttend(isa(), s, {37 + r / item.n_heads, 1, 1}, 0.3f, q_row);
      ASSERT_EQ(std::memcmp(alone.data(), whole.data() + r * head_dim, head_dim * 4), 0) << r;
    }
  }
}

// Chunks on their own, on several threads, in any order: the same bits as all at once. Items that begin in one chunk
// and end in the next have tokens that see nothing of the last one.
TEST_P(AttentionTest, PartsMakeTheWhole) {
  const Item items[] = {{kChunkTokens - 3, 7, 3}, {2 * kChunkTokens - 1, 1, 4}, {3 * kChunkTokens, 1, 2}, {1700, 2, 5}};
  for (const Item& item : items) {
    Sequence s(40, item.first_position + item.n_tokens, 15, 1, way());
    const std::vector<float> q = s.Gaussian(item.n_tokens * item.n_heads * 40, 3.0f);
    const std::vector<float> whole = RunAttend(isa(), s, item, 0.3f, q);
    ExpectExact(s, item, 0.3f, q, whole);
    for (int threads = 1; threads <= 8; ++threads) {
      const std::vector<float> parts = RunInParts(isa(), s, item, 0.3f, q, threads);
      ASSERT_EQ(std::memcmp(parts.data(), whole.data(), whole.size() * 4), 0)
          << Describe(item, 40) << " threads " << threads;
    }
  }
}

// Tokens of a prompt that crosses a chunk's end are what they are one by one.
TEST_P(AttentionTest, PromptsAcrossChunksDoNotDependOnTheirLength) {
  const Item item{kChunkTokens - 20, 40, 2};
  Sequence s(64, item.first_position + item.n_tokens, 16, 1, way());
  const int64_t row = item.n_heads * 64;
  const std::vector<float> q = s.Gaussian(item.n_tokens * row, 2.0f);
  const std::vector<float> whole = RunAttend(isa(), s, item, 0.3f, q);
  for (int64_t t = 0; t < item.n_tokens; ++t) {
    const std::vector<float> q_row(q.begin() + t * row, q.begin() + (t + 1) * row);
    const std::vector<float> alone = RunInParts(isa(), s, {item.first_position + t, 1, 2}, 0.3f, q_row, 1);
    ASSERT_EQ(std::memcmp(alone.data(), whole.data() + t * row, row * 4), 0) << t;
  }
}

// Several KV heads in an item: each what it is alone.
TEST_P(AttentionTest, SeveralKvHeads) {
  constexpr int64_t kKvHeads = 3;
  constexpr int64_t kDim = 24;
  for (const Item& item : {Item{600, 1, 4}, Item{30, 9, 2}, Item{505, 12, 1}}) {
    Sequence s(kDim, item.first_position + item.n_tokens, 17, kKvHeads, way());
    const int64_t head_row = item.n_heads * kDim;
    const std::vector<float> q = s.Gaussian(item.n_tokens * kKvHeads * head_row, 2.0f);
    const std::vector<float> all = RunAttend(isa(), s, item, 0.3f, q);
    for (int64_t g = 0; g < kKvHeads; ++g) {
      Call call(s, item, 0.3f, q);
      AttendItem one = call.attend();
      one.pages = s.pages(g);
      one.kv_heads = 1;
      one.q += g * head_row;
      std::vector<float> out(item.n_tokens * head_row);
      one.out = out.data();
      one.out_stride = head_row;
      Scratch scratch(AttendScratchBytes(one));
      Attend(isa(), one, scratch.data());
      for (int64_t t = 0; t < item.n_tokens; ++t) {
        const float* const want = all.data() + (t * kKvHeads + g) * head_row;
        ASSERT_EQ(std::memcmp(out.data() + t * head_row, want, head_row * 4), 0)
            << Describe(item, kDim) << " KV head " << g << " token " << t;
      }
    }
  }
}

// Infinite or NaN keys and values after a token's position must not reach it, though its neighbours in the item see
// them.
TEST_P(AttentionTest, LaterPositionsNeverReachEarlierTokens) {
  if (way().format.k != KvType::kF16) return;  // pages of int8 hold neither
  for (int64_t poisoned = 1; poisoned < 40; ++poisoned) {
    const Item item{30, 40, 3};
    Sequence s(32, 70, 14, 1, way());
    const std::vector<float> q = s.Gaussian(item.n_tokens * item.n_heads * 32, 1.0f);
    const std::vector<float> clean = RunAttend(isa(), s, item, 0.2f, q);
    for (int64_t d = 0; d < 32; ++d) {
      s.K(30 + poisoned, d) = kHalfNan;
      s.V(30 + poisoned, d) = kHalfInf;
    }
    const std::vector<float> out = RunAttend(isa(), s, item, 0.2f, q);
    const int64_t before = poisoned * item.n_heads * 32;
    ASSERT_EQ(std::memcmp(out.data(), clean.data(), before * 4), 0) << poisoned;
    ASSERT_TRUE(std::isnan(out[before])) << "the poison does reach the token that sees it";
  }
}

// Integer sums at their bounds, where one that overflowed would turn a score round: queries along even positions' keys,
// against odd ones', in all dims or in one, from the least half to the largest.
TEST_P(HalvesTest, Int16SumsDoNotOverflow) {
  for (const int64_t head_dim : {8, 128, 256}) {
    for (const float k : {0x1p-24f, 1.0f, -1.0f, 65504.0f}) {
      for (const bool one_hot : {false, true}) {
        Sequence s(head_dim, 70, 20, 1, kHalvesInInt16);
        for (int64_t p = 0; p < 70; ++p) {
          const float x = p % 2 == 0 ? k : -k;
          for (int64_t d = 0; d < head_dim; ++d) {
            s.K(p, d) = tensor::FloatToHalf(one_hot && d != 3 ? 0.0f : x);
            s.V(p, d) = tensor::FloatToHalf(one_hot && d != 5 ? 0.0f : x);
          }
        }
        const Item item{40, 30, 2};
        std::vector<float> q(item.n_tokens * item.n_heads * head_dim, 1.0f);
        for (size_t i = 0; one_hot && i < q.size(); ++i) q[i] = i % static_cast<size_t>(head_dim) == 3 ? 1.0f : 0.0f;
        const float scale = 20 / std::fabs(k) / static_cast<float>(one_hot ? 1 : head_dim);  // scores of 20 and -20
        const std::vector<float> out = RunAttend(GetParam(), s, item, scale, q);
        // Equal numerators are all rounded the same way, by at most half of a 512th.
        for (int64_t row = 0; row < item.n_tokens * item.n_heads; ++row) {
          ASSERT_NEAR(out[row * head_dim + 5], std::fabs(k), 1.5e-3 * std::fabs(k)) << head_dim << " row " << row;
        }
      }
    }
  }
}

// Nothing to tell apart: zero keys give equal weights, zero values zeros, and so do zero or enormous queries of keys
// that are alike.
TEST_P(HalvesTest, Int16OfZeroAndEnormousQueries) {
  Sequence s(24, 50, 22, 1, kHalvesInInt16);
  for (int64_t p = 0; p < 50; ++p) {
    for (int64_t d = 0; d < 24; ++d) {
      s.K(p, d) = 0;
      s.V(p, d) = tensor::FloatToHalf(d == 0 ? 0.0f : static_cast<float>(p));
    }
  }
  for (const float magnitude : {0.0f, 1e-30f, 1.0f, 1e30f}) {
    const Item item{20, 30, 1};
    const std::vector<float> q(item.n_tokens * 24, magnitude);
    const std::vector<float> out = RunAttend(GetParam(), s, item, 1.0f, q);
    for (int64_t t = 0; t < 30; ++t) {
      ASSERT_EQ(out[t * 24], 0.0f);
      ASSERT_NEAR(out[t * 24 + 1], static_cast<float>(20 + t) / 2, 1e-2) << magnitude << " token " << t;
    }
  }
}

// What attention.h says int16 costs, beside what storing halves does.
TEST_P(HalvesTest, Int16CostsNoMoreThanStated) {
  constexpr int64_t kDim = 128;
  const Item item{500, 32, 4};
  double squares[3] = {};  // of the result; of its error by storing halves, and by int16
  Sequence halves(kDim, 532, 23);
  const std::vector<float> q = halves.Gaussian(item.n_tokens * item.n_heads * kDim, 1.0f);
  std::vector<double> written_k;
  std::vector<double> written_v;
  for (int64_t p = 0; p < 532; ++p) {
    written_k.insert(written_k.end(), halves.WrittenK(p).begin(), halves.WrittenK(p).end());
    written_v.insert(written_v.end(), halves.WrittenV(p).begin(), halves.WrittenV(p).end());
  }
  const std::vector<double> k = Unpack(halves, true);
  const std::vector<double> v = Unpack(halves, false);
  Sequence same(kDim, 532, 23, 1, kHalvesInInt16);
  const float scale = 1 / std::sqrt(128.0f);
  const std::vector<float> got = RunAttend(GetParam(), same, item, scale, q);
  for (int64_t row = 0; row < item.n_tokens * item.n_heads; ++row) {
    const int64_t visible = item.first_position + row / item.n_heads + 1;
    const float* const query = q.data() + row * kDim;
    const Reference stored = ExactRow(k, v, visible, kDim, scale, query, kHalves);
    const Reference written = ExactRow(written_k, written_v, visible, kDim, scale, query, kHalves);
    for (int64_t d = 0; d < kDim; ++d) {
      squares[0] += stored.out[d] * stored.out[d];
      squares[1] += std::pow(stored.out[d] - written.out[d], 2);
      squares[2] += std::pow(got[row * kDim + d] - stored.out[d], 2);
    }
  }
  EXPECT_LT(squares[1] / squares[0], 1.2e-7);
  EXPECT_LT(squares[2] / squares[0], 2e-7);
}

// One of the two int8, on its own.
TEST_P(HalvesTest, MixedFormats) {
  for (const KvFormat& format : {KvFormat{KvType::kQ8_0, KvType::kF16}, KvFormat{KvType::kF16, KvType::kQ8_0}}) {
    for (const int64_t head_dim : {8, 40, 128}) {
      CheckItem(GetParam(), format, {530, 1, 4}, head_dim, 18);
      CheckItem(GetParam(), format, {25, 33, 3}, head_dim, 19);
    }
  }
}

}  // namespace
}  // namespace tenfold::kernels
