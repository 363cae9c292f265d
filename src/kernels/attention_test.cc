// Attention on every instruction set against a double-precision softmax over the same stored halves.
#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <thread>

#include "kernels/test_isas.h"
#include "tensor/fp16.h"

namespace tenfold::kernels {
namespace {

constexpr double kEpsilon = 0x1p-24;  // half a unit in the last place of a float
constexpr uint16_t kHalfNan = 0x7E55;
constexpr uint16_t kHalfInf = 0x7C00;

// A 64-byte aligned buffer with a guard behind it, every byte 0xFF (so floats are NaN) to begin with.
class Scratch {
 public:
  explicit Scratch(size_t bytes) : bytes_(bytes), memory_(bytes + 128, 0xFF) {}
  uint8_t* data() {
    const auto address = reinterpret_cast<uintptr_t>(memory_.data());
    return memory_.data() + (64 - address % 64) % 64;
  }
  bool GuardIntact() {
    return std::all_of(data() + bytes_, data() + bytes_ + 64, [](uint8_t b) { return b == 0xFF; });
  }

 private:
  size_t bytes_;
  std::vector<uint8_t> memory_;
};

// One sequence's keys and values in shuffled pages of a pool whose every unwritten half is a NaN.
class Sequence {
 public:
  Sequence(int64_t head_dim, int64_t length, unsigned seed, int64_t kv_heads = 1)
      : head_dim_(head_dim), length_(length), kv_heads_(kv_heads), random_(seed) {
    const int64_t n_pages = (length + kPageTokens - 1) / kPageTokens;
    page_ids_.resize(n_pages + 3);
    std::iota(page_ids_.begin(), page_ids_.end(), 0);
    std::shuffle(page_ids_.begin(), page_ids_.end(), random_);
    page_ids_.resize(n_pages);
    head_stride_ = KvPageBytes(head_dim) + 128;
    stride_ = static_cast<size_t>(kv_heads) * head_stride_ + 64;
    pool_.assign((n_pages + 3) * stride_ / 2, kHalfNan);
    for (int64_t p = 0; p < length * kv_heads; ++p) {
      const std::vector<float> k = Gaussian(head_dim, 1.0f);
      const std::vector<float> v = Gaussian(head_dim, 1.0f);
      WriteKv(Isa::kScalar, pages(p % kv_heads), p / kv_heads, head_dim, k.data(), v.data());
    }
  }
  KvPages pages(int64_t kv_head = 0) {
    uint8_t* const base = reinterpret_cast<uint8_t*>(pool_.data()) + static_cast<size_t>(kv_head) * head_stride_;
    return {base, stride_, head_stride_, page_ids_};
  }
  int64_t head_dim() const { return head_dim_; }
  int64_t length() const { return length_; }
  int64_t kv_heads() const { return kv_heads_; }
  uint16_t& K(int64_t position, int64_t d) { return Page(position)[d * 16 + position % 16]; }
  uint16_t& V(int64_t position, int64_t d) { return Page(position)[16 * head_dim_ + position % 16 * head_dim_ + d]; }
  std::vector<float> Gaussian(int64_t n, float spread) {
    std::normal_distribution<float> normal(0.0f, spread);
    std::vector<float> x(n);
    for (float& value : x) value = normal(random_);
    return x;
  }

