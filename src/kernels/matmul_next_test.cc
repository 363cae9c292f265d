// MatmulJob::next: what the items of one product quantise on the way for the next one.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "kernels/activations.h"
#include "kernels/isa.h"
#include "kernels/matmul.h"
#include "kernels/matmul_testing.h"

namespace tenfold::kernels {
namespace {

using tensor::DType;
using testing::AlignedBytes;

// All records, byte by byte.
std::vector<uint8_t> Bytes(const Activations& a) {
  std::vector<uint8_t> all;
  for (const Records& r : a.impl().records) {
    if (r.wanted)
      all.insert(all.end(), r.memory.get(), r.memory.get() + static_cast<size_t>(r.blocks) * r.block_stride);
  }
  return all;
}

struct Shape {
  int64_t rows;
  int64_t tokens;
  int threads;  // that the plan is cut for; 3 run it
};

// The product's items on three threads in any order; then the records of y made on the way and made afterwards.
void ExpectSameRecords(Isa isa, Precision precision, const std::vector<DType>& formats, const Shape& shape) {
  const int64_t cols = 256;
  const auto x = testing::MakeInput(shape.tokens, cols, 4);
  const auto weights = testing::MakeWeights(DType::kQ4_K, shape.rows, cols, testing::Fill::kRandom, 5);
  AlignedBytes storage;
  const PackedMatrix w = testing::Pack(DType::kQ4_K, weights, shape.rows, cols, &storage);
  const Activations a = testing::Quantized(isa, {DType::kQ4_K}, x, shape.tokens, cols);
  std::vector<float> y(static_cast<size_t>(shape.tokens * shape.rows), 7.0f);
  Activations next;
  next.Prepare(isa, formats, y.data(), shape.rows, shape.tokens, shape.rows, precision);
  const MatmulJob job{.w = &w, .x = &a, .y = y.data(), .y_stride = shape.rows, .next = &next};
  MatmulPlan plan;
  for (int again = 0; again < 2; ++again) {  // counters start anew
    plan.Build(isa, Precision::kFast, {&job, 1}, shape.threads);
    std::atomic<int64_t> left{plan.item_count()};
    std::vector<std::thread> team;
    for (int i = 0; i < 3; ++i) {
      team.emplace_back([&] {
        const AlignedBytes scratch(plan.ScratchBytes());
        for (int64_t item = --left; item >= 0; item = --left) plan.RunItem(item, scratch.data());
      });
    }
    for (std::thread& thread : team) thread.join();
    const std::vector<uint8_t> made_on_the_way = Bytes(next);
    next.Quantize(0, shape.tokens);
    EXPECT_TRUE(made_on_the_way == Bytes(next)) << shape.rows << " x " << shape.tokens;
    std::memset(y.data(), 0, y.size() * sizeof(float));
  }
}

class MatmulNext : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!IsSupported(GetParam())) GTEST_SKIP() << "this CPU has no " << NameOf(GetParam());
  }
};

TEST_P(MatmulNext, RecordsAreThoseOfQuantisingAfterwards) {
  for (const auto precision : {Precision::kFast, Precision::kExact}) {
    // Blocks in one item and in many, a last block that is cut short, few tokens and so many that items split them.
    for (const Shape shape : {Shape{768, 3, 2}, Shape{2048, 1, 7}, Shape{256, 1, 1}, Shape{512, 300, 16}}) {
      ExpectSameRecords(GetParam(), precision, {DType::kQ6_K, DType::kQ8_0, DType::kF16}, shape);
    }
    for (const Shape shape : {Shape{608, 3, 2}, Shape{32, 5, 3}, Shape{352, 270, 16}}) {
      ExpectSameRecords(GetParam(), precision, {DType::kQ8_0, DType::kF32}, shape);
    }
    ExpectSameRecords(GetParam(), precision, {DType::kF16}, {.rows = 301, .tokens = 4, .threads = 5});
  }
}

INSTANTIATE_TEST_SUITE_P(AllIsas, MatmulNext,
                         ::testing::Values(Isa::kScalar, Isa::kAvx2, Isa::kAvxVnni, Isa::kAvx512Vnni),
                         [](const auto& info) { return std::string(NameOf(info.param)); });

}  // namespace
}  // namespace tenfold::kernels
