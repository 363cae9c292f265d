// What the tests of matrix products share: weight rows in GGUF form with chosen nasty contents, packing, and a model in
// double of what the exact kernels compute. Test code only.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "kernels/activations.h"
#include "kernels/matmul.h"
#include "tensor/dequantize.h"
#include "tensor/dtype.h"
#include "tensor/fp16.h"

namespace tenfold::kernels::testing {

using tensor::DType;

// Formats with kernels of their own, and those that are packed into another layout.
inline constexpr DType kOwnFormats[] = {DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ8_0, DType::kQ4_0,
                                        DType::kQ4_1, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K};
inline constexpr DType kPackedFormats[] = {DType::kQ5_0,    DType::kQ5_1,    DType::kQ2_K,   DType::kQ3_K,
                                           DType::kIQ4_NL,  DType::kIQ4_XS,  DType::kMXFP4,  DType::kTQ1_0,
                                           DType::kTQ2_0,   DType::kIQ2_XXS, DType::kIQ2_XS, DType::kIQ2_S,
                                           DType::kIQ3_XXS, DType::kIQ3_S,   DType::kIQ1_S,  DType::kIQ1_M};
// One of each layout that has kernels: own formats, then the int8 layouts.
inline constexpr DType kFormatsUnderTest[] = {DType::kF32,  DType::kF16,   DType::kBF16, DType::kQ8_0, DType::kQ4_0,
                                              DType::kQ4_1, DType::kQ4_K,  DType::kQ5_K, DType::kQ6_K, DType::kIQ4_XS,
                                              DType::kQ5_1, DType::kIQ2_S, DType::kQ2_K};
// Those with a panel kernel somewhere.
inline constexpr DType kPanelFormats[] = {DType::kQ4_K, DType::kQ5_K, DType::kQ6_K};

// 64-byte aligned bytes.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  explicit AlignedBytes(size_t bytes)
      : p_(static_cast<uint8_t*>(std::aligned_alloc(64, std::max<size_t>(64, (bytes + 63) / 64 * 64)))), size_(bytes) {}
  uint8_t* data() const { return p_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(uint8_t* p) const { std::free(p); }
  };
  std::unique_ptr<uint8_t, Free> p_;
  size_t size_ = 0;
};

// Contents of a weight matrix: random bits, quantised Gaussians, the largest magnitudes everywhere, scales that vanish.
enum class Fill { kRandom, kGaussian, kLargest, kZeroScale, kSubnormalScale };

inline void PutHalf(uint8_t* dst, float value) {
  const uint16_t h = tensor::FloatToHalf(value);
  std::memcpy(dst, &h, 2);
}

// Where in a block the halves of scale and offset lie (none: -1), and the bytes of quants whose zeros leave the offset
// as the value.
struct BlockShape {
  int d = 0;
  int offset = -1;
  int quants_begin = 0, quants_end = 0;
};
inline BlockShape ShapeOf(DType format) {
  switch (format) {
    case DType::kQ4_1:
      return {0, 2, 4, 20};
    case DType::kQ5_1:
      return {0, 2, 4, 24};
    case DType::kQ4_K:
      return {0, 2, 16, 144};
    case DType::kQ5_K:
      return {0, 2, 16, 176};
    case DType::kQ2_K:
      return {80, 82, 16, 80};
    case DType::kQ3_K:
      return {.d = 108};
    case DType::kQ6_K:
      return {.d = 208};
    case DType::kTQ1_0:
      return {.d = 52};
    case DType::kTQ2_0:
      return {.d = 64};
    default:
      return {};
  }
}

inline void PutScale(DType format, uint8_t* block, float d) {
  if (format == DType::kMXFP4) {  // an exponent: the power of two below |d|
    block[0] = static_cast<uint8_t>(d == 0 ? 0 : 127 + std::ilogb(d));
  } else if (format == DType::kIQ1_M) {  // a nibble in each of four u16
    const uint16_t half = tensor::FloatToHalf(d);
    for (int i = 0; i < 4; ++i) {
      uint8_t& high = block[49 + 2 * i];
      high = static_cast<uint8_t>((high & 15) | (((half >> (4 * i)) & 15) << 4));
    }
  } else {
    PutHalf(block + ShapeOf(format).d, d);
  }
}

