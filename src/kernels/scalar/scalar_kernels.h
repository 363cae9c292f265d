// Plain-code kernels: the fallback on any x86-64 and the truth for the others' tests.
#pragma once

#include "kernels/matmul_kernels.h"

namespace tenfold::kernels::scalar {

// Contracts: QuantizeFn in kernels/matmul_kernels.h.
void QuantizeFloat(const float* x, int64_t cols, uint8_t* records, size_t block_stride);
void Quantize8(const float* x, int64_t cols, uint8_t* records, size_t block_stride);
void QuantizeK(const float* x, int64_t cols, uint8_t* records, size_t block_stride);

}  // namespace tenfold::kernels::scalar
