// Products of weight panels in plain code, for machines without AVX2 and as a second opinion on the panel layouts.
//
// Each output is summed in column order, block by block, whatever else is computed with it.
#include <algorithm>
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

void UnpackQ4K(const uint8_t* sb, UnpackedBlock* out) {
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
    const uint8_t* src = sb + kQ4KQuants + (j / 2) * 8 * kLine;
    for (int i = 0; i < 8 * kLine; ++i) out->w[j * 8 * kLine + i] = (src[i] >> (4 * (j & 1))) & 15;
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
void AddBlockQ4K(const UnpackedBlock& b, const uint8_t* record, float* c) {
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

void DirectQ4K(const TileArgs& a) {
  ForEachPanel(a, [&a](const uint8_t* w, float* c) {
    UnpackedBlock block;
    for (int64_t kb = 0; kb < a.cols / 256; ++kb) {
      UnpackQ4K(w + kb * kQ4KBlockBytes, &block);
      const uint8_t* records = a.records + static_cast<size_t>(kb) * a.block_stride;
      for (int64_t t = 0; t < a.tokens; ++t) AddBlockQ4K(block, records + t * kRecordKBytes, c + t * a.panels * kRows);
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

void DirectQ8_0(const TileArgs& a) {
  ForEachPanel(a, [&a](const uint8_t* w, float* c) {
    const uint8_t* body = w + ScaleHeaderBytes(a.cols / 32);
    for (int64_t b = 0; b < a.cols / 32; ++b) {
      float d[kRows];
      for (int r = 0; r < kRows; ++r) d[r] = GetHalf(w + 32 * b, r);
      const uint8_t* records = a.records + static_cast<size_t>(b / 8) * a.block_stride;
      for (int64_t t = 0; t < a.tokens; ++t) {
        const uint8_t* record = records + t * kRecord8Bytes;
        int32_t dot[kRows];
        std::fill(dot, dot + kRows, Get<int32_t>(record, kRecord8Off, b % 8));
        DotQuads(body + b * kQ8BlockBytes, reinterpret_cast<const int8_t*>(record) + 32 * (b % 8), 8, dot);
        const auto scale = Get<float>(record, kRecord8Scale, b % 8);
        float* out = c + t * a.panels * kRows;
        for (int r = 0; r < kRows; ++r) out[r] += static_cast<float>(dot[r]) * d[r] * scale;
      }
    }
  });
}

template <bool kHalf>
void DirectFloats(const TileArgs& a) {
  ForEachPanel(a, [&a](const uint8_t* w, float* c) {
    for (int64_t k = 0; k < a.cols; ++k) {
      float column[kRows];
      for (int r = 0; r < kRows; ++r) column[r] = kHalf ? GetHalf(w + 32 * k, r) : Get<float>(w + 64 * k, 0, r);
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
    .formats = {{.format = tensor::DType::kF32, .direct_name = "gemm_f32_f32__scalar", .direct = DirectFloats<false>},
                {.format = tensor::DType::kF16, .direct_name = "gemm_f16_f32__scalar", .direct = DirectFloats<true>},
                {.format = tensor::DType::kQ8_0, .direct_name = "gemm_q8_a8__scalar", .direct = DirectQ8_0},
                {.format = tensor::DType::kQ4_K, .direct_name = "gemm_q4k_a8__scalar", .direct = DirectQ4K},
                {.format = tensor::DType::kQ6_K, .direct_name = "gemm_q6k_a8__scalar", .direct = DirectQ6K}},
    .quantize_float = scalar::QuantizeFloat,
    .quantize_8 = scalar::Quantize8,
    .quantize_k = scalar::QuantizeK,
};

}  // namespace tenfold::kernels