// One random block, or one of the largest magnitudes.
inline void FillBlock(DType format, Fill fill, std::mt19937& rng, uint8_t* block) {
  std::normal_distribution<float> normal;
  const float v = normal(rng);
  if (format == DType::kF32) {
    std::memcpy(block, &v, 4);
    return;
  }
  if (format == DType::kF16) return PutHalf(block, v);
  if (format == DType::kBF16) {
    std::memcpy(block, reinterpret_cast<const uint8_t*>(&v) + 2, 2);
    return;
  }
  const uint32_t bytes = tensor::TraitsOf(format).block_bytes;
  for (uint32_t i = 0; i < bytes; ++i) {
    block[i] = fill == Fill::kLargest ? (format == DType::kQ8_0 ? 0x80 : 0xFF) : static_cast<uint8_t>(rng());
  }
  float d = 0.01f + 0.01f * std::fabs(v);
  if (fill == Fill::kZeroScale && rng() % 2 == 0) d = 0;
  if (fill == Fill::kSubnormalScale) d = 3e-6f;
  if (fill == Fill::kRandom && rng() % 16 == 0) d = -d;
  PutScale(format, block, d);
  if (format == DType::kQ6_K && fill == Fill::kLargest) std::memset(block + 192, rng() % 2 == 0 ? 127 : 0x80, 16);
  if (const int at = ShapeOf(format).offset; at >= 0) PutHalf(block + at, 0.7f * d * std::fabs(normal(rng)));
}

// (rows, cols) weights in GGUF layout.
inline std::vector<uint8_t> MakeWeights(DType format, int64_t rows, int64_t cols, Fill fill, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  const size_t row_bytes = tensor::RowBytes(format, static_cast<size_t>(cols));
  std::vector<uint8_t> bytes(static_cast<size_t>(rows) * row_bytes);
  if (fill == Fill::kGaussian) {
    std::vector<float> row(static_cast<size_t>(cols));
    for (size_t at = 0; at < bytes.size(); at += row_bytes) {
      for (float& v : row) v = normal(rng);
      tensor::QuantizeRow(format, row.data(), row.size(), bytes.data() + at);
    }
    return bytes;
  }
  const size_t block_bytes = tensor::TraitsOf(format).block_bytes;
  for (size_t at = 0; at < bytes.size(); at += block_bytes) FillBlock(format, fill, rng, bytes.data() + at);
  return bytes;
}

// Panels of the first `rows` rows of GGUF weights. Keep `storage` alive.
inline PackedMatrix Pack(DType format, const std::vector<uint8_t>& weights, int64_t rows, int64_t cols,
                         AlignedBytes* storage) {
  *storage = AlignedBytes(PackedBytes(format, rows, cols));
  const size_t row_bytes = tensor::RowBytes(format, static_cast<size_t>(cols));
  for (int64_t p = 0; p < PanelCount(rows); ++p) {
    PackPanel(format, weights.data() + static_cast<size_t>(p * kPanelRows) * row_bytes,
              std::min(kPanelRows, rows - p * kPanelRows), cols,
              storage->data() + static_cast<size_t>(p) * PanelBytes(format, cols));
  }
  return {.format = format, .rows = rows, .cols = cols, .data = storage->data()};
}

// (tokens, cols) activations: Gaussian, with a token of zeros, one of a single spike and one of +-1 where there is
// room.
inline std::vector<float> MakeInput(int64_t tokens, int64_t cols, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(tokens * cols));
  for (float& v : x) v = normal(rng);
  const auto row = [&](int64_t t) { return x.begin() + t * cols; };
  if (tokens > 2) std::fill(row(2), row(3), 0.0f);
  if (tokens > 3) {
    std::fill(row(3), row(4), 0.0f);
    x[static_cast<size_t>(3 * cols + cols / 3)] = -100.0f;
  }
  if (tokens > 4) std::transform(row(4), row(5), row(4), [](float v) { return v < 0 ? -1.0f : 1.0f; });
  return x;
}

// Block of activations that share a scale for weights of this format; 0: not quantised.
inline int64_t ActivationBlock(DType format) {
  switch (RecordKindOf(PackingOf(format))) {
    case RecordKind::kFloat:
      return 0;
    case RecordKind::k8:
      return 32;
    case RecordKind::kK:
      return 128;
  }
  return 0;
}

