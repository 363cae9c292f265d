// The truth about each weight format: scalar dequantisation, written for reading. Every fast kernel is tested against
// it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace tenfold::tensor {

// src: RowBytes(type, elems) bytes in GGUF layout, any alignment; dst: (elems) floats. type must be IsComputable.
// Exact: the value the format defines, rounded once to float. Pure, any thread.
void DequantizeRow(DType type, const uint8_t* src, size_t elems, float* dst);

// src: (elems) finite floats; dst: RowBytes(type, elems) bytes. A plain quantiser for tests and tools, not tuned for
// quality. Each element lands within half a step of its sub-block, unless a scale would not fit a half. type must be
// one that HasQuantizer names and elems a multiple of its block. Pure, any thread.
void QuantizeRow(DType type, const float* src, size_t elems, uint8_t* dst);

// Every computable type but MXFP4, TQ1_0, TQ2_0 and the IQ formats with codebooks.
bool HasQuantizer(DType type);

}  // namespace tenfold::tensor
