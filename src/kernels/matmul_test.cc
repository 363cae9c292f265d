// Every kernel of every instruction set this machine has, against a model in double; exactness promises; epilogues.
#include "kernels/matmul.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/activations.h"
#include "kernels/matmul_kernels.h"
#include "kernels/matmul_testing.h"
#include "kernels/test_isas.h"

namespace tenfold::kernels {
namespace {

using testing::AlignedBytes;
using testing::DType;
using testing::Expected;
using testing::Fill;
using testing::RunOptions;

int64_t Block(DType format) { return static_cast<int64_t>(tensor::TraitsOf(format).block_elems); }

// Enough tokens for every panel path (PanelPathsAreReached checks it).
constexpr int64_t kManyTokens = 96;

// A matrix, its input, and the truth about their product.
struct Case {
  Case(DType format, int64_t rows, int64_t cols, int64_t tokens, Fill fill = Fill::kRandom)
      : format(format),
        rows(rows),
        cols(cols),
        weights(testing::MakeWeights(format, rows, cols, fill, static_cast<uint32_t>(rows + cols))),
        w(testing::Pack(format, weights, rows, cols, &storage)),
        x(testing::MakeInput(tokens, cols, 3)),
        expected(testing::Multiply(format, weights, rows, cols, x)) {}

  std::vector<float> RunOn(Isa isa, int64_t tokens, const RunOptions& options = {}) const {
    const Activations a = testing::Quantized(isa, {format}, x, tokens, cols);
    std::vector<float> y(static_cast<size_t>(tokens * rows), -1.0f);
    testing::Run(isa, w, a, options, &y);
    return y;
  }

  DType format;
  int64_t rows, cols;
  AlignedBytes storage;
  std::vector<uint8_t> weights;
  PackedMatrix w;
  std::vector<float> x;
  Expected expected;
};

void ExpectClose(const Case& c, Isa isa, const std::vector<float>& y) {
  for (size_t i = 0; i < y.size(); ++i) {
    ASSERT_NEAR(y[i], c.expected.y[i], c.expected.tolerance[i])
        << NameOf(isa) << " " << NameOf(c.format) << " " << c.rows << "x" << c.cols << ", " << y.size() / c.rows
        << " tokens: token " << i / c.rows << " row " << i % c.rows;
  }
}

class MatmulOn : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!RunsHere(GetParam())) GTEST_SKIP() << "this CPU lacks " << NameOf(GetParam());
  }
};

TEST_P(MatmulOn, EveryTokenCountIsExact) {
  for (const DType format : testing::kFormatsUnderTest) {
    const Case c(format, 53, std::max<int64_t>(256, 2 * Block(format)), 40);
    for (int64_t tokens = 1; tokens <= 40; ++tokens)
      ASSERT_NO_FATAL_FAILURE(ExpectClose(c, GetParam(), c.RunOn(GetParam(), tokens)));
  }
}

TEST_P(MatmulOn, EveryRemainderOfRowsAndColumnsIsExact) {
  for (const DType format : testing::kFormatsUnderTest) {
    std::vector<int64_t> widths = {256, 512, 768, 2560};
    if (Block(format) == 1) widths = {1, 63, 64, 65, 172, 1000};
    if (Block(format) == 32) widths = {32, 64, 224, 288, 2560};
    for (const int64_t cols : widths) {
      for (const int64_t rows : {1, 15, 16, 17, 31, 32, 33, 64, 85}) {
        const Case c(format, rows, cols, 7);
        for (const int64_t tokens : {1, 7})
          ASSERT_NO_FATAL_FAILURE(ExpectClose(c, GetParam(), c.RunOn(GetParam(), tokens)));
      }
    }
  }
}

// Formats packed into the layout of another: what they hold is multiplied, not something near it.
TEST_P(MatmulOn, PackedFormatsAreExact) {
  for (const DType format : testing::kPackedFormats) {
    for (const int64_t cols : {Block(format), int64_t{768}}) {
      for (const Fill fill : {Fill::kRandom, Fill::kLargest, Fill::kZeroScale}) {
        const Case c(format, 37, cols, 13, fill);
        for (const int64_t tokens : {1, 13}) {
          ASSERT_NO_FATAL_FAILURE(ExpectClose(c, GetParam(), c.RunOn(GetParam(), tokens)));
        }
      }
    }
  }
}

