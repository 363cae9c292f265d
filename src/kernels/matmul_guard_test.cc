// No kernel reads or writes outside what it was given: weights, activation records and results lie between pages that
// cannot be touched, once against the page behind them and once against the page before. Prefetches may go beyond.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "kernels/activations.h"
#include "kernels/guarded_testing.h"
#include "kernels/matmul_kernels.h"
#include "kernels/matmul_testing.h"
#include "kernels/test_isas.h"

namespace tenfold::kernels {
namespace {

using testing::DType;

TEST(GuardedDeathTest, BothEndsAreGuarded) {
  for (const Against side : {Against::kFront, Against::kBack}) {
    const Guarded bytes(nullptr, 128, side);
    EXPECT_DEATH(
        {
          const volatile uint8_t byte = *bytes.before();
          (void)byte;
        },
        "");
    EXPECT_DEATH(
        {
          const volatile uint8_t byte = *bytes.behind();
          (void)byte;
        },
        "");
  }
}

// Panels of a matrix and records of its input, as RunItem would hand them to a kernel.
struct Case {
  Case(Isa isa, DType format, int64_t cols, int64_t tokens, testing::Fill fill = testing::Fill::kRandom)
      : x(testing::MakeInput(tokens, cols, 5)),
        w(testing::Pack(format, testing::MakeWeights(format, 32, cols, fill, 7), 32, cols, &storage)),
        activations(testing::Quantized(isa, {format}, x, tokens, cols)),
        records(&activations.impl().For(format)) {}

  std::vector<float> x;
  testing::AlignedBytes storage;
  PackedMatrix w;
  Activations activations;
  const Records* records;
};

std::vector<float> RunBetweenGuards(const Case& c, TileFn fn, int panels, int64_t tokens, Against side) {
  const size_t panel_bytes = PanelBytes(c.w.format, c.w.cols);
  const Guarded weights(c.w.data, panel_bytes * static_cast<size_t>(panels), side);
  // Of the records only those of the first `tokens` tokens: the last column block ends where the guard begins.
  const size_t used = static_cast<size_t>(tokens) * c.records->token_bytes;
  const auto blocks = static_cast<size_t>(c.records->blocks);
  const Guarded records(nullptr, blocks * used, side);
  for (size_t b = 0; b < blocks; ++b) {
    std::memcpy(records.data() + b * used, c.records->memory.get() + b * c.records->block_stride, used);
  }
  const size_t n = static_cast<size_t>(tokens * panels * kPanelRows);
  const Guarded out(nullptr, n * sizeof(float), side);
  auto* y = reinterpret_cast<float*>(out.data());
  std::fill(y, y + n, -7.0f);  // results are stored, not added
  fn({.w = weights.data(),
      .panel_bytes = panel_bytes,
      .panels = panels,
      .cols = c.w.cols,
      .records = records.data(),
      .block_stride = used,
      .tokens = tokens,
      .c = y});
  return {y, y + n};
}

class GuardsOn : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!RunsHere(GetParam())) GTEST_SKIP() << "this CPU lacks " << NameOf(GetParam());
  }
};

TEST_P(GuardsOn, DirectKernelsStayInsideAndAgreeForAnyGroup) {
  constexpr int64_t kTokens = 40;
  for (const DType format : testing::kFormatsUnderTest) {
    const FormatKernels& kernels = KernelsOf(GetParam(), PackingOf(format));
    const auto block = static_cast<int64_t>(tensor::TraitsOf(format).block_elems);
    const int64_t remainder = block == 1 ? 65 : block == 32 ? 288 : 768;
    for (const int64_t cols : {block == 1 ? 64 : std::max<int64_t>(256, block), remainder}) {
      const Case c(GetParam(), format, cols, kTokens);
      const std::vector<float> all = RunBetweenGuards(c, kernels.direct, 2, kTokens, Against::kBack);
      for (int64_t tokens = 1; tokens <= kTokens; ++tokens) {
        for (const Against side : {Against::kFront, Against::kBack}) {
          const std::vector<float> pair = RunBetweenGuards(c, kernels.direct, 2, tokens, side);
          ASSERT_EQ(std::memcmp(pair.data(), all.data(), pair.size() * sizeof(float)), 0)
              << kernels.direct_name << " " << tokens << " tokens, " << cols << " columns";
          const std::vector<float> one = RunBetweenGuards(c, kernels.direct, 1, tokens, side);
          for (size_t i = 0; i < one.size(); ++i) {
            ASSERT_EQ(one[i], all[i / 16 * 32 + i % 16])
                << kernels.direct_name << " " << tokens << " tokens, one panel";
          }
        }
      }
    }
  }
}

TEST_P(GuardsOn, PanelKernelsStayInsideAndAgreeWithDirectOnes) {
  for (const DType format : testing::kPanelFormats) {
    const FormatKernels& kernels = KernelsOf(GetParam(), PackingOf(format));
    if (kernels.panel == nullptr) continue;
    const Case c(GetParam(), format, 768, 40, testing::Fill::kGaussian);
    const std::vector<float> want = RunBetweenGuards(c, kernels.direct, 2, 40, Against::kBack);
    for (int64_t tokens = 1; tokens <= 40; ++tokens) {
      for (const Against side : {Against::kFront, Against::kBack}) {
        for (const int panels : {1, 2}) {
          const std::vector<float> got = RunBetweenGuards(c, kernels.panel, panels, tokens, side);
          double error = 0;
          double power = 0;
          for (size_t i = 0; i < got.size(); ++i) {
            const double exact = want[panels == 2 ? i : i / 16 * 32 + i % 16];
            error += (got[i] - exact) * (got[i] - exact);
            power += exact * exact;
          }
          // Twice the bar of whole matrices (matmul_test.cc): a few results scatter.
          ASSERT_LE(error, 1e-4 * power) << kernels.panel_name << " " << tokens << " tokens, " << panels << " panels";
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllIsas, GuardsOn, ::testing::ValuesIn(MatmulIsas()), TestIsaName);

}  // namespace
}  // namespace tenfold::kernels
