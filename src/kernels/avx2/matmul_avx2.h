// The matrix kernels of this folder. AVX-VNNI uses those that have no integer product in them, too.
#pragma once

#include "kernels/matmul_kernels.h"

namespace tenfold::kernels::avx2 {

// Contracts: TileFn and QuantizeFn in kernels/matmul_kernels.h.
void DirectF32(const TileArgs& args);
void DirectF16(const TileArgs& args);
void DirectBF16(const TileArgs& args);
void DirectQ8_0(const TileArgs& args);
void DirectQ4_0(const TileArgs& args);
void DirectQ4_1(const TileArgs& args);
void DirectInt8By32(const TileArgs& args);
void DirectInt8By32Offset(const TileArgs& args);
void DirectInt8By16(const TileArgs& args);
void DirectInt8By16Offset(const TileArgs& args);
void DirectQ4K(const TileArgs& args);
void DirectQ5K(const TileArgs& args);
void DirectQ6K(const TileArgs& args);
void QuantizeFloat(const float* x, int64_t cols, uint8_t* records, size_t block_stride);
void Quantize8(const float* x, int64_t cols, uint8_t* records, size_t block_stride);
void QuantizeK(const float* x, int64_t cols, uint8_t* records, size_t block_stride);

}  // namespace tenfold::kernels::avx2