TEST_P(MatmulOn, ManyTokensAreExact) {
  for (const DType format : testing::kFormatsUnderTest) {
    const Case c(format, 17, 256, 513);
    for (const int64_t tokens : {100, 512, 513})
      ASSERT_NO_FATAL_FAILURE(ExpectClose(c, GetParam(), c.RunOn(GetParam(), tokens)));
  }
}

TEST_P(MatmulOn, ExtremeWeightsAreExact) {
  for (const DType format : testing::kFormatsUnderTest) {
    if (Block(format) == 1) continue;
    for (const Fill fill : {Fill::kLargest, Fill::kZeroScale, Fill::kSubnormalScale}) {
      const Case c(format, 20, 512, 8, fill);
      for (const int64_t tokens : {1, 8})
        ASSERT_NO_FATAL_FAILURE(ExpectClose(c, GetParam(), c.RunOn(GetParam(), tokens)));
    }
  }
}

// kExact: an output element is the same bits whatever is computed with it.
TEST_P(MatmulOn, ExactResultsDoNotDependOnBatchOrSplit) {
  for (const DType format : testing::kFormatsUnderTest) {
    const Case c(format, 85, 512, 33);
    const std::vector<float> all = c.RunOn(GetParam(), 33);
    for (const int64_t tokens : {1, 2, 5, 6, 7, 8, 12, 13, 16, 25, 32}) {
      const std::vector<float> some = c.RunOn(GetParam(), tokens, {.threads = static_cast<int>(tokens)});
      ASSERT_EQ(std::memcmp(some.data(), all.data(), some.size() * sizeof(float)), 0)
          << NameOf(format) << " " << tokens << " tokens";
    }
    // One panel alone is a tile of one panel, not of two.
    AlignedBytes storage;
    const PackedMatrix first = testing::Pack(format, c.weights, 16, c.cols, &storage);
    const Activations a = testing::Quantized(GetParam(), {format}, c.x, 33, c.cols);
    std::vector<float> y(33 * 16);
    testing::Run(GetParam(), first, a, {}, &y);
    for (size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y[i], all[i / 16 * 85 + i % 16]) << NameOf(format);
  }
}

double Nmse(const std::vector<float>& got, const std::vector<double>& want) {
  double error = 0, size = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    error += (got[i] - want[i]) * (got[i] - want[i]);
    size += want[i] * want[i];
  }
  return error / size;
}

// Gaussian weights, quantised: int8 with a scale per 128 columns loses 3.9e-5 of their power. 24 token counts make
// every size of token group.
TEST_P(MatmulOn, PanelsStayNearExact) {
  for (const DType format : testing::kPanelFormats) {
    const int64_t least = PanelMinTokens(GetParam(), format);
    if (least == INT64_MAX) continue;
    for (const int64_t rows : {64, 85}) {
      const Case c(format, rows, 1280, least + 24, Fill::kGaussian);
      for (int64_t tokens = least; tokens <= least + 24; ++tokens) {
        const std::vector<float> y = c.RunOn(GetParam(), tokens, {.precision = Precision::kFast});
        const std::vector<double> want(c.expected.y.begin(), c.expected.y.begin() + static_cast<ptrdiff_t>(y.size()));
        const double nmse = Nmse(y, want);
        ASSERT_LE(nmse, 5e-5) << NameOf(format) << " rows " << rows << " tokens " << tokens;
        ASSERT_GT(nmse, 1e-6) << "the panel path was not taken";
      }
    }
  }
}