 private:
  uint16_t* Page(int64_t position) { return pool_.data() + page_ids_[position / 16] * stride_ / 2; }
  int64_t head_dim_;
  int64_t length_;
  int64_t kv_heads_;
  std::mt19937 random_;
  size_t stride_;
  size_t head_stride_;
  std::vector<int32_t> page_ids_;
  std::vector<uint16_t> pool_;
};

struct Item {
  int64_t first_position;
  int64_t n_tokens;
  int64_t n_heads;
};

std::string Describe(const Item& item, int64_t head_dim) {
  return "first " + std::to_string(item.first_position) + " tokens " + std::to_string(item.n_tokens) + " heads " +
         std::to_string(item.n_heads) + " head_dim " + std::to_string(head_dim);
}

// Queries and results of an item over all the sequence's KV heads, in rows with gaps and guards between them.
class Call {
 public:
  // q: (n_tokens, kv_heads * n_heads, head_dim) without gaps; kv_heads is 1 or the sequence's.
  Call(Sequence& s, const Item& item, float scale, const std::vector<float>& q) {
    row_ = static_cast<int64_t>(q.size()) / item.n_tokens;
    q_.assign(item.n_tokens * (row_ + 3), std::numeric_limits<float>::quiet_NaN());
    out_.assign(item.n_tokens * (row_ + 5), 12345.0f);
    for (int64_t t = 0; t < item.n_tokens; ++t) std::copy_n(q.data() + t * row_, row_, q_.data() + t * (row_ + 3));
    attend_.pages = s.pages();
    attend_.first_position = item.first_position;
    attend_.n_tokens = item.n_tokens;
    attend_.kv_heads = row_ / (item.n_heads * s.head_dim());
    attend_.n_heads = item.n_heads;
    attend_.head_dim = s.head_dim();
    attend_.scale = scale;
    attend_.q = q_.data();
    attend_.q_stride = row_ + 3;
    attend_.out = out_.data();
    attend_.out_stride = row_ + 5;
  }
  const AttendItem& attend() const { return attend_; }
  // The result without gaps.
  std::vector<float> Result() const {
    std::vector<float> packed(attend_.n_tokens * row_);
    for (int64_t t = 0; t < attend_.n_tokens; ++t) {
      std::copy_n(out_.data() + t * (row_ + 5), row_, packed.data() + t * row_);
      for (int64_t i = row_; i < row_ + 5; ++i) EXPECT_EQ(out_[t * (row_ + 5) + i], 12345.0f);
    }
    return packed;
  }

