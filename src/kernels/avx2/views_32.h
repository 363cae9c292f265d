// Where the scales, offsets and quants of 32 columns of a panel lie, for the AVX2 and AVX-VNNI kernels of the layouts
// whose activations have a scale per 32. Everything is static; see ymm.h.
#pragma once

#include "kernels/avx2/ymm.h"

namespace tenfold::kernels::ymm {
namespace {

// A view has
//   kStep, kOffset        columns that share a scale; whether there are offsets
//   At(panel, cols, b)    the view of block b
//   quants                bytes or nibbles
//   Scale(s, r)           of step s, rows 8r .. 8r + 7
//   Offset128(s, r)       the factor of the records' -128 * sum
struct Q8View {
  static constexpr int kStep = 32;
  static constexpr bool kOffset = false;
  static constexpr int kBytes = layout::kQ8BlockBytes;
  const uint8_t* quants;
  const uint8_t* d;
  static Q8View At(const uint8_t* panel, int64_t cols, int64_t b) {
    return {panel + layout::ScaleHeaderBytes(cols / 32) + b * kBytes, panel + 32 * b};
  }
  __m256 Scale(int, int r) const { return LoadHalves(d + 16 * r); }
  __m256 Offset128(int, int) const { return _mm256_setzero_ps(); }
};

template <int Step, bool Offset>
struct Int8View {
  static constexpr int kStep = Step;
  static constexpr bool kOffset = Offset;
  static constexpr int kBytes = layout::Int8BlockBytes(Step, Offset);
  const uint8_t* quants;
  const uint8_t* scales;
  static Int8View At(const uint8_t* panel, int64_t, int64_t b) {
    const uint8_t* const block = panel + b * kBytes;
    return {block + kBytes - layout::kQ8BlockBytes, block};
  }
  __m256 Scale(int s, int r) const { return _mm256_load_ps(reinterpret_cast<const float*>(scales) + 16 * s + 8 * r); }
  __m256 Offset128(int s, int r) const { return Scale(32 / Step + s, r); }
};

struct Q40View {
  static constexpr int kStep = 32;
  static constexpr bool kOffset = false;
  static constexpr int kBytes = layout::kQ4BlockBytes;
  const uint8_t* quants;
  const uint8_t* d;
  static Q40View At(const uint8_t* panel, int64_t cols, int64_t b) {
    return {panel + layout::ScaleHeaderBytes(cols / 32) + b * kBytes, panel + 32 * b};
  }
  __m256 Scale(int, int r) const { return LoadHalves(d + 16 * r); }
  __m256 Offset128(int, int) const { return _mm256_setzero_ps(); }
};

struct Q41View {
  static constexpr int kStep = 32;
  static constexpr bool kOffset = true;
  static constexpr int kBytes = layout::kQ4BlockBytes;
  const uint8_t* quants;
  const uint8_t* d;
  static Q41View At(const uint8_t* panel, int64_t cols, int64_t b) {
    return {panel + cols / 32 * layout::kQ41ScaleBytes + b * kBytes, panel + layout::kQ41ScaleBytes * b};
  }
  __m256 Scale(int, int r) const { return LoadHalves(d + 16 * r); }
  __m256 Offset128(int, int r) const { return _mm256_mul_ps(LoadHalves(d + 32 + 16 * r), _mm256_set1_ps(-1.0f / 128)); }
};

}  // namespace

// The -128 * sum of step s of block b in a record.
template <int kStep>
TENFOLD_YMM_INLINE const uint8_t* OffAt(const uint8_t* record, int64_t b, int s) {
  return kStep == 32 ? record + layout::kRecord8Off + 4 * (b % 8)
                     : record + layout::kRecord8Off16 + 8 * (b % 8) + 4 * s;
}

// c (M, 16) += x_scale * (scale * dots + offset * off) for step s of block b.
template <class View, int M>
TENFOLD_YMM_INLINE void AddScaled(const View& view, int s, const __m256i (&dots)[M][2], const uint8_t* records,
                                  int64_t b, float* c, int64_t c_stride) {
  TENFOLD_UNROLL
  for (int r = 0; r < 2; ++r) {
    const __m256 scale = view.Scale(s, r);
    const __m256 offset = view.Offset128(s, r);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const uint8_t* const record = records + m * layout::kRecord8Bytes;
      const __m256 x_scale = BroadcastFloat(record + layout::kRecord8Scale + 4 * (b % 8));
      __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(dots[m][r]), scale);
      if (View::kOffset) {
        scaled = _mm256_fmadd_ps(_mm256_cvtepi32_ps(BroadcastQuad(OffAt<View::kStep>(record, b, s))), offset, scaled);
      }
      float* const out = c + m * c_stride + 8 * r;
      _mm256_store_ps(out, _mm256_fmadd_ps(scaled, x_scale, _mm256_load_ps(out)));
    }
  }
}

// Multiplies the tile: blocks of 32 columns outside, so that weights stream once from memory; groups of at most
// Kernel::kMaxGroup tokens inside. Kernel<View>::AddBlock<M>(view, records, b, c, c_stride) adds one block of one panel
// times M tokens.
template <class Kernel, class View, int M>
static void AddBlockOf(const View& view, const uint8_t* records, int64_t b, float* c, int64_t c_stride) {
  Kernel::template AddBlock<View, M>(view, records, b, c, c_stride);
}

template <class Kernel, class View>
static void Run32(const TileArgs& a) {
  using Fn = void (*)(const View&, const uint8_t*, int64_t, float*, int64_t);
  constexpr Fn kGroup[6] = {AddBlockOf<Kernel, View, 1>,     AddBlockOf<Kernel, View, 2>, AddBlockOf<Kernel, View, 3>,
                            AddBlockOf<Kernel, View, 4>,     AddBlockOf < Kernel,         View,
                            Kernel::kMaxGroup < 5 ? 1 : 5 >, AddBlockOf < Kernel,         View,
                            Kernel::kMaxGroup < 6 ? 1 : 6 > };
  static_assert(Kernel::kMaxGroup >= 4 && Kernel::kMaxGroup <= 6);
  const int64_t c_stride = a.panels * layout::kRows;
  const Groups groups = SplitTokens(a.tokens, Kernel::kMaxGroup);
  std::memset(a.c, 0, static_cast<size_t>(a.tokens * c_stride) * sizeof(float));
  for (int64_t b = 0; b < a.cols / 32; ++b) {
    for (int p = 0; p < a.panels; ++p) {
      const View view = View::At(a.w + static_cast<size_t>(p) * a.panel_bytes, a.cols, b);
      PrefetchLines(view.quants + 2048, View::kBytes);
      const uint8_t* records = a.records + static_cast<size_t>(b / 8) * a.block_stride;
      float* c = a.c + p * layout::kRows;
      for (int64_t g = 0; g < groups.count; ++g) {
        const int64_t size = groups.SizeOf(g);
        kGroup[size - 1](view, records, b, c, c_stride);
        records += size * layout::kRecord8Bytes;
        c += size * c_stride;
      }
    }
  }
}

}  // namespace tenfold::kernels::ymm
