// The functions each instruction set provides for matrix products, and the list of them from which dispatch, tests and
// benchmarks expand. Private to kernels/: others use matmul.h.
//
// Every table is filled in its own folder, by code compiled for that set alone, and holds plain function pointers: no
// type here has code of its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"
#include "kernels/pack/packing.h"

namespace tenfold::kernels {

// Most panels one kernel call multiplies, and so the panels of the smallest work item but the last of a matrix.
inline constexpr int kTilePanels = 2;

// One product of `panels` weight panels with `tokens` tokens.
struct TileArgs {
  const uint8_t* w = nullptr;  // first panel, 64-byte aligned
  size_t panel_bytes = 0;      // from one panel to the next
  int panels = 1;              // 1 .. kTilePanels
  int64_t cols = 0;
  const uint8_t* records = nullptr;  // activation record of (column block 0, first token), 64-byte aligned
  size_t block_stride = 0;           // bytes from one column block's records to the next's
  int64_t tokens = 0;                // >= 1
  float* c = nullptr;                // out: [token][panel][row 0..15], overwritten; 64-byte aligned
};
using TileFn = void (*)(const TileArgs& args);

// Turns one token into records: column block b goes to records + b * block_stride (64-byte aligned). x: (cols) floats.
// Rounds to nearest, scale = absmax / 127; all instruction sets give the same bytes.
using QuantizeFn = void (*)(const float* x, int64_t cols, uint8_t* records, size_t block_stride);

// What one weight layout needs on one instruction set.
struct FormatKernels {
  Packing packing = Packing::kF32;
  const char* direct_name = "";
  TileFn direct = nullptr;  // exact weights; a result does not depend on `tokens` or `panels`
  const char* panel_name = "";
  TileFn panel = nullptr;        // weights requantised to int8 in cache; null: the format has none here
  int64_t panel_min_tokens = 0;  // measured: from here on `panel` is the faster one
};

struct MatmulKernels {
  FormatKernels formats[kPackings];
  QuantizeFn quantize_float = nullptr;  // records for float weights
  QuantizeFn quantize_8 = nullptr;      // records for weights in blocks of 32
  QuantizeFn quantize_k = nullptr;      // records for Q4_K, Q5_K and Q6_K layouts
};

extern const MatmulKernels kMatmulScalar;
extern const MatmulKernels kMatmulAvx2;
extern const MatmulKernels kMatmulAvxVnni;
extern const MatmulKernels kMatmulAvx512Vnni;

const MatmulKernels& MatmulKernelsOf(Isa isa);
const FormatKernels& KernelsOf(Isa isa, Packing packing);

}  // namespace tenfold::kernels
