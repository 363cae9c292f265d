// Packing loses nothing: every row comes back bit by bit as the GGUF bytes say, whatever the remainders.
#include "kernels/packed_matrix.h"

#include <gtest/gtest.h>

#include <cstring>

#include "kernels/matmul_testing.h"

namespace tenfold::kernels {
namespace {

using testing::AlignedBytes;
using testing::DType;
using testing::Fill;

void ExpectRoundTrip(DType format, int64_t rows, int64_t cols, Fill fill) {
  const std::vector<uint8_t> weights = testing::MakeWeights(format, rows, cols, fill, 7);
  AlignedBytes storage;
  const PackedMatrix m = testing::Pack(format, weights, rows, cols, &storage);
  const size_t row_bytes = tensor::RowBytes(format, static_cast<size_t>(cols));
  std::vector<float> want(static_cast<size_t>(cols)), got(static_cast<size_t>(cols));
  for (int64_t r = 0; r < rows; ++r) {
    tensor::DequantizeRow(format, weights.data() + static_cast<size_t>(r) * row_bytes, want.size(), want.data());
    UnpackRow(m, r, got.data());
    ASSERT_EQ(std::memcmp(want.data(), got.data(), want.size() * sizeof(float)), 0)
        << NameOf(format) << " " << rows << "x" << cols << " row " << r;
  }
}

TEST(PackedMatrix, RowsComeBackBitExact) {
  for (const DType format : testing::kFormatsUnderTest) {
    const auto block = static_cast<int64_t>(tensor::TraitsOf(format).block_elems);
    for (const int64_t cols : {block, 3 * block, 8 * block, 11 * block}) {
      for (const int64_t rows : {1, 15, 16, 17, 53}) {
        for (const Fill fill : {Fill::kRandom, Fill::kLargest, Fill::kZeroScale, Fill::kSubnormalScale}) {
          ExpectRoundTrip(format, rows, cols, fill);
        }
      }
    }
  }
}

TEST(PackedMatrix, PanelsAreWholeLinesAndHardlyLargerThanTheFile) {
  for (const DType format : testing::kFormatsUnderTest) {
    const auto block = static_cast<int64_t>(tensor::TraitsOf(format).block_elems);
    for (const int64_t blocks : {1, 2, 7, 10, 38}) {
      const size_t panel = PanelBytes(format, blocks * block);
      const size_t file = 16 * tensor::RowBytes(format, static_cast<size_t>(blocks * block));
      EXPECT_EQ(panel % 64, 0u);
      EXPECT_GE(panel, file);
      EXPECT_LT(panel, file + 64);
    }
  }
}

TEST(PackedMatrix, EveryByteOfAPanelIsWritten) {
  for (const DType format : testing::kFormatsUnderTest) {
    const auto cols = static_cast<int64_t>(tensor::TraitsOf(format).block_elems) * 3;
    for (const int64_t rows : {1, 16}) {
      const std::vector<uint8_t> weights = testing::MakeWeights(format, rows, cols, Fill::kRandom, 8);
      AlignedBytes a(PanelBytes(format, cols)), b(PanelBytes(format, cols));
      std::memset(a.data(), 0x55, a.size());
      std::memset(b.data(), 0xAA, b.size());
      PackPanel(format, weights.data(), rows, cols, a.data());
      PackPanel(format, weights.data(), rows, cols, b.data());
      EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size()), 0) << NameOf(format) << " rows " << rows;
    }
  }
}

}  // namespace
}  // namespace tenfold::kernels
