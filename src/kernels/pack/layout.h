// Byte layouts shared by the packers, the quantisers and every kernel: constants only, so that instruction-set files
// may include it without emitting anything.
//
// Weight panels. A panel is 16 rows; a "quad" is 4 consecutive elements of a row, one byte (or nibble) each, so 16
// quads side by side fill a 64-byte line: [row 0..15][4]. One 512-bit register then holds one quad of every row, and an
// activation quad broadcast to all lanes multiplies all 16 rows at once, without shuffles or horizontal sums.
// Every layout has the size of the GGUF bytes, rounded up to whole lines per panel.
//
// Activations. One record holds a block of columns of one token; records lie as [column block][token], so that the
// tokens of one block are a constant stride apart.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tenfold::kernels::layout {

inline constexpr int kRows = 16;
inline constexpr int kLine = 64;

// Q4_K: [super-block of 256 columns] of 2304 bytes:
//   line 0:     d f16[16], dmin f16[16]
//   line 1:     [p 0..3][row] scale[p] & 15 | (scale[p + 4] & 15) << 4
//   line 2:     the same of the mins
//   line 3:     [p 0..3][row] scale[p] >> 4 | scale[p + 4] >> 4 << 2 | min[p] >> 4 << 4 | min[p + 4] >> 4 << 6
//   lines 4-35: [group g 0..3][quad 0..7][row][4] the bytes of qs: low nibbles are sub-block 2g, high ones 2g + 1
inline constexpr int kQ4KBlockBytes = 2304;
inline constexpr int kQ4KScales = 64;
inline constexpr int kQ4KMins = 128;
inline constexpr int kQ4KHighBits = 192;
inline constexpr int kQ4KQuants = 256;

// Q6_K: [d f16[16] per super-block], rounded up to whole lines; then [super-block] of 3328 bytes:
//   lines 0-3:  scales int8 [j 0..15][row]
//   lines 4-51: [half][plane p 0..2][quad 0..7][row][4]: the low 6 bits are quarter p of the half (32 elements each);
//   the
//               top bits of planes 0, 1, 2 are bits 4-5, 2-3 and 0-1 of quarter 3
// So three quarters of the quants need one mask, and the last (taken as 4 times its value) two shifts and three merges:
// half the work of GGUF's nibbles and bit pairs.
inline constexpr int kQ6KBlockBytes = 3328;
inline constexpr int kQ6KQuants = 256;
inline constexpr int kQ6KPlaneBytes = 512;

// Q5_K: [super-block of 256 columns] of 2816 bytes:
//   lines 0-3:  scales as in Q4_K
//   lines 4-43: [plane p 0..4][quad 0..7][row][4]: the low 5 bits are sub-block p (32 elements each); the top 3 bits:
//               plane 0 and bits 7-6 of plane 1 are sub-block 5, its high bits first; planes 2 and 3 likewise 6;
//               plane 4, then bit 5 of plane 1, then bit 5 of plane 3 are sub-block 7
// So five sub-blocks need one mask, and the last three (taken as 8 times their value) one or two shifts and merges.
inline constexpr int kQ5KBlockBytes = 2816;
inline constexpr int kQ5KQuants = 256;
inline constexpr int kQ5KPlaneBytes = 512;

// Q8_0: [d f16[16] per block of 32 columns], rounded up to whole lines; then [block] of 512 bytes:
//   [quad 0..7][row][4] q ^ 0x80, that is q + 128 as an unsigned byte
inline constexpr int kQ8BlockBytes = 512;

// Q4_0: [d f16[16] per block of 32 columns], rounded up to whole lines; then [block] of 256 bytes:
//   [quad 0..3][row][4] the bytes of qs: low nibbles are columns 0-15 of the block, high nibbles 16-31
inline constexpr int kQ4BlockBytes = 256;
// Q4_1: [d f16[16], m f16[16] per block]; then blocks as in Q4_0.
inline constexpr int kQ41ScaleBytes = 64;

// Bytes of the f16 scales ahead of a Q6_K, Q8_0 or Q4_0 panel of `blocks` blocks.
constexpr size_t ScaleHeaderBytes(int64_t blocks) { return (static_cast<size_t>(blocks) * 32 + 63) / 64 * 64; }

// Int8, for formats without kernels of their own: [block of 32 columns], a scale and perhaps an offset for each `step`
// (16 or 32) columns:
//   scale f32[16] per step | offset / -128 f32[16] per step (if any) | 512 bytes of quants as in Q8_0
// The offset is kept as the factor of the records' -128 * sum.
constexpr int Int8BlockBytes(int step, bool offset) { return 32 / step * (offset ? 128 : 64) + kQ8BlockBytes; }

// F16, BF16, F32: [column][row], 2 or 4 bytes each; the panel is rounded up to whole lines.

// Activation record for Q4_K, Q5_K and Q6_K weights: 256 columns, one scale per kActBlock of them.
//   x is about scale * q; sums are of q over the 32 or 16 or 128 columns named.
//   scale[1] is kept from falling below scale[0] / 32, so that a kernel may bring a sum over the first half to the
//   second half's scale, even as an integer, and go on adding: one load and store of a result per record instead of
//   two. A NaN makes both scales NaN, and so reaches every result.
inline constexpr int kActBlock = 128;
inline constexpr float kActFloor = 1.0f / 32;
inline constexpr int kRecordKBytes = 384;
inline constexpr int kRecordKScale = 256;   // float[2]
inline constexpr int kRecordKOff128 = 264;  // int32[2]: -128 * sum of each 128
inline constexpr int kRecordKSum32 = 272;   // float[8]: scale * sum of each 32
inline constexpr int kRecordKRatio = 304;   // float: scale[0] / scale[1], at most 32; 0 where scale[1] is 0
inline constexpr int kRecordKOff16 = 320;   // int32[16]: -32 * sum of each 16, or -128 * sum in quarter 3 of a half

// Activation record for Q8_0, Q4_0, Q4_1 and Int8 weights: 256 columns (the last record may be filled in part), one
// scale per 32.
inline constexpr int kRecord8Bytes = 384;
inline constexpr int kRecord8Scale = 256;  // float[8]
inline constexpr int kRecord8Off = 288;    // int32[8]: -128 * sum of each 32
inline constexpr int kRecord8Off16 = 320;  // int32[16]: -128 * sum of each 16

// Activation record for F16, BF16 and F32 weights: 64 columns as floats.
inline constexpr int kRecordFColumns = 64;
inline constexpr int kRecordFBytes = 256;

}  // namespace tenfold::kernels::layout
