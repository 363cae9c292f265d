// Packers of each weight format: GGUF rows to a panel of 16, and one row back. Layouts: pack/layout.h.
#pragma once

#include <cstdint>

namespace tenfold::kernels {

// src: `rows` (1..16) rows in GGUF layout, back to back, `cols` elements each; panel: PanelBytes, every byte written.
void PackQ4K(const uint8_t* src, int64_t rows, int64_t cols, uint8_t* panel);
void PackQ6K(const uint8_t* src, int64_t rows, int64_t cols, uint8_t* panel);
void PackQ8_0(const uint8_t* src, int64_t rows, int64_t cols, uint8_t* panel);
// F16 and F32: elem_bytes 2 or 4.
void PackFloats(const uint8_t* src, int64_t rows, int64_t cols, int elem_bytes, uint8_t* panel);

// The GGUF bytes of block `block` of row `row` (0..15) of a panel; `cols` of the whole panel. gguf: one block.
void UnpackBlockQ4K(const uint8_t* panel, int64_t row, int64_t block, uint8_t* gguf);
void UnpackBlockQ6K(const uint8_t* panel, int64_t cols, int64_t row, int64_t block, uint8_t* gguf);
void UnpackBlockQ8_0(const uint8_t* panel, int64_t cols, int64_t row, int64_t block, uint8_t* gguf);

}  // namespace tenfold::kernels
