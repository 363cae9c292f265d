// A step's attention, however it is cut into items and on however many threads, is bit for bit each token's own.
#include "model/attention_plan.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "kernels/isa.h"
#include "model/step.h"

namespace tenfold::model {
namespace {

constexpr kernels::KvFormat kHalves = {};
constexpr kernels::KvFormat kInt8 = {kernels::KvType::kQ8_0, kernels::KvType::kQ8_0};

struct Sequence {
  int64_t first_position;
  int64_t count;
  std::vector<int32_t> tokens{};
  std::vector<int32_t> page_ids{};
};

// A step of the sequences, with random keys, values and queries.
class Fixture {
 public:
  Fixture(int64_t kv_heads, int64_t group, const kernels::KvFormat& format, std::vector<Sequence> sequences,
          kernels::Precision precision = kernels::Precision::kFast)
      : sequences_(std::move(sequences)), isa_(kernels::SupportedIsas().back()), precision_(precision) {
    config_.n_layers = 2;
    config_.n_kv_heads = kv_heads;
    config_.n_heads = kv_heads * group;
    config_.head_dim = 16;
    int32_t pages = 0;
    for (Sequence& s : sequences_) {
      s.tokens.resize(static_cast<size_t>(s.count));
      s.page_ids.resize(static_cast<size_t>((s.first_position + s.count + 15) / 16));
      std::iota(s.page_ids.begin(), s.page_ids.end(), pages);
      pages += static_cast<int32_t>(s.page_ids.size());
      n_ += s.count;
    }
    auto store = KvStore::Allocate(config_, format, pages);
    EXPECT_TRUE(store.ok());
    kv_ = std::move(store).value();
    for (const Sequence& s : sequences_) {
      rows_.push_back({.tokens = s.tokens, .first_position = s.first_position, .page_ids = s.page_ids});
      Fill(s);
    }
    q_ = Random(n_ * config_.n_heads * config_.head_dim);
  }

  // Both layers after each other, the items claimed by `threads` threads in each.
  std::vector<float> Run(int threads) {
    AttentionPlan plan;
    plan.Build(config_, kv_.format(), precision_, rows_, threads);
    items_ = plan.item_count();
    part_bytes_ = plan.part_bytes();
    std::vector<float> out(q_.size() * 2);
    for (int64_t layer = 0; layer < 2; ++layer) {
      std::atomic<int64_t> next = 0;
      std::vector<std::thread> team;
      for (int t = 0; t < threads; ++t) {
        team.emplace_back([&] {
          std::vector<uint8_t> memory(plan.ScratchBytes() + 64);
          uint8_t* const scratch = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64;
          for (int64_t i = next++; i < plan.item_count(); i = next++) {
            plan.RunItem(i, isa_, kv_, layer, q_.data(), out.data() + layer * static_cast<int64_t>(q_.size()), scratch);
          }
        });
      }
      for (std::thread& thread : team) thread.join();
    }
    return out;
  }

  // Every token and KV head by itself.
  std::vector<float> Alone() {
    std::vector<float> out(q_.size() * 2);
    const int64_t group = config_.n_heads / config_.n_kv_heads;
    const int64_t width = config_.n_heads * config_.head_dim;
    for (int64_t layer = 0; layer < 2; ++layer) {
      int64_t token = 0;
      for (const Sequence& s : sequences_) {
        for (int64_t i = 0; i < s.count; ++i, ++token) {
          for (int64_t g = 0; g < config_.n_kv_heads; ++g) {
            const int64_t at = token * width + g * group * config_.head_dim;
            kernels::AttendItem item;
            item.arithmetic = AttentionPlan::ArithmeticOf(config_, kv_.format(), precision_, s.count);
            item.pages = kv_.Pages(layer, g, s.page_ids);
            item.first_position = s.first_position + i;
            item.n_heads = group;
            item.head_dim = config_.head_dim;
            item.scale = 0.25f;
            item.q = q_.data() + at;
            item.out = out.data() + layer * static_cast<int64_t>(q_.size()) + at;
            std::vector<uint8_t> memory(kernels::AttendScratchBytes(item) + 64);
            kernels::Attend(isa_, item, memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64);
          }
        }
      }
    }
    return out;
  }

  int64_t items() const { return items_; }
  uint64_t part_bytes() const { return part_bytes_; }
  // What the memory plan expects of any step like this one.
  uint64_t PlannedPartBytes() const {
    int64_t context = 0;
    for (const Sequence& s : sequences_) context = std::max(context, s.first_position + s.count);
    return AttentionPlan::PartBytesFor(config_, context, n_, static_cast<int64_t>(rows_.size()));
  }

