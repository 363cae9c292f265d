// Activations in two planes: what Precision::kExact adds to the exact weights.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/isa.h"
#include "kernels/matmul.h"
#include "kernels/matmul_testing.h"
#include "kernels/test_isas.h"
#include "tensor/dequantize.h"

namespace tenfold::kernels {
namespace {

using tensor::DType;
using testing::AlignedBytes;

constexpr int64_t kRows = 37;
constexpr int64_t kCols = 512;
constexpr int64_t kTokens = 21;

std::vector<float> Product(Isa isa, const PackedMatrix& w, const float* x, int64_t tokens, Precision precision,
                           std::span<const int32_t> token_rows = {}) {
  Activations a;
  a.Prepare(isa, {&w.format, 1}, x, kCols, tokens, kCols, precision);
  a.Quantize(0, tokens);
  const int64_t n = token_rows.empty() ? tokens : static_cast<int64_t>(token_rows.size());
  std::vector<float> y(static_cast<size_t>(n * w.rows));
  const MatmulJob job{.w = &w, .x = &a, .token_rows = token_rows, .y = y.data(), .y_stride = w.rows};
  MatmulPlan plan;
  plan.Build(isa, precision, {&job, 1}, 3);
  const AlignedBytes scratch(plan.ScratchBytes());
  for (int64_t i = 0; i < plan.item_count(); ++i) plan.RunItem(i, scratch.data());
  return y;
}

// sum (y - exact)^2 / sum exact^2, exact in double from the dequantised weights and unrounded x.
double NormalisedError(const std::vector<float>& y, const std::vector<uint8_t>& weights, DType format, const float* x) {
  const size_t row_bytes = tensor::RowBytes(format, kCols);
  std::vector<float> row(kCols);
  double error = 0;
  double power = 0;
  for (int64_t r = 0; r < kRows; ++r) {
    tensor::DequantizeRow(format, weights.data() + static_cast<size_t>(r) * row_bytes, kCols, row.data());
    for (int64_t t = 0; t < kTokens; ++t) {
      double sum = 0;
      for (int64_t i = 0; i < kCols; ++i) sum += static_cast<double>(row[static_cast<size_t>(i)]) * x[t * kCols + i];
      const double miss = y[static_cast<size_t>(t * kRows + r)] - sum;
      error += miss * miss;
      power += sum * sum;
    }
  }
  return error / power;
}

class ExactPlanes : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!RunsHere(GetParam())) GTEST_SKIP() << "this CPU has no " << NameOf(GetParam());
  }
};

TEST_P(ExactPlanes, LeaveNextToNothingOfTheActivationRounding) {
  const auto x = testing::MakeInput(kTokens, kCols, 8);
  for (const DType format : {DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kQ8_0, DType::kQ4_0, DType::kQ4_1,
                             DType::kIQ4_XS, DType::kQ5_1, DType::kIQ2_S, DType::kQ2_K}) {
    const auto weights = testing::MakeWeights(format, kRows, kCols, testing::Fill::kRandom, 5);
    AlignedBytes storage;
    const PackedMatrix w = testing::Pack(format, weights, kRows, kCols, &storage);
    const double exact =
        NormalisedError(Product(GetParam(), w, x.data(), kTokens, Precision::kExact), weights, format, x.data());
    const double fast =
        NormalisedError(Product(GetParam(), w, x.data(), kTokens, Precision::kFast), weights, format, x.data());
    EXPECT_LT(exact, 2e-9) << tensor::NameOf(format);
    EXPECT_GT(fast, 1e-6) << tensor::NameOf(format) << ": then this test shows nothing";
  }
}

TEST_P(ExactPlanes, DoNotDependOnTheBatchOrOnGathering) {
  const auto x = testing::MakeInput(kTokens, kCols, 8);
  for (const DType format : testing::kFormatsUnderTest) {
    const auto weights = testing::MakeWeights(format, kRows, kCols, testing::Fill::kRandom, 6);
    AlignedBytes storage;
    const PackedMatrix w = testing::Pack(format, weights, kRows, kCols, &storage);
    const auto together = Product(GetParam(), w, x.data(), kTokens, Precision::kExact);
    const int32_t rows[] = {20, 3, 3, 11};
    const auto gathered = Product(GetParam(), w, x.data(), kTokens, Precision::kExact, rows);
    for (size_t i = 0; i < 4; ++i) {
      const auto alone = Product(GetParam(), w, x.data() + rows[i] * kCols, 1, Precision::kExact);
      for (size_t r = 0; r < kRows; ++r) {
        ASSERT_EQ(alone[r], together[static_cast<size_t>(rows[i]) * kRows + r]) << tensor::NameOf(format);
        ASSERT_EQ(alone[r], gathered[i * kRows + r]) << tensor::NameOf(format);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllIsas, ExactPlanes, ::testing::ValuesIn(MatmulIsas()), TestIsaName);

}  // namespace
}  // namespace tenfold::kernels