 private:
  AttendItem attend_;
  int64_t row_;
  std::vector<float> q_;
  std::vector<float> out_;
};

std::vector<float> RunAttend(Isa isa, Sequence& s, const Item& item, float scale, const std::vector<float>& q) {
  const Call call(s, item, scale, q);
  Scratch scratch(AttendScratchBytes(call.attend()));
  Attend(isa, call.attend(), scratch.data());
  EXPECT_TRUE(scratch.GuardIntact()) << Describe(item, s.head_dim());
  return call.Result();
}

// The same in chunks, dealt out to `threads` threads from the last chunk to the first; whoever is last merges.
std::vector<float> RunInParts(Isa isa, Sequence& s, const Item& item, float scale, const std::vector<float>& q,
                              int threads) {
  const Call call(s, item, scale, q);
  const AttendItem& attend = call.attend();
  const int64_t chunks = AttendChunks(attend);
  Scratch parts(static_cast<size_t>(chunks) * AttendPartFloats(attend) * sizeof(float));
  auto* const floats = reinterpret_cast<float*>(parts.data());
  std::atomic<int64_t> next = chunks;
  std::atomic<int64_t> left = chunks;
  std::vector<std::thread> team;
  for (int i = 0; i < threads; ++i) {
    team.emplace_back([&] {
      Scratch scratch(AttendScratchBytes(attend));
      for (int64_t chunk = --next; chunk >= 0; chunk = --next) {
        AttendChunk(isa, attend, chunk, floats, scratch.data());
        if (--left == 0) MergeChunks(isa, attend, floats);
      }
      EXPECT_TRUE(scratch.GuardIntact());
    });
  }
  for (std::thread& thread : team) thread.join();
  EXPECT_TRUE(parts.GuardIntact()) << Describe(item, s.head_dim());
  return call.Result();
}

// The exact softmax of one row, and how far float arithmetic may stray from it.
struct Reference {
  std::vector<double> out;
  double tolerance;
};

// Error model, u = 2^-24: a score is a chain of head_dim rounded multiply-adds (4 sqrt(head_dim) u of the sum of the
// magnitudes, four standard deviations of a random walk); the subtraction of the maximum and exp add u |score| and
// 2e-7; numerator errors count twice (numerator and sum); the sum over positions is a random walk too.
Reference ExactRow(const std::vector<double>& k, const std::vector<double>& v, int64_t visible, int64_t head_dim,
                   float scale, const float* q) {
  std::vector<double> p(visible);
  double max = -std::numeric_limits<double>::infinity();
  double largest_score = 0.0;
  double largest_magnitude = 0.0;
  double largest_v = 0.0;
  for (int64_t j = 0; j < visible; ++j) {
    double magnitude = 0.0;
    for (int64_t d = 0; d < head_dim; ++d) {
      const double product = static_cast<double>(scale) * q[d] * k[j * head_dim + d];
      p[j] += product;
      magnitude += std::fabs(product);
      largest_v = std::max(largest_v, std::fabs(v[j * head_dim + d]));
    }
    max = std::max(max, p[j]);
    largest_score = std::max(largest_score, std::fabs(p[j]));
    largest_magnitude = std::max(largest_magnitude, magnitude);
  }
  Reference r{std::vector<double>(head_dim), 0.0};
  double sum = 0.0;
  for (int64_t j = 0; j < visible; ++j) {
    const double weight = std::exp(p[j] - max);
    sum += weight;
    for (int64_t d = 0; d < head_dim; ++d) r.out[d] += weight * v[j * head_dim + d];
  }
  for (double& x : r.out) x /= sum;
  const double score_error = 4 * std::sqrt(head_dim) * kEpsilon * largest_magnitude + 3 * kEpsilon * largest_score;
  r.tolerance = largest_v * (2 * (score_error + 2e-7) + 4 * std::sqrt(visible) * kEpsilon);
  return r;
}

std::vector<double> Unpack(Sequence& s, bool keys) {
  std::vector<double> x(s.length() * s.head_dim());
  for (int64_t p = 0; p < s.length(); ++p) {
    for (int64_t d = 0; d < s.head_dim(); ++d) {
      x[p * s.head_dim() + d] = tensor::HalfToFloat(keys ? s.K(p, d) : s.V(p, d));
    }
  }
  return x;
}

void ExpectExact(Sequence& s, const Item& item, float scale, const std::vector<float>& q,
                 const std::vector<float>& out) {
  const std::vector<double> k = Unpack(s, true);
  const std::vector<double> v = Unpack(s, false);
  for (int64_t row = 0; row < item.n_tokens * item.n_heads; ++row) {
    const int64_t visible = item.first_position + row / item.n_heads + 1;
    const Reference r = ExactRow(k, v, visible, s.head_dim(), scale, q.data() + row * s.head_dim());
    for (int64_t d = 0; d < s.head_dim(); ++d) {
      const float got = out[row * s.head_dim() + d];
      ASSERT_LE(std::fabs(got - r.out[d]), r.tolerance)
          << Describe(item, s.head_dim()) << " row " << row << " d " << d << " got " << got << " want " << r.out[d];
    }
  }
}

void CheckItem(Isa isa, const Item& item, int64_t head_dim, unsigned seed, float q_spread = 1.0f) {
  Sequence s(head_dim, item.first_position + item.n_tokens, seed);
  const std::vector<float> q = s.Gaussian(item.n_tokens * item.n_heads * head_dim, q_spread);
  const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  ExpectExact(s, item, scale, q, RunAttend(isa, s, item, scale, q));
}

class AttentionTest : public ::testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Isas, AttentionTest, ::testing::ValuesIn(TestIsas()), TestIsaName);

TEST_P(AttentionTest, OneTokenAtEveryLength) {
  for (const int64_t head_dim : {8, 64, 128}) {
    for (int64_t length = 1; length <= 70; ++length) CheckItem(GetParam(), {length - 1, 1, 4}, head_dim, length);
  }
}

TEST_P(AttentionTest, ChunksOfEveryShape) {
  std::mt19937 random(7);
  for (const int64_t head_dim : {8, 24, 32, 64, 72, 96, 128, 256}) {
    for (int64_t n_tokens = 1; n_tokens <= 40; n_tokens += head_dim <= 64 ? 1 : 3) {
      const Item item{static_cast<int64_t>(random() % 51), n_tokens, 1 + static_cast<int64_t>(random() % 8)};
      CheckItem(GetParam(), item, head_dim, random());
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(AttentionTest, EveryHeadCount) {
  for (int64_t heads = 1; heads <= 17; ++heads) {
    CheckItem(GetParam(), {77, 1, heads}, 64, heads);
    CheckItem(GetParam(), {60, 3, heads}, 40, heads);
  }
}

TEST_P(AttentionTest, LongContext) {
  CheckItem(GetParam(), {1500, 1, 4}, 128, 1);
  CheckItem(GetParam(), {1000, 16, 4}, 64, 2);
}

// Scores up to about +-80 make nearly one-hot rows, where a wrong maximum would overflow.
TEST_P(AttentionTest, LargeScores) {
  CheckItem(GetParam(), {130, 9, 4}, 128, 3, 25.0f);
  CheckItem(GetParam(), {70, 1, 1}, 64, 4, 25.0f);
}

// Scores that climb from -80 to 80 raise the maximum at every position; falling ones never again after the first.
TEST_P(AttentionTest, RisingAndFallingScores) {
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
TEST_P(AttentionTest, MinusInfinityScores) {
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
    Sequence s(head_dim, 77, 13);
    const int64_t row = item.n_heads * head_dim;
    const std::vector<float> q = s.Gaussian(item.n_tokens * row, 2.0f);
    const std::vector<float> whole = RunAttend(GetParam(), s, item, 0.3f, q);
    for (const int64_t step : {1, 2, 23}) {
      for (int64_t t = 0; t < item.n_tokens; t += step) {
        const int64_t n = std::min(step, item.n_tokens - t);
        const std::vector<float> q_part(q.begin() + t * row, q.begin() + (t + n) * row);
        const std::vector<float> part = RunAttend(GetParam(), s, {37 + t, n, item.n_heads}, 0.3f, q_part);
        ASSERT_EQ(std::memcmp(part.data(), whole.data() + t * row, part.size() * 4), 0) << t << " step " << step;
      }
    }
    for (int64_t r = 0; r < item.n_tokens * item.n_heads; ++r) {
      const std::vector<float> q_row(q.begin() + r * head_dim, q.begin() + (r + 1) * head_dim);
      const std::vector<float> alone = RunAttend(GetParam(), s, {37 + r / item.n_heads, 1, 1}, 0.3f, q_row);
      ASSERT_EQ(std::memcmp(alone.data(), whole.data() + r * head_dim, head_dim * 4), 0) << r;
    }
  }
}

// Chunks on their own, on several threads, in any order: the same bits as all at once. Items that begin in one chunk
// and end in the next have tokens that see nothing of the last one.
TEST_P(AttentionTest, PartsMakeTheWhole) {
  const Item items[] = {{kChunkTokens - 3, 7, 3}, {2 * kChunkTokens - 1, 1, 4}, {3 * kChunkTokens, 1, 2}, {1700, 2, 5}};
  for (const Item& item : items) {
    Sequence s(40, item.first_position + item.n_tokens, 15);
    const std::vector<float> q = s.Gaussian(item.n_tokens * item.n_heads * 40, 3.0f);
    const std::vector<float> whole = RunAttend(GetParam(), s, item, 0.3f, q);
    ExpectExact(s, item, 0.3f, q, whole);
    for (int threads = 1; threads <= 8; ++threads) {
      const std::vector<float> parts = RunInParts(GetParam(), s, item, 0.3f, q, threads);
      ASSERT_EQ(std::memcmp(parts.data(), whole.data(), whole.size() * 4), 0)
          << Describe(item, 40) << " threads " << threads;
    }
  }
}

// Tokens of a prompt that crosses a chunk's end are what they are one by one.
TEST_P(AttentionTest, PromptsAcrossChunksDoNotDependOnTheirLength) {
  const Item item{kChunkTokens - 20, 40, 2};
  Sequence s(64, item.first_position + item.n_tokens, 16);
  const int64_t row = item.n_heads * 64;
  const std::vector<float> q = s.Gaussian(item.n_tokens * row, 2.0f);
  const std::vector<float> whole = RunAttend(GetParam(), s, item, 0.3f, q);
  for (int64_t t = 0; t < item.n_tokens; ++t) {
    const std::vector<float> q_row(q.begin() + t * row, q.begin() + (t + 1) * row);
    const std::vector<float> alone = RunInParts(GetParam(), s, {item.first_position + t, 1, 2}, 0.3f, q_row, 1);
    ASSERT_EQ(std::memcmp(alone.data(), whole.data() + t * row, row * 4), 0) << t;
  }
}

// Several KV heads in an item: each what it is alone.
TEST_P(AttentionTest, SeveralKvHeads) {
  constexpr int64_t kKvHeads = 3;
  constexpr int64_t kDim = 24;
  for (const Item& item : {Item{600, 1, 4}, Item{30, 9, 2}, Item{505, 12, 1}}) {
    Sequence s(kDim, item.first_position + item.n_tokens, 17, kKvHeads);
    const int64_t head_row = item.n_heads * kDim;
    const std::vector<float> q = s.Gaussian(item.n_tokens * kKvHeads * head_row, 2.0f);
    const std::vector<float> all = RunAttend(GetParam(), s, item, 0.3f, q);
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
      Attend(GetParam(), one, scratch.data());
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
  for (int64_t poisoned = 1; poisoned < 40; ++poisoned) {
    const Item item{30, 40, 3};
    Sequence s(32, 70, 14);
    const std::vector<float> q = s.Gaussian(item.n_tokens * item.n_heads * 32, 1.0f);
    const std::vector<float> clean = RunAttend(GetParam(), s, item, 0.2f, q);
    for (int64_t d = 0; d < 32; ++d) {
      s.K(30 + poisoned, d) = kHalfNan;
      s.V(30 + poisoned, d) = kHalfInf;
    }
    const std::vector<float> out = RunAttend(GetParam(), s, item, 0.2f, q);
    const int64_t before = poisoned * item.n_heads * 32;
    ASSERT_EQ(std::memcmp(out.data(), clean.data(), before * 4), 0) << poisoned;
    ASSERT_TRUE(std::isnan(out[before])) << "the poison does reach the token that sees it";
  }
}

TEST_P(AttentionTest, WriteKvRoundsToTheNearestFiniteHalf) {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> x = {0.0f,    -0.0f,  1.0f, -1.0f / 3.0f, 65504.0f, 65519.0f,   65520.0f, 1e30f,
                          -1e30f,  inf,    -inf, 0x1p-24f,     0x1p-25f, 0x1.8p-25f, 6e-6f,    2049.0f,
                          2051.0f, 1e-30f, 0.1f, -7.7f,        3e-5f,    -6.2e-5f,   1024.5f,  1025.5f};
  for (const int64_t head_dim : {24}) {
    for (int64_t slot = 0; slot < 16; ++slot) {
      std::vector<uint16_t> page(KvPageBytes(head_dim) / 2, kHalfNan);
      const std::vector<int32_t> ids = {0};
      std::vector<float> negative(x);
      for (float& value : negative) value = -value;
      WriteKv(GetParam(), {reinterpret_cast<uint8_t*>(page.data()), KvPageBytes(head_dim), 0, ids}, slot, head_dim,
              x.data(), negative.data());
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

TEST_P(AttentionTest, WriteKvKeepsNan) {
  std::vector<uint16_t> page(KvPageBytes(8) / 2, 0);
  const std::vector<int32_t> ids = {0};
  const std::vector<float> nans(8, std::numeric_limits<float>::quiet_NaN());
  WriteKv(GetParam(), {reinterpret_cast<uint8_t*>(page.data()), KvPageBytes(8), 0, ids}, 3, 8, nans.data(),
          nans.data());
  EXPECT_TRUE(std::isnan(tensor::HalfToFloat(page[3])));
  EXPECT_TRUE(std::isnan(tensor::HalfToFloat(page[16 * 8 + 3 * 8])));
}

}  // namespace
}  // namespace tenfold::kernels
