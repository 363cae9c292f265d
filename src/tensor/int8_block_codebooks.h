// The part of int8_block.h that looks up codebooks: the IQ formats below 4 bits. Private to tensor/.
#pragma once

#include "tensor/int8_block.h"

namespace tenfold::tensor {

bool IsCodebookType(DType type);
// As ToInt8Block, for the types that IsCodebookType names.
void CodebookToInt8(DType type, const uint8_t* block, Int8Block* out);

}  // namespace tenfold::tensor
