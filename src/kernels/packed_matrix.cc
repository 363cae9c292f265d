// Which packer serves which format, and rows back out of panels for the embedding look-up.
//
// A row is unpacked by putting its GGUF blocks together again and asking tensor/ for their values, so that there is one
// truth about what a block means.
#include "kernels/packed_matrix.h"

#include <cstring>
#include <vector>

#include "base/check.h"
#include "kernels/pack/layout.h"
#include "kernels/pack/pack.h"
#include "kernels/pack/packing.h"
#include "tensor/dequantize.h"

namespace tenfold::kernels {

using tensor::DType;

static_assert(kPanelRows == layout::kRows);

namespace {

// Rows already in the GGUF type that fills the layout.
void PackBlocks(Packing packing, const uint8_t* src, int64_t rows, int64_t cols, uint8_t* dst) {
  switch (packing) {
    case Packing::kF32:
      return PackFloats(src, rows, cols, 4, dst);
    case Packing::kF16:
    case Packing::kBF16:
      return PackFloats(src, rows, cols, 2, dst);
    case Packing::kQ8_0:
      return PackQ8_0(src, rows, cols, dst);
    case Packing::kQ4_0:
      return PackQ4_0(src, rows, cols, dst);
    case Packing::kQ4_1:
      return PackQ4_1(src, rows, cols, dst);
    case Packing::kQ4_K:
      return PackQ4K(src, rows, cols, dst);
    case Packing::kQ5_K:
      return PackQ5K(src, rows, cols, dst);
    case Packing::kQ6_K:
      return PackQ6K(src, rows, cols, dst);
    default:
      TENFOLD_CHECK(false, "an int8 layout has no GGUF blocks");
  }
}

// Block `block` of a row, in the GGUF type that fills the layout. For F32, F16 and BF16 a block is one element.
void UnpackBlock(Packing packing, const uint8_t* panel, int64_t cols, int64_t lane, int64_t block, uint8_t* gguf) {
  switch (packing) {
    case Packing::kF32:
      std::memcpy(gguf, panel + (block * kPanelRows + lane) * 4, 4);
      return;
    case Packing::kF16:
    case Packing::kBF16:
      std::memcpy(gguf, panel + (block * kPanelRows + lane) * 2, 2);
      return;
    case Packing::kQ8_0:
      return UnpackBlockQ8_0(panel, cols, lane, block, gguf);
    case Packing::kQ4_0:
      return UnpackBlockQ4_0(panel, cols, lane, block, gguf);
    case Packing::kQ4_1:
      return UnpackBlockQ4_1(panel, cols, lane, block, gguf);
    case Packing::kQ4_K:
      return UnpackBlockQ4K(panel, lane, block, gguf);
    case Packing::kQ5_K:
      return UnpackBlockQ5K(panel, lane, block, gguf);
    case Packing::kQ6_K:
      return UnpackBlockQ6K(panel, cols, lane, block, gguf);
    default:
      TENFOLD_CHECK(false, "an int8 layout has no GGUF blocks");
  }
}

// The int8 layouts: columns that share a scale, whether there is an offset; step 0 for the others.
struct Int8Shape {
  int step = 0;
  bool offset = false;
};
Int8Shape Int8ShapeOf(Packing packing) {
  switch (packing) {
    case Packing::kInt8By32:
      return {32, false};
    case Packing::kInt8By32Offset:
      return {32, true};
    case Packing::kInt8By16:
      return {16, false};
    case Packing::kInt8By16Offset:
      return {16, true};
    default:
      return {};
  }
}

}  // namespace

size_t PanelBytes(DType format, int64_t cols) {
  TENFOLD_CHECK(cols % tensor::TraitsOf(format).block_elems == 0, "columns come in whole blocks of the format");
  return PanelBytes(PackingOf(format), cols);
}

void PackPanel(DType format, const uint8_t* src, int64_t rows, int64_t cols, uint8_t* dst) {
  TENFOLD_CHECK(rows >= 1 && rows <= kPanelRows, "a panel holds 1 to 16 rows");
  const Packing packing = PackingOf(format);
  if (const Int8Shape shape = Int8ShapeOf(packing); shape.step != 0) {
    return PackInt8(format, src, rows, cols, shape.step, shape.offset, dst);
  }
  const DType block_type = BlockTypeOf(packing);
  if (block_type == format) return PackBlocks(packing, src, rows, cols, dst);
  std::vector<uint8_t> blocks(static_cast<size_t>(rows) * tensor::RowBytes(block_type, static_cast<size_t>(cols)));
  TranscodeRows(format, src, rows, cols, blocks.data());
  PackBlocks(packing, blocks.data(), rows, cols, dst);
}

void UnpackRow(const PackedMatrix& matrix, int64_t row, float* dst) {
  TENFOLD_CHECK(row >= 0 && row < matrix.rows, "row of a packed matrix out of range");
  const Packing packing = PackingOf(matrix.format);
  const uint8_t* panel = matrix.data + static_cast<size_t>(row / kPanelRows) * PanelBytes(packing, matrix.cols);
  const int64_t lane = row % kPanelRows;
  if (const Int8Shape shape = Int8ShapeOf(packing); shape.step != 0) {
    return UnpackInt8Row(panel, lane, matrix.cols, shape.step, shape.offset, dst);
  }
  const DType block_type = BlockTypeOf(packing);
  const int64_t block_elems = tensor::TraitsOf(block_type).block_elems;
  const size_t block_bytes = tensor::TraitsOf(block_type).block_bytes;
  std::vector<uint8_t> gguf(tensor::RowBytes(block_type, static_cast<size_t>(matrix.cols)));
  for (int64_t b = 0; b < matrix.cols / block_elems; ++b) {
    UnpackBlock(packing, panel, matrix.cols, lane, b, gguf.data() + static_cast<size_t>(b) * block_bytes);
  }
  tensor::DequantizeRow(block_type, gguf.data(), static_cast<size_t>(matrix.cols), dst);
}

}  // namespace tenfold::kernels
