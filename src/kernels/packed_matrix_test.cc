// Packing loses nothing: every row comes back bit by bit as the GGUF bytes say, whatever the remainders.
#include "kernels/packed_matrix.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <utility>

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

std::vector<DType> AllFormats() {
  std::vector<DType> all(std::begin(testing::kOwnFormats), std::end(testing::kOwnFormats));
  all.insert(all.end(), std::begin(testing::kPackedFormats), std::end(testing::kPackedFormats));
  return all;
}

TEST(PackedMatrix, EveryComputableTypeIsPacked) {
  const std::vector<DType> all = AllFormats();
  for (uint32_t id = 0; id < 64; ++id) {
    const auto type = static_cast<DType>(id);
    EXPECT_EQ(tensor::IsComputable(type), std::find(all.begin(), all.end(), type) != all.end()) << id;
  }
}

TEST(PackedMatrix, RowsComeBackBitExact) {
  for (const DType format : AllFormats()) {
    // An eighth or a half of a subnormal scale is not always a half: the corner that pack/packing.h names.
    const bool divides = format == DType::kIQ1_S || format == DType::kIQ1_M || format == DType::kIQ3_XXS;
    const auto block = static_cast<int64_t>(tensor::TraitsOf(format).block_elems);
    for (const int64_t cols : {block, 3 * block, 8 * block, 11 * block}) {
      for (const int64_t rows : {1, 15, 16, 17, 53}) {
        for (const Fill fill : {Fill::kRandom, Fill::kLargest, Fill::kZeroScale, Fill::kSubnormalScale}) {
          if (fill == Fill::kSubnormalScale && divides) continue;
          ExpectRoundTrip(format, rows, cols, fill);
        }
      }
    }
  }
}

TEST(PackedMatrix, PanelsAreWholeLinesAndHardlyLargerThanTheFile) {
  for (const DType format : testing::kOwnFormats) {
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

// What the other types cost in memory, in bits a weight, is part of what a user is told.
TEST(PackedMatrix, PackedTypesGrowToTheirLayout) {
  const std::pair<DType, double> kBits[] = {
      {DType::kQ5_0, 8.5},     {DType::kIQ4_NL, 8.5},   {DType::kQ5_1, 10.0},    {DType::kIQ4_XS, 9.0},
      {DType::kMXFP4, 9.0},    {DType::kIQ2_XXS, 9.0},  {DType::kIQ2_XS, 10.0},  {DType::kIQ2_S, 10.0},
      {DType::kQ2_K, 12.0},    {DType::kQ3_K, 6.5625},  {DType::kIQ3_S, 6.5625}, {DType::kIQ3_XXS, 6.5625},
      {DType::kIQ1_S, 6.5625}, {DType::kIQ1_M, 6.5625}, {DType::kTQ1_0, 4.5},    {DType::kTQ2_0, 4.5}};
  EXPECT_EQ(std::size(kBits), std::size(testing::kPackedFormats));
  for (const auto& [format, bits] : kBits) {
    EXPECT_EQ(static_cast<double>(PackedBytes(format, 32, 2048)) * 8 / (32 * 2048), bits) << NameOf(format);
  }
}

TEST(PackedMatrix, EveryByteOfAPanelIsWritten) {
  for (const DType format : AllFormats()) {
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
