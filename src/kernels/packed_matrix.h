// Weights in the layout the kernels read: panels of 16 rows, repacked once at load. Layouts: kernels/pack/*.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace tenfold::kernels {

inline constexpr int64_t kPanelRows = 16;

// A (rows, cols) weight matrix, read as y[r] = sum_c W[r][c] * x[c]. Does not own its bytes.
// data: PanelCount(rows) panels of PanelBytes(format, cols) each, 64-byte aligned; rows past `rows` in the last panel
// are zero. Immutable after packing: any thread may read.
struct PackedMatrix {
  tensor::DType format = tensor::DType::kF32;  // of the tensor it was packed from: any computable type
  int64_t rows = 0;
  int64_t cols = 0;
  const uint8_t* data = nullptr;
};

inline int64_t PanelCount(int64_t rows) { return (rows + kPanelRows - 1) / kPanelRows; }
// Bytes of one panel, a multiple of 64. cols must be a multiple of the format's block. Formats with kernels of their
// own (F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q4_K, Q5_K, Q6_K) keep their size; the others grow to the layout that holds
// them exactly (pack/packing.h): from 2 to 6 bits a weight to 4.5 .. 12, never more than 12.
size_t PanelBytes(tensor::DType format, int64_t cols);
// Bytes of the whole matrix in memory.
inline size_t PackedBytes(tensor::DType format, int64_t rows, int64_t cols) {
  return static_cast<size_t>(PanelCount(rows)) * PanelBytes(format, cols);
}

// src: `rows` rows (1..16) of the tensor in GGUF layout, RowBytes(format, cols) apart, any alignment.
// dst: PanelBytes(format, cols) bytes, 64-byte aligned. Pure; different panels may be packed by different threads.
void PackPanel(tensor::DType format, const uint8_t* src, int64_t rows, int64_t cols, uint8_t* dst);

// One row of the matrix as floats (cols): the embedding look-up. Exact as DequantizeRow.
void UnpackRow(const PackedMatrix& matrix, int64_t row, float* dst);

}  // namespace tenfold::kernels