// x as the kernels see it: rounded to multiples of absmax / 127 of its block. (n, cols) in double. Of two blocks that
// share a record, the second counts with at least 1/32 of the first's absmax (pack/layout.h).
inline std::vector<double> RoundedInput(DType format, const std::vector<float>& x) {
  std::vector<double> rounded(x.begin(), x.end());
  const auto block = static_cast<size_t>(ActivationBlock(format));
  if (block == 0) return rounded;
  float previous = 0;
  for (size_t b = 0; b < x.size(); b += block) {
    float absmax = 0;
    for (size_t i = 0; i < block; ++i) absmax = std::max(absmax, std::fabs(x[b + i]));
    if (block == 128 && b % 256 == 128) absmax = std::max(absmax, previous / 32);
    previous = absmax;
    for (size_t i = 0; i < block; ++i) {
      const double q = absmax > 0 ? std::nearbyint(x[b + i] * (127.0f / absmax)) : 0;
      rounded[b + i] = q * static_cast<double>(absmax / 127.0f);
    }
  }
  return rounded;
}

// What exact kernels should give, and by how much float sums may miss it.
struct Expected {
  int64_t rows = 0;
  std::vector<double> y;          // (tokens, rows)
  std::vector<double> tolerance;  // (tokens, rows)
};

// Sums of n terms t in float stray from the truth by about sqrt(n) * 2^-24 * sum |t|; four times that is allowed.
// For formats with offsets the terms are scale * q * x and min * x, which are larger than their difference.
inline Expected Multiply(DType format, const std::vector<uint8_t>& weights, int64_t rows, int64_t cols,
                         const std::vector<float>& x) {
  const auto n = static_cast<size_t>(cols);
  const size_t tokens = x.size() / n;
  const size_t row_bytes = tensor::RowBytes(format, n);
  const std::vector<double> xr = RoundedInput(format, x);
  Expected e{.rows = rows,
             .y = std::vector<double>(tokens * static_cast<size_t>(rows)),
             .tolerance = std::vector<double>(tokens * static_cast<size_t>(rows))};
  const double terms = ActivationBlock(format) == 0 ? static_cast<double>(cols) : static_cast<double>(cols) / 16;
  const double unit = 4 * (4 + std::sqrt(terms)) * 0x1p-24;
  std::vector<float> w(n), offset(n);
  for (size_t r = 0; r < static_cast<size_t>(rows); ++r) {
    std::vector<uint8_t> row(weights.begin() + static_cast<ptrdiff_t>(r * row_bytes),
                             weights.begin() + static_cast<ptrdiff_t>((r + 1) * row_bytes));
    tensor::DequantizeRow(format, row.data(), n, w.data());
    if (const BlockShape shape = ShapeOf(format); shape.offset >= 0) {
      for (size_t b = 0; b < row.size(); b += tensor::TraitsOf(format).block_bytes) {
        std::fill(row.data() + b + shape.quants_begin, row.data() + b + shape.quants_end, uint8_t{0});
      }
      tensor::DequantizeRow(format, row.data(), n, offset.data());
    }
    for (size_t t = 0; t < tokens; ++t) {
      double sum = 0, size = 0;
      for (size_t c = 0; c < n; ++c) {
        const double xv = xr[t * n + c];
        sum += static_cast<double>(w[c]) * xv;
        size += (std::fabs(static_cast<double>(w[c])) + 2 * std::fabs(static_cast<double>(offset[c]))) * std::fabs(xv);
      }
      e.y[t * static_cast<size_t>(rows) + r] = sum;
      e.tolerance[t * static_cast<size_t>(rows) + r] = unit * size + 1e-30;
    }
  }
  return e;
}

// Runs one job to its end on the calling thread. y: (tokens or token_rows, w.rows), kept as it was for kAdd.
struct RunOptions {
  Precision precision = Precision::kExact;
  Epilogue epilogue = Epilogue::kStore;
  const PackedMatrix* w2 = nullptr;
  std::vector<int32_t> token_rows = {};
  int threads = 1;
};
inline void Run(Isa isa, const PackedMatrix& w, const Activations& x, const RunOptions& options,
                std::vector<float>* y) {
  const MatmulJob job{.w = &w,
                      .w2 = options.w2,
                      .x = &x,
                      .token_rows = options.token_rows,
                      .y = y->data(),
                      .y_stride = w.rows,
                      .epilogue = options.epilogue};
  MatmulPlan plan;
  plan.Build(isa, options.precision, {&job, 1}, options.threads);
  const AlignedBytes scratch(plan.ScratchBytes());
  for (int64_t i = plan.item_count() - 1; i >= 0; --i) plan.RunItem(i, scratch.data());
}

// Activations of the first `tokens` tokens of x.
inline Activations Quantized(Isa isa, std::vector<DType> formats, const std::vector<float>& x, int64_t tokens,
                             int64_t cols) {
  Activations a;
  a.Prepare(isa, formats, x.data(), cols, tokens, cols);
  a.Quantize(0, tokens);
  return a;
}

}  // namespace tenfold::kernels::testing
