// No kernel reads or writes outside what it was given: weights, activation records and results lie between pages that
// cannot be touched, once against the page behind them and once against the page before. Prefetches may go beyond.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "kernels/activations.h"
#include "kernels/matmul_kernels.h"
#include "kernels/matmul_testing.h"
#include "kernels/test_isas.h"

namespace tenfold::kernels {
namespace {

using testing::DType;

enum class Against { kFront, kBack };

// A copy of `bytes` bytes (a multiple of 64) that begins or ends at a page which cannot be touched.
class Guarded {
 public:
  Guarded(const void* from, size_t bytes, Against side) : page_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
    const size_t inside = (bytes + page_ - 1) / page_ * page_;
    mapped_ = inside + 2 * page_;
    void* map = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) std::abort();
    base_ = static_cast<uint8_t*>(map);
    if (mprotect(base_ + page_, inside, PROT_READ | PROT_WRITE) != 0) std::abort();
    data_ = base_ + page_ + (side == Against::kFront ? 0 : inside - bytes);
    if (from != nullptr) std::memcpy(data_, from, bytes);
  }
  ~Guarded() { munmap(base_, mapped_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  uint8_t* data() const { return data_; }
  // The bytes just outside, for the test of this class.
  const uint8_t* before() const { return base_ + page_ - 1; }
  const uint8_t* behind() const { return base_ + mapped_ - page_; }

 private:
  size_t page_;
  size_t mapped_ = 0;
  uint8_t* base_ = nullptr;
  uint8_t* data_ = nullptr;
};

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
  Case(Isa isa, DType format, int64_t cols, int64_t tokens)
      : x(testing::MakeInput(tokens, cols, 5)),
        w(testing::Pack(format, testing::MakeWeights(format, 32, cols, testing::Fill::kRandom, 7), 32, cols, &storage)),
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

TEST_P(GuardsOn, PanelKernelsStayInside) {
  for (const DType format : testing::kPanelFormats) {
    const FormatKernels& kernels = KernelsOf(GetParam(), PackingOf(format));
    if (kernels.panel == nullptr) continue;
    const Case c(GetParam(), format, 768, 40);
    for (int64_t tokens = 1; tokens <= 40; ++tokens) {
      for (const Against side : {Against::kFront, Against::kBack}) {
        for (const int panels : {1, 2}) RunBetweenGuards(c, kernels.panel, panels, tokens, side);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllIsas, GuardsOn, ::testing::ValuesIn(MatmulIsas()), TestIsaName);

}  // namespace
}  // namespace tenfold::kernels
