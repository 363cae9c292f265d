// Most block formats as one: int8 quants with a scale and an offset for every 16 elements.
//
// What it is for: the formats that have no kernels of their own are unpacked through this form, and their dequantised
// values are defined by it. What it is not: a rounding. Each of these formats multiplies small integers by a scale that
// is shared by 16 elements at least, so nothing is lost.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace tenfold::tensor {

inline constexpr int kInt8Step = 16;  // elements that share a scale and an offset

// One block of a format, at most 256 elements. Value of element i: Scale(i / 16) * q[i] + offset[i / 16], where both
// products are exact in float.
struct Int8Block {
  int8_t q[256];
  float unit;         // of the whole block
  int8_t factor[16];  // of each 16 elements
  float offset[16];   // negative zeros where the format has none: adding them changes nothing

  float Scale(int j) const { return unit * static_cast<float>(factor[j]); }
};

// Whether ToInt8Block knows the type: Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, IQ4_NL, IQ4_XS, MXFP4, TQ1_0, TQ2_0 and all
// of IQ1, IQ2 and IQ3.
bool HasInt8Form(DType type);

// block: one block of the type in GGUF layout, any alignment; fills block_elems quants and a factor and an offset for
// each 16. Pure, any thread.
void ToInt8Block(DType type, const uint8_t* block, Int8Block* out);

}  // namespace tenfold::tensor