 private:
  std::vector<float> Random(int64_t n) {
    std::normal_distribution<float> normal;
    std::vector<float> x(static_cast<size_t>(n));
    for (float& value : x) value = normal(random_);
    return x;
  }
  void Fill(const Sequence& s) {
    for (int64_t layer = 0; layer < 2; ++layer) {
      for (int64_t g = 0; g < config_.n_kv_heads; ++g) {
        for (int64_t p = 0; p < s.first_position + s.count; ++p) {
          const std::vector<float> kv = Random(2 * config_.head_dim);
          kernels::WriteKv(isa_, kv_.Pages(layer, g, s.page_ids), p, config_.head_dim, kv.data(),
                           kv.data() + config_.head_dim);
        }
      }
    }
  }

  std::vector<Sequence> sequences_;
  kernels::Isa isa_;
  kernels::Precision precision_;
  Config config_;
  std::mt19937 random_{3};
  int64_t n_ = 0;
  KvStore kv_;
  std::vector<StepRow> rows_;
  std::vector<float> q_;
  int64_t items_ = 0;
  uint64_t part_bytes_ = 0;
};

void ExpectEachAlone(Fixture& fixture) {
  const std::vector<float> want = fixture.Alone();
  for (int threads = 1; threads <= 8; ++threads) {
    const std::vector<float> got = fixture.Run(threads);
    ASSERT_EQ(std::memcmp(got.data(), want.data(), want.size() * sizeof(float)), 0) << threads << " threads";
  }
}

TEST(AttentionPlan, LongAndShortStreamsAndPromptsTogether) {
  for (const auto precision : {kernels::Precision::kFast, kernels::Precision::kExact}) {
    for (const kernels::KvFormat& format : {kHalves, kInt8}) {
      Fixture fixture(3, 2, format, {{1599, 1}, {0, 70}, {511, 3}, {512, 1}, {480, 40}, {7, 1}, {1020, 9}}, precision);
      ExpectEachAlone(fixture);
    }
  }
}

// What is exact does not depend on how many tokens a step takes; what is fast does, in the way that the header says.
TEST(AttentionPlan, ExactAndFewTokensAreComputedInFloat) {
  Config config;
  config.n_kv_heads = 2;
  config.n_heads = 8;
  const auto of = [&](const kernels::KvFormat& format, kernels::Precision precision, int64_t tokens) {
    return AttentionPlan::ArithmeticOf(config, format, precision, tokens);
  };
  const int64_t many = kernels::kInt16Rows / 4;
  EXPECT_EQ(of(kHalves, kernels::Precision::kFast, many), kernels::AttendArithmetic::kInt16);
  EXPECT_EQ(of(kHalves, kernels::Precision::kFast, many - 1), kernels::AttendArithmetic::kFloat);
  EXPECT_EQ(of(kHalves, kernels::Precision::kExact, 512), kernels::AttendArithmetic::kFloat);
  EXPECT_EQ(of(kInt8, kernels::Precision::kFast, 512), kernels::AttendArithmetic::kFloat);
}

// One long stream is enough work for every thread: in chunks, and with more threads by KV heads too.
TEST(AttentionPlan, OneLongStreamIsDividedAmongThreads) {
  Fixture fixture(8, 4, kHalves, {{2100, 1}});
  ExpectEachAlone(fixture);
  fixture.Run(1);
  EXPECT_EQ(fixture.items(), 5);  // chunks of 512
  fixture.Run(8);
  EXPECT_EQ(fixture.items(), 40);
}

// Twice the threads' items whatever the lengths, as soon as there is that much to divide.
TEST(AttentionPlan, ShortStreamsAreDividedByHeads) {
  Fixture fixture(8, 4, kHalves, {{30, 1}});
  fixture.Run(2);
  EXPECT_EQ(fixture.items(), 8);
}

TEST(AttentionPlan, PartsTakeNoMoreThanPlanned) {
  const std::vector<std::vector<Sequence>> steps = {{{2100, 1}},
                                                    {{2100, 1}, {600, 1}, {20, 1}},
                                                    {{1000, 64}},
                                                    {{1000, 64}, {4000, 28}, {4000, 29}, {3000, 1}},
                                                    {{8000, 16}, {8000, 15}}};
  for (const int threads : {1, 8}) {
    for (const auto& step : steps) {
      Fixture fixture(3, 2, kHalves, step);
      fixture.Run(threads);
      EXPECT_GT(fixture.part_bytes(), 0u);
      EXPECT_LE(fixture.part_bytes(), fixture.PlannedPartBytes());
    }
    // Where every token of the step is divided, it is what was planned, but for what an item of several saves.
    Fixture full(3, 2, kHalves, {{2100, 1}, {2100, 1}});
    full.Run(threads);
    EXPECT_GE(full.part_bytes(), full.PlannedPartBytes() * 7 / 10);
    Fixture near(3, 2, kHalves, {{400, 100}, {0, 200}});
    near.Run(threads);
    EXPECT_EQ(near.part_bytes(), 0u);
    EXPECT_EQ(near.PlannedPartBytes(), 0u);
  }
}

}  // namespace
}  // namespace tenfold::model
