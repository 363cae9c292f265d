// Which packer serves which format, and rows back out of panels for the embedding look-up.
//
// A row is unpacked by putting its GGUF blocks together again and asking tensor/ for their values, so that there is one
// truth about what a block means.
#include "kernels/packed_matrix.h"

#include <cstring>

#include "base/check.h"
#include "kernels/pack/layout.h"
#include "kernels/pack/pack.h"
#include "tensor/dequantize.h"
#include "tensor/fp16.h"

namespace tenfold::kernels {

using tensor::DType;

static_assert(kPanelRows == layout::kRows);

size_t PanelBytes(DType format, int64_t cols) {
  const auto n = static_cast<size_t>(cols);
  switch (format) {
    case DType::kF32:
      return n * 64;
    case DType::kF16:
      return (n * 32 + 63) / 64 * 64;
    case DType::kQ8_0:
      TENFOLD_CHECK(cols % 32 == 0, "Q8_0 columns come in blocks of 32");
      return layout::ScaleHeaderBytes(cols / 32) + n / 32 * layout::kQ8BlockBytes;
    case DType::kQ4_K:
      TENFOLD_CHECK(cols % 256 == 0, "Q4_K columns come in blocks of 256");
      return n / 256 * layout::kQ4KBlockBytes;
    case DType::kQ6_K:
      TENFOLD_CHECK(cols % 256 == 0, "Q6_K columns come in blocks of 256");
      return layout::ScaleHeaderBytes(cols / 256) + n / 256 * layout::kQ6KBlockBytes;
    default:
      TENFOLD_CHECK(false, "a format without kernels");
  }
  return 0;
}

void PackPanel(DType format, const uint8_t* src, int64_t rows, int64_t cols, uint8_t* dst) {
  TENFOLD_CHECK(rows >= 1 && rows <= kPanelRows, "a panel holds 1 to 16 rows");
  switch (format) {
    case DType::kF32:
      return PackFloats(src, rows, cols, 4, dst);
    case DType::kF16:
      return PackFloats(src, rows, cols, 2, dst);
    case DType::kQ8_0:
      return PackQ8_0(src, rows, cols, dst);
    case DType::kQ4_K:
      return PackQ4K(src, rows, cols, dst);
    case DType::kQ6_K:
      return PackQ6K(src, rows, cols, dst);
    default:
      TENFOLD_CHECK(false, "a format without kernels");
  }
}

void UnpackRow(const PackedMatrix& matrix, int64_t row, float* dst) {
  TENFOLD_CHECK(row >= 0 && row < matrix.rows, "row of a packed matrix out of range");
  const uint8_t* panel = matrix.data + static_cast<size_t>(row / kPanelRows) * PanelBytes(matrix.format, matrix.cols);
  const int64_t lane = row % kPanelRows;
  if (matrix.format == DType::kF32) {
    for (int64_t c = 0; c < matrix.cols; ++c) std::memcpy(dst + c, panel + (c * kPanelRows + lane) * 4, 4);
    return;
  }
  if (matrix.format == DType::kF16) {
    for (int64_t c = 0; c < matrix.cols; ++c) {
      uint16_t half;
      std::memcpy(&half, panel + (c * kPanelRows + lane) * 2, 2);
      dst[c] = tensor::HalfToFloat(half);
    }
    return;
  }
  const int64_t block_elems = tensor::TraitsOf(matrix.format).block_elems;
  uint8_t gguf[256];
  for (int64_t b = 0; b < matrix.cols / block_elems; ++b) {
    switch (matrix.format) {
      case DType::kQ8_0:
        UnpackBlockQ8_0(panel, matrix.cols, lane, b, gguf);
        break;
      case DType::kQ4_K:
        UnpackBlockQ4K(panel, lane, b, gguf);
        break;
      case DType::kQ6_K:
        UnpackBlockQ6K(panel, matrix.cols, lane, b, gguf);
        break;
      default:
        TENFOLD_CHECK(false, "a format without kernels");
    }
    tensor::DequantizeRow(matrix.format, gguf, static_cast<size_t>(block_elems), dst + b * block_elems);
  }
}

}  // namespace tenfold::kernels
