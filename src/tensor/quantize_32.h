// The test quantiser's encoders for formats with nibbles in blocks of 32, and IQ4_XS. Private to tensor/.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace tenfold::tensor {

// src: one block of floats; block: its bytes.
using BlockQuantizer = void (*)(const float* src, uint8_t* block);

// Of Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL and IQ4_XS; null for other types.
BlockQuantizer QuantizerOf32(DType type);

}  // namespace tenfold::tensor