// Types that are rewritten into a packing whose panel kernel rounds to that packing's range: Q3_K through the panels of
// Q6_K lost 2.9e-3.
TEST_P(MatmulOn, PromptsOfNarrowTypesInWidePackingsStayNearExact) {
  for (const DType format : {DType::kQ3_K, DType::kIQ4_NL, DType::kQ2_K, DType::kQ5_0}) {
    const Case c(format, 64, 1280, 100, Fill::kGaussian);
    const std::vector<float> y = c.RunOn(GetParam(), 100, {.precision = Precision::kFast});
    const std::vector<double> want(c.expected.y.begin(), c.expected.y.begin() + static_cast<ptrdiff_t>(y.size()));
    EXPECT_LE(Nmse(y, want), 5e-5) << NameOf(format);
  }
}

// The panel kernels themselves, below the token counts at which they are chosen: every size of the first group and of
// those after it, one panel and two, one super-block and an odd number of them.
TEST_P(MatmulOn, PanelKernelsTakeAnyTokenCount) {
  for (const DType format : testing::kPanelFormats) {
    const FormatKernels& kernels = KernelsOf(GetParam(), PackingOf(format));
    if (kernels.panel == nullptr) continue;
    for (const auto& [panels, cols] : {std::pair(1, 256), std::pair(1, 768), std::pair(2, 256), std::pair(2, 768)}) {
      const int64_t rows = kPanelRows * panels;
      const Case c(format, rows, cols, 40, Fill::kGaussian);
      const Activations x = testing::Quantized(GetParam(), {format}, c.x, 40, cols);
      const Records& records = x.impl().For(format);
      for (int64_t tokens = 1; tokens <= 40; ++tokens) {
        const AlignedBytes out(static_cast<size_t>(tokens * rows) * sizeof(float));
        auto* y = reinterpret_cast<float*>(out.data());
        kernels.panel({.w = c.w.data,
                       .panel_bytes = PanelBytes(format, cols),
                       .panels = panels,
                       .cols = cols,
                       .records = records.memory.get(),
                       .block_stride = records.block_stride,
                       .tokens = tokens,
                       .c = y});
        for (int64_t t = 0; t < tokens; ++t) {
          const std::vector<float> got(y + rows * t, y + rows * (t + 1));
          const std::vector<double> want(c.expected.y.begin() + rows * t, c.expected.y.begin() + rows * (t + 1));
          if (t != 2) {  // a token of zeros
            ASSERT_LE(Nmse(got, want), 5e-4) << NameOf(format) << " token " << t << " of " << tokens << ", " << panels
                                             << " panels of " << cols << " columns";
          }
        }
      }
    }
  }
}

TEST_P(MatmulOn, PanelPathsAreReached) {
  for (const FormatKernels& kernels : MatmulKernelsOf(GetParam()).formats) {
    if (kernels.panel != nullptr) {
      EXPECT_LE(kernels.panel_min_tokens, kManyTokens);
    }
  }
}

TEST_P(MatmulOn, PanelsOfExtremeWeightsStayNearExact) {
  for (const DType format : testing::kPanelFormats) {
    if (PanelMinTokens(GetParam(), format) == INT64_MAX) continue;
    for (const Fill fill : {Fill::kRandom, Fill::kLargest, Fill::kZeroScale, Fill::kSubnormalScale}) {
      const Case c(format, 40, 512, kManyTokens, fill);
      const std::vector<float> y = c.RunOn(GetParam(), kManyTokens, {.precision = Precision::kFast});
      ASSERT_LE(Nmse(y, c.expected.y), 1e-4) << NameOf(format) << " fill " << static_cast<int>(fill);
    }
  }
}

TEST_P(MatmulOn, AddAddsToWhatIsThere) {
  const Case c(DType::kQ4_K, 45, 256, 9);
  const std::vector<float> store = c.RunOn(GetParam(), 9);
  const std::vector<float> add = c.RunOn(GetParam(), 9, {.epilogue = Epilogue::kAdd});
  for (size_t i = 0; i < store.size(); ++i) ASSERT_EQ(add[i], -1.0f + store[i]);
}

