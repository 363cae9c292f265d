// Products of weight panels in plain code, for machines without AVX2 and as a second opinion on the panel layouts.
//
// Each output is summed in column order, block by block, whatever else is computed with it.
#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/pack/layout.h"
#include "kernels/scalar/scalar_kernels.h"
#include "tensor/fp16.h"

namespace tenfold::kernels {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose

template <class T>
T Get(const uint8_t* base, size_t offset, int64_t index) {
  T value;
  std::memcpy(&value, base + offset + sizeof value * static_cast<size_t>(index), sizeof value);
  return value;
}
float GetHalf(const uint8_t* base, int64_t index) { return tensor::HalfToFloat(Get<uint16_t>(base, 0, index)); }

// dot[row] += sum over `quads` quads of w (unsigned, [quad][row][4]) times q (4 * quads int8).
void DotQuads(const uint8_t* w, const int8_t* q, int quads, int32_t* dot) {
  for (int quad = 0; quad < quads; ++quad, w += kLine, q += 4) {
    for (int r = 0; r < kRows; ++r) {
      for (int i = 0; i < 4; ++i) dot[r] += w[4 * r + i] * q[i];
    }
  }
}

// A super-block's 16 x 256 quants and scales, unpacked. w[quad 0..63][row][4] in column order.
// Value of an element: scale[j] * q - offset[j], j = column / step.
struct UnpackedBlock {
  uint8_t w[64 * kLine];
  float scale[16][kRows];
  float offset[8][kRows];
};

void UnpackKScales(const uint8_t* sb, UnpackedBlock* out) {
  for (int j = 0; j < 8; ++j) {
    const int p = j & 3;
    const int shift = j < 4 ? 0 : 1;
    for (int r = 0; r < kRows; ++r) {
      const int high = sb[kQ4KHighBits + 16 * p + r];
      const int scale = ((sb[kQ4KScales + 16 * p + r] >> (4 * shift)) & 15) | (((high >> (2 * shift)) & 3) << 4);
      const int min = ((sb[kQ4KMins + 16 * p + r] >> (4 * shift)) & 15) | (((high >> (4 + 2 * shift)) & 3) << 4);
      out->scale[j][r] = GetHalf(sb, r) * static_cast<float>(scale);
      out->offset[j][r] = GetHalf(sb, 16 + r) * static_cast<float>(min);
    }
  }
}

void UnpackQ4K(const uint8_t* sb, UnpackedBlock* out) {
  UnpackKScales(sb, out);
  for (int j = 0; j < 8; ++j) {
    const uint8_t* src = sb + kQ4KQuants + (j / 2) * 8 * kLine;
    for (int i = 0; i < 8 * kLine; ++i) out->w[j * 8 * kLine + i] = (src[i] >> (4 * (j & 1))) & 15;
  }
}

void UnpackQ5K(const uint8_t* sb, UnpackedBlock* out) {
  UnpackKScales(sb, out);
  for (int i = 0; i < kQ5KPlaneBytes; ++i) {
    int spare[5];
    for (int p = 0; p < 5; ++p) {
      const int byte = sb[kQ5KQuants + p * kQ5KPlaneBytes + i];
      out->w[p * kQ5KPlaneBytes + i] = static_cast<uint8_t>(byte & 31);
      spare[p] = byte >> 5;
    }
    out->w[5 * kQ5KPlaneBytes + i] = static_cast<uint8_t>((spare[0] << 2) | (spare[1] >> 1));
    out->w[6 * kQ5KPlaneBytes + i] = static_cast<uint8_t>((spare[2] << 2) | (spare[3] >> 1));
    out->w[7 * kQ5KPlaneBytes + i] = static_cast<uint8_t>((spare[4] << 2) | ((spare[1] & 1) << 1) | (spare[3] & 1));
  }
}

void UnpackQ6K(const uint8_t* d, const uint8_t* sb, UnpackedBlock* out) {
  for (int j = 0; j < 16; ++j) {
    for (int r = 0; r < kRows; ++r) {
      out->scale[j][r] = GetHalf(d, r) * static_cast<float>(static_cast<int8_t>(sb[16 * j + r]));
    }
  }
  for (int h = 0; h < 2; ++h) {
    const uint8_t* planes = sb + kQ6KQuants + 3 * kQ6KPlaneBytes * h;
    uint8_t* w = out->w + h * 4 * kQ6KPlaneBytes;
    for (int i = 0; i < kQ6KPlaneBytes; ++i) {
      int last = 0;
      for (int p = 0; p < 3; ++p) {
        const int byte = planes[p * kQ6KPlaneBytes + i];
        w[p * kQ6KPlaneBytes + i] = static_cast<uint8_t>(byte & 63);
        last |= (byte >> 6) << (4 - 2 * p);
      }
      w[3 * kQ6KPlaneBytes + i] = static_cast<uint8_t>(last);
    }
  }
}

// One unpacked super-block times one record, added to c (16).
void AddBlockAffine(const UnpackedBlock& b, const uint8_t* record, float* c) {
  for (int j = 0; j < 8; ++j) {
    int32_t dot[kRows] = {};
    DotQuads(b.w + j * 8 * kLine, reinterpret_cast<const int8_t*>(record) + 32 * j, 8, dot);
    const auto scale = Get<float>(record, kRecordKScale, j / 4);
    const auto sum = Get<float>(record, kRecordKSum32, j);
    for (int r = 0; r < kRows; ++r) {
      c[r] += static_cast<float>(dot[r]) * b.scale[j][r] * scale - b.offset[j][r] * sum;
    }
  }
}

void AddBlockQ6K(const UnpackedBlock& b, const uint8_t* record, float* c) {
  for (int j = 0; j < 16; ++j) {
    int32_t dot[kRows];
    const int32_t off = Get<int32_t>(record, kRecordKOff16, j) / ((j & 6) == 6 ? 4 : 1);
    std::fill(dot, dot + kRows, off);
    DotQuads(b.w + j * 4 * kLine, reinterpret_cast<const int8_t*>(record) + 16 * j, 4, dot);
    const auto scale = Get<float>(record, kRecordKScale, j / 8);
    for (int r = 0; r < kRows; ++r) c[r] += static_cast<float>(dot[r]) * b.scale[j][r] * scale;
  }
}

// Calls body(panel bytes, first c of that panel) for each panel of the tile; c is (tokens, panels * 16).
template <class Body>
void ForEachPanel(const TileArgs& a, Body body) {
  std::fill(a.c, a.c + a.tokens * a.panels * kRows, 0.0f);
  for (int p = 0; p < a.panels; ++p) body(a.w + static_cast<size_t>(p) * a.panel_bytes, a.c + p * kRows);
}

template <int kBlockBytes, void (*kUnpack)(const uint8_t*, UnpackedBlock*)>
void DirectAffine(const TileArgs& a) {
  ForEachPanel(a, [&a](const uint8_t* w, float* c) {
    UnpackedBlock block;
    for (int64_t kb = 0; kb < a.cols / 256; ++kb) {
      kUnpack(w + kb * kBlockBytes, &block);
      const uint8_t* records = a.records + static_cast<size_t>(kb) * a.block_stride;
      for (int64_t t = 0; t < a.tokens; ++t) {
        AddBlockAffine(block, records + t * kRecordKBytes, c + t * a.panels * kRows);
      }
    }
  });
}

void DirectQ6K(const TileArgs& a) {
  ForEachPanel(a, [&a](const uint8_t* w, float* c) {
    UnpackedBlock block;
    const uint8_t* body = w + ScaleHeaderBytes(a.cols / 256);
    for (int64_t kb = 0; kb < a.cols / 256; ++kb) {
      UnpackQ6K(w + 32 * kb, body + kb * kQ6KBlockBytes, &block);
      const uint8_t* records = a.records + static_cast<size_t>(kb) * a.block_stride;
      for (int64_t t = 0; t < a.tokens; ++t) AddBlockQ6K(block, records + t * kRecordKBytes, c + t * a.panels * kRows);
    }
  });
}

// 32 columns of a panel in a layout whose records are kRecord8: unsigned quants, in steps of 16 or 32 columns.
// An element is scale * (w - bias), and offset_128 is the factor of the records' -128 * sum.
struct Block32 {
  uint8_t w[8 * kLine];
  float scale[2][kRows];
  float offset_128[2][kRows];
};

// Unpack(panel, b, &block) gives block b of a panel.
template <int kStep, int kBias, class Unpack>
void Direct32(const TileArgs& a, Unpack unpack) {
  ForEachPanel(a, [&](const uint8_t* panel, float* c) {
    Block32 block = {};
    for (int64_t b = 0; b < a.cols / 32; ++b) {
      unpack(panel, b, &block);
      const uint8_t* records = a.records + static_cast<size_t>(b / 8) * a.block_stride;
      for (int64_t t = 0; t < a.tokens; ++t) {
        const uint8_t* record = records + t * kRecord8Bytes;
        const auto x_scale = Get<float>(record, kRecord8Scale, b % 8);
        const auto* q = reinterpret_cast<const int8_t*>(record) + 32 * (b % 8);
        float* out = c + t * a.panels * kRows;
        for (int s = 0; s < 32 / kStep; ++s) {
          const auto off = kStep == 32 ? Get<int32_t>(record, kRecord8Off, b % 8)
                                       : Get<int32_t>(record, kRecord8Off16, 2 * (b % 8) + s);
          int32_t dot[kRows];
          std::fill(dot, dot + kRows, off / 128 * kBias);
          DotQuads(block.w + s * kStep / 4 * kLine, q + s * kStep, kStep / 4, dot);
          for (int r = 0; r < kRows; ++r) {
            out[r] +=
                (static_cast<float>(dot[r]) * block.scale[s][r] + static_cast<float>(off) * block.offset_128[s][r]) *
                x_scale;
          }
        }
      }
    }
  });
}

void DirectQ8_0(const TileArgs& a) {
  Direct32<32, 128>(a, [&a](const uint8_t* panel, int64_t b, Block32* out) {
    for (int r = 0; r < kRows; ++r) out->scale[0][r] = GetHalf(panel + 32 * b, r);
    std::memcpy(out->w, panel + ScaleHeaderBytes(a.cols / 32) + b * kQ8BlockBytes, sizeof out->w);
  });
}

void SplitNibbles(const uint8_t* from, Block32* out) {
  for (int i = 0; i < kQ4BlockBytes; ++i) {
    out->w[i] = from[i] & 15;
    out->w[kQ4BlockBytes + i] = from[i] >> 4;
  }
}

void DirectQ4_0(const TileArgs& a) {
  Direct32<32, 8>(a, [&a](const uint8_t* panel, int64_t b, Block32* out) {
    for (int r = 0; r < kRows; ++r) out->scale[0][r] = GetHalf(panel + 32 * b, r);
    SplitNibbles(panel + ScaleHeaderBytes(a.cols / 32) + b * kQ4BlockBytes, out);
  });
}

void DirectQ4_1(const TileArgs& a) {
  Direct32<32, 0>(a, [&a](const uint8_t* panel, int64_t b, Block32* out) {
    for (int r = 0; r < kRows; ++r) {
      out->scale[0][r] = GetHalf(panel + kQ41ScaleBytes * b, r);
      out->offset_128[0][r] = GetHalf(panel + kQ41ScaleBytes * b, 16 + r) / -128.0f;
    }
    SplitNibbles(panel + a.cols / 32 * kQ41ScaleBytes + b * kQ4BlockBytes, out);
  });
}

template <int kStep, bool kOffset>
void DirectInt8(const TileArgs& a) {
  Direct32<kStep, 128>(a, [](const uint8_t* panel, int64_t b, Block32* out) {
    constexpr size_t kPart = 32 / kStep * kLine;
    const uint8_t* block = panel + b * Int8BlockBytes(kStep, kOffset);
    std::memcpy(out->scale, block, kPart);
    if (kOffset) std::memcpy(out->offset_128, block + kPart, kPart);
    std::memcpy(out->w, block + Int8BlockBytes(kStep, kOffset) - kQ8BlockBytes, sizeof out->w);
  });
}

struct Float {
  static constexpr int kBytes = 4;
  static float Load(const uint8_t* column, int r) { return Get<float>(column, 0, r); }
};
struct Half {
  static constexpr int kBytes = 2;
  static float Load(const uint8_t* column, int r) { return GetHalf(column, r); }
};
struct BFloat {
  static constexpr int kBytes = 2;
  static float Load(const uint8_t* column, int r) {
    return std::bit_cast<float>(static_cast<uint32_t>(Get<uint16_t>(column, 0, r)) << 16);
  }
};

template <class Element>
void DirectFloats(const TileArgs& a) {
  ForEachPanel(a, [&a](const uint8_t* w, float* c) {
    for (int64_t k = 0; k < a.cols; ++k) {
      float column[kRows];
      for (int r = 0; r < kRows; ++r) column[r] = Element::Load(w + kRows * Element::kBytes * k, r);
      const uint8_t* records = a.records + static_cast<size_t>(k / kRecordFColumns) * a.block_stride;
      for (int64_t t = 0; t < a.tokens; ++t) {
        const auto x = Get<float>(records + t * kRecordFBytes, 0, k % kRecordFColumns);
        float* out = c + t * a.panels * kRows;
        for (int r = 0; r < kRows; ++r) out[r] += column[r] * x;
      }
    }
  });
}

}  // namespace

