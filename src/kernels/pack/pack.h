// Packers of each weight format: GGUF rows to a panel of 16, and one row back. Layouts: pack/layout.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace tenfold::kernels {

// src: `rows` (1..16) rows in GGUF layout, back to back, `cols` elements each; panel: PanelBytes, every byte written.
void PackQ4K(const uint8_t* src, int64_t rows, int64_t cols, uint8_t* panel);
void PackQ5K(const uint8_t* src, int64_t rows, int64_t cols, uint8_t* panel);
void PackQ6K(const uint8_t* src, int64_t rows, int64_t cols, uint8_t* panel);
void PackQ8_0(const uint8_t* src, int64_t rows, int64_t cols, uint8_t* panel);
void PackQ4_0(const uint8_t* src, int64_t rows, int64_t cols, uint8_t* panel);
void PackQ4_1(const uint8_t* src, int64_t rows, int64_t cols, uint8_t* panel);
// The int8 layout with a scale, and perhaps an offset, for each `step` columns; type: of src, one with an int8 form.
void PackInt8(tensor::DType type, const uint8_t* src, int64_t rows, int64_t cols, int step, bool offset,
              uint8_t* panel);
// F16, BF16 and F32: elem_bytes 2 or 4.
void PackFloats(const uint8_t* src, int64_t rows, int64_t cols, int elem_bytes, uint8_t* panel);

// What Q4_K and Q5_K share: d, dmin and scales (the first 16 bytes of a GGUF block) to and from lane `row` of the first
// four lines of a panel super-block.
void PackKHeader(const uint8_t* gguf, int64_t row, uint8_t* sb);
// The same of 16 rows, whose blocks are stride_bytes apart.
void PackKHeaders(const uint8_t* gguf, size_t stride_bytes, uint8_t* sb);
void UnpackKHeader(const uint8_t* sb, int64_t row, uint8_t* gguf);

// The GGUF bytes of block `block` of row `row` (0..15) of a panel; `cols` of the whole panel. gguf: one block.
void UnpackBlockQ4K(const uint8_t* panel, int64_t row, int64_t block, uint8_t* gguf);
void UnpackBlockQ5K(const uint8_t* panel, int64_t row, int64_t block, uint8_t* gguf);
void UnpackBlockQ6K(const uint8_t* panel, int64_t cols, int64_t row, int64_t block, uint8_t* gguf);
void UnpackBlockQ8_0(const uint8_t* panel, int64_t cols, int64_t row, int64_t block, uint8_t* gguf);
void UnpackBlockQ4_0(const uint8_t* panel, int64_t cols, int64_t row, int64_t block, uint8_t* gguf);
void UnpackBlockQ4_1(const uint8_t* panel, int64_t cols, int64_t row, int64_t block, uint8_t* gguf);
// The floats of row `row` of an int8 panel. dst: (cols).
void UnpackInt8Row(const uint8_t* panel, int64_t row, int64_t cols, int step, bool offset, float* dst);

}  // namespace tenfold::kernels