TEST_P(MatmulOn, SiluMulGatesOneProductByTheOther) {
  const Case gate(DType::kQ4_K, 45, 512, 9);
  for (const DType format : {DType::kQ4_K, DType::kQ6_K, DType::kF16, DType::kQ4_0, DType::kIQ4_XS}) {
    const Case up(format, 45, 512, 9);
    const Activations a = testing::Quantized(GetParam(), {DType::kQ4_K, format}, up.x, 9, 512);
    std::vector<float> y(9 * 45);
    testing::Run(GetParam(), gate.w, a, {.epilogue = Epilogue::kSiluMul, .w2 = &up.w, .token_rows = {0, 1, 2, 5, 8}},
                 &y);
    const std::vector<float> g = gate.RunOn(GetParam(), 9);
    const std::vector<float> u = up.RunOn(GetParam(), 9);
    const int tokens[] = {0, 1, 2, 5, 8};
    for (int t = 0; t < 5; ++t) {
      for (int r = 0; r < 45; ++r) {
        const double gv = g[static_cast<size_t>(tokens[t] * 45 + r)];
        const double want = gv / (1 + std::exp(-gv)) * u[static_cast<size_t>(tokens[t] * 45 + r)];
        ASSERT_NEAR(y[static_cast<size_t>(t * 45 + r)], want, 2e-6 * std::fabs(want) + 1e-30) << gv;
      }
    }
  }
}

TEST_P(MatmulOn, TokenRowsPickRows) {
  for (const DType format : testing::kFormatsUnderTest) {
    const Case c(format, 37, 512, 150);
    const std::vector<float> all = c.RunOn(GetParam(), 150);
    std::vector<int32_t> scattered;
    for (int32_t t = 149; t >= 0; t -= 2) scattered.push_back(t);
    for (const std::vector<int32_t>& rows : {std::vector<int32_t>{5}, {3, 4, 5, 6}, {149, 0, 7, 7}, scattered}) {
      const Activations a = testing::Quantized(GetParam(), {format}, c.x, 150, c.cols);
      std::vector<float> y(rows.size() * 37);
      testing::Run(GetParam(), c.w, a, {.token_rows = rows}, &y);
      for (size_t i = 0; i < y.size(); ++i) {
        ASSERT_EQ(y[i], all[static_cast<size_t>(rows[i / 37]) * 37 + i % 37]) << NameOf(format) << " element " << i;
      }
    }
  }
}

// A second half far smaller or larger than the first, where panels and direct kernels join the two as they go.
TEST_P(MatmulOn, HalvesOfUnequalSizeAddUp) {
  for (const DType format : testing::kPanelFormats) {
    for (const float factor : {0.0f, 1e-25f, 1e-4f, 0.01f, 0.04f, 1.0f, 30.0f, 1e4f, 1e25f}) {
      Case c(format, 32, 512, kManyTokens, Fill::kGaussian);
      for (size_t i = 0; i < c.x.size(); ++i) c.x[i] *= i % 256 < 128 ? 1.0f : factor;
      c.expected = testing::Multiply(format, c.weights, 32, 512, c.x);
      ASSERT_NO_FATAL_FAILURE(ExpectClose(c, GetParam(), c.RunOn(GetParam(), kManyTokens))) << factor;
      const std::vector<float> fast = c.RunOn(GetParam(), kManyTokens, {.precision = Precision::kFast});
      ASSERT_LE(Nmse(fast, c.expected.y), 6e-5) << NameOf(format) << " factor " << factor;
    }
  }
}

// The same of weights: rows whose second half is far smaller or larger, or nothing.
TEST_P(MatmulOn, HalvesOfUnequalWeightsAddUp) {
  for (const DType format : testing::kPanelFormats) {
    for (const float factor : {0.0f, 1e-4f, 0.02f, 0.3f, 50.0f, 1e4f}) {
      Case c(format, 32, 512, kManyTokens);
      for (uint32_t r = 0; r < 32; ++r) {
        std::vector<float> row = testing::MakeInput(1, 512, r);
        for (size_t i = 0; i < row.size(); ++i) row[i] *= i % 256 < 128 ? 1.0f : factor;
        tensor::QuantizeRow(format, row.data(), 512, c.weights.data() + r * tensor::RowBytes(format, 512));
      }
      c.w = testing::Pack(format, c.weights, 32, 512, &c.storage);
      c.expected = testing::Multiply(format, c.weights, 32, 512, c.x);
      ASSERT_NO_FATAL_FAILURE(ExpectClose(c, GetParam(), c.RunOn(GetParam(), kManyTokens))) << factor;
      const std::vector<float> fast = c.RunOn(GetParam(), kManyTokens, {.precision = Precision::kFast});
      ASSERT_LE(Nmse(fast, c.expected.y), 6e-5) << NameOf(format) << " factor " << factor;
    }
  }
}