const MatmulKernels kMatmulScalar = {
    .formats =
        {{.packing = Packing::kF32, .direct_name = "gemm_f32_f32__scalar", .direct = DirectFloats<Float>},
         {.packing = Packing::kF16, .direct_name = "gemm_f16_f32__scalar", .direct = DirectFloats<Half>},
         {.packing = Packing::kBF16, .direct_name = "gemm_bf16_f32__scalar", .direct = DirectFloats<BFloat>},
         {.packing = Packing::kQ8_0, .direct_name = "gemm_q8_a8__scalar", .direct = DirectQ8_0},
         {.packing = Packing::kQ4_0, .direct_name = "gemm_q4_0_a8__scalar", .direct = DirectQ4_0},
         {.packing = Packing::kQ4_1, .direct_name = "gemm_q4_1_a8__scalar", .direct = DirectQ4_1},
         {.packing = Packing::kQ4_K,
          .direct_name = "gemm_q4k_a8__scalar",
          .direct = DirectAffine<kQ4KBlockBytes, UnpackQ4K>},
         {.packing = Packing::kQ5_K,
          .direct_name = "gemm_q5k_a8__scalar",
          .direct = DirectAffine<kQ5KBlockBytes, UnpackQ5K>},
         {.packing = Packing::kQ6_K, .direct_name = "gemm_q6k_a8__scalar", .direct = DirectQ6K},
         {.packing = Packing::kInt8By32, .direct_name = "gemm_int8_32_a8__scalar", .direct = DirectInt8<32, false>},
         {.packing = Packing::kInt8By32Offset,
          .direct_name = "gemm_int8_32o_a8__scalar",
          .direct = DirectInt8<32, true>},
         {.packing = Packing::kInt8By16, .direct_name = "gemm_int8_16_a8__scalar", .direct = DirectInt8<16, false>},
         {.packing = Packing::kInt8By16Offset,
          .direct_name = "gemm_int8_16o_a8__scalar",
          .direct = DirectInt8<16, true>}},
    .quantize_float = scalar::QuantizeFloat,
    .quantize_8 = scalar::Quantize8,
    .quantize_k = scalar::QuantizeK,
};

}  // namespace tenfold::kernels
