// Which panel layout holds a tensor type. Types without kernels of their own go, exactly, into a layout that has them.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace tenfold::kernels {

// Layouts: pack/layout.h. The Int8 layouts differ in how many columns share a scale and in whether there is an offset.
enum class Packing {
  kF32,
  kF16,
  kBF16,
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kInt8By32,
  kInt8By32Offset,
  kInt8By16,
  kInt8By16Offset,
};
inline constexpr int kPackings = 13;

// The layout of a computable type:
//   Q8_0: Q8_0, Q5_0, IQ4_NL      Q4_0: Q4_0, TQ1_0, TQ2_0      Q6_K: Q6_K, Q3_K, IQ3_S, IQ3_XXS, IQ1_S, IQ1_M
//   Int8: IQ4_XS, IQ2_XXS, MXFP4 by 32; Q5_1 with offset; IQ2_XS, IQ2_S by 16; Q2_K with offset
// Values are kept as the type defines them, but for one corner: IQ3_XXS and IQ1 tensors whose block scale is so small
// that a half or an eighth of it is a subnormal half lose up to 2^-25 of that scale's unit.
Packing PackingOf(tensor::DType type);

// The GGUF type whose blocks fill the layout: F32 ... Q6_K. Int8 layouts have none and must not be asked.
tensor::DType BlockTypeOf(Packing packing);

// Bytes of one panel, a multiple of 64. cols must be a multiple of the block of every type that uses the layout.
size_t PanelBytes(Packing packing, int64_t cols);

// src: `rows` rows of `type` in GGUF layout; dst: the same rows as blocks of BlockTypeOf(PackingOf(type)).
void TranscodeRows(tensor::DType type, const uint8_t* src, int64_t rows, int64_t cols, uint8_t* dst);

}  // namespace tenfold::kernels