TEST_P(MatmulOn, ANotANumberReachesEveryResultOfItsToken) {
  for (const DType format : testing::kFormatsUnderTest) {
    for (const size_t at : {0, 130, 511}) {
      Case c(format, 20, 512, kManyTokens);
      c.x[7 * 512 + at] = std::nanf("");
      for (const Precision precision : {Precision::kExact, Precision::kFast}) {
        const std::vector<float> y = c.RunOn(GetParam(), kManyTokens, {.precision = precision});
        for (size_t i = 0; i < y.size(); ++i) ASSERT_EQ(std::isnan(y[i]), i / 20 == 7) << NameOf(format) << " " << i;
      }
    }
  }
}

// All instruction sets quantise activations to the same bytes.
TEST_P(MatmulOn, QuantisersAgreeByteForByte) {
  const MatmulKernels& truth = MatmulKernelsOf(Isa::kScalar);
  const MatmulKernels& mine = MatmulKernelsOf(GetParam());
  const auto expect_same = [](QuantizeFn a, QuantizeFn b, const std::vector<float>& x, size_t bytes) {
    AlignedBytes ra(bytes * 64), rb(bytes * 64);
    std::memset(ra.data(), 0x11, ra.size());
    std::memset(rb.data(), 0x22, rb.size());
    const auto cols = static_cast<int64_t>(x.size());
    a(x.data(), cols, ra.data(), bytes);
    b(x.data(), cols, rb.data(), bytes);
    const size_t used = bytes * ((x.size() + (bytes == 256 ? 63 : 255)) / (bytes == 256 ? 64 : 256));
    EXPECT_EQ(std::memcmp(ra.data(), rb.data(), used), 0) << bytes << " byte records of " << cols << " columns";
  };
  for (uint32_t seed = 0; seed < 20; ++seed) {
    std::vector<float> x = testing::MakeInput(5, 1024, seed);
    std::vector<float> token(x.begin() + 1024 * (seed % 5), x.begin() + 1024 * (seed % 5 + 1));
    if (seed == 7) std::fill(token.begin(), token.end(), 1e-38f);
    if (seed == 9) token[100] = 3e38f;
    if (seed == 11) token[100] = std::nanf("");
    if (seed == 13) token[200] = INFINITY;
    if (seed == 15) std::fill(token.begin() + 128, token.begin() + 256, 1e-3f);
    expect_same(truth.quantize_k, mine.quantize_k, token, 384);
    for (const size_t cols : {1024, 32, 96, 288}) {
      token.resize(cols);
      expect_same(truth.quantize_8, mine.quantize_8, token, 384);
      for (const size_t odd : {cols, cols - 1, cols - 31}) {
        token.resize(odd);
        expect_same(truth.quantize_float, mine.quantize_float, token, 256);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllIsas, MatmulOn, ::testing::ValuesIn(MatmulIsas()), TestIsaName);

// Every item is run once and together they cover every panel, for any number of threads and mix of jobs.
TEST(MatmulPlan, ItemsCoverEveryRowOnce) {
  const Case a(DType::kQ4_K, 333, 256, 3), b(DType::kF32, 5, 256, 3), c(DType::kQ6_K, 64, 256, 3);
  const Activations x = testing::Quantized(Isa::kScalar, {DType::kQ4_K, DType::kF32, DType::kQ6_K}, a.x, 3, 256);
  MatmulPlan plan;
  for (const int threads : {1, 2, 7, 64}) {
    std::vector<float> ya(3 * 333), yb(3 * 5), yc(3 * 64);
    const MatmulJob jobs[] = {{.w = &a.w, .x = &x, .y = ya.data(), .y_stride = 333, .epilogue = Epilogue::kAdd},
                              {.w = &b.w, .x = &x, .y = yb.data(), .y_stride = 5, .epilogue = Epilogue::kAdd},
                              {.w = &c.w, .x = &x, .y = yc.data(), .y_stride = 64, .epilogue = Epilogue::kAdd}};
    plan.Build(Isa::kScalar, Precision::kFast, jobs, threads);
    EXPECT_GE(plan.item_count(), 3);
    const AlignedBytes scratch(plan.ScratchBytes());
    for (int64_t i = 0; i < plan.item_count(); ++i) plan.RunItem(i, scratch.data());
    for (size_t i = 0; i < ya.size(); ++i) ASSERT_NEAR(ya[i], a.expected.y[i], a.expected.tolerance[i]);
    for (size_t i = 0; i < yb.size(); ++i) ASSERT_NEAR(yb[i], b.expected.y[i], b.expected.tolerance[i]);
    for (size_t i = 0; i < yc.size(); ++i) ASSERT_NEAR(yc[i], c.expected.y[i], c.expected.tolerance[i]);
  }
}

// A narrow matrix, many tokens and many threads: tokens are split, and no element is missed or done twice.
TEST(MatmulPlan, FewTilesAreCutByTokens) {
  const Case c(DType::kQ8_0, 40, 64, 700);
  const Activations x = testing::Quantized(Isa::kScalar, {DType::kQ8_0}, c.x, 700, 64);
  std::vector<int32_t> scattered(700);
  for (int32_t t = 0; t < 700; ++t) scattered[static_cast<size_t>(t)] = 699 - t;
  for (const std::vector<int32_t>& rows : {std::vector<int32_t>{}, scattered}) {
    // Adding shows what is done twice, storing what is written past the last token.
    for (const auto& [threads, epilogue] : {std::pair(1, Epilogue::kAdd), std::pair(16, Epilogue::kAdd),
                                            std::pair(16, Epilogue::kStore), std::pair(100, Epilogue::kAdd)}) {
      std::vector<float> y(700 * 40);
      y.resize(900 * 40, 5.0f);
      const MatmulJob job{.w = &c.w, .x = &x, .token_rows = rows, .y = y.data(), .y_stride = 40, .epilogue = epilogue};
      MatmulPlan plan;
      plan.Build(Isa::kScalar, Precision::kFast, {&job, 1}, threads);
      if (threads == 16) {
        EXPECT_GE(plan.item_count(), 10);
      }
      const AlignedBytes scratch(plan.ScratchBytes());
      for (int64_t i = 0; i < plan.item_count(); ++i) plan.RunItem(i, scratch.data());
      ASSERT_EQ(std::count(y.begin() + 700 * 40, y.end(), 5.0f), 200 * 40);
      for (size_t i = 0; i < 700 * 40; ++i) {
        const size_t from = rows.empty() ? i : static_cast<size_t>(rows[i / 40]) * 40 + i % 40;
        ASSERT_NEAR(y[i], c.expected.y[from], c.expected.tolerance[from]) << i << " of " << threads << " threads";
      }
    }
  }
}

TEST(MatmulPlan, NoTokensIsNoWork) {
  const Case c(DType::kQ4_K, 32, 256, 1);
  Activations x;
  const DType formats[] = {DType::kQ4_K};
  x.Prepare(Isa::kScalar, formats, c.x.data(), 256, 0, 256);
  float y = 0;
  const MatmulJob job{.w = &c.w, .x = &x, .y = &y, .y_stride = 32};
  MatmulPlan plan;
  plan.Build(Isa::kScalar, Precision::kFast, {&job, 1}, 4);
  EXPECT_EQ(plan.item_count(), 0);
}

}  // namespace
}  // namespace tenfold::kernels
