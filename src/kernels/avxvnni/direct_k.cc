// Q4_K, Q5_K and Q6_K weights times int8 activations with vpdpbusd on 8 rows, exact for every number of tokens.
//
// Per sub-block the products of a row and a token are summed in an int32 lane, turned to float and scaled; per 128
// columns the activation scale joins. The 32 that Q6_K subtracts is taken out by the value the lanes start from.
//
// Many tokens take panel.cc: from cache, 55 multiplications a cycle of 64 where this path gives 42 (Zen 4, EVEX form).
#include "kernels/avx2/unpack_k.h"
#include "kernels/avxvnni/matmul_avxvnni.h"

namespace tenfold::kernels::avxvnni {
namespace {

using namespace layout;  // NOLINT(google-build-using-namespace): a dozen constants of one purpose
using namespace ymm;     // NOLINT(google-build-using-namespace): as above

// Sums of M tokens and the 16 rows of a panel, in two registers of 8 rows.
template <int M>
using Dots = __m256i[M][2];
template <int M>
using Sums = __m256[M][2];

// sums += scale * (dots + quads [begin, begin + N) of the block times the records' bytes from x on).
template <int M, int N>
TENFOLD_YMM_INLINE void AddQuads(const Quants& q, int begin, const uint8_t* x, const float* scale, Dots<M>& dots,
                                 Sums<M>& sums) {
  TENFOLD_UNROLL
  for (int quad = 0; quad < N; ++quad) {
    const __m256i w0 = Load(q.Quad(begin + quad));
    const __m256i w1 = Load(q.Quad(begin + quad) + 32);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) {
      const __m256i xm = BroadcastQuad(x + m * kRecordKBytes + 4 * quad);
      Dot4(dots[m][0], w0, xm);
      Dot4(dots[m][1], w1, xm);
    }
  }
  TENFOLD_UNROLL
  for (int r = 0; r < 2; ++r) {
    const __m256 s = _mm256_load_ps(scale + 8 * r);
    TENFOLD_UNROLL
    for (int m = 0; m < M; ++m) sums[m][r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[m][r]), s, sums[m][r]);
  }
}

// c += sums * the records' scale of half h.
template <int M>
TENFOLD_YMM_INLINE void AddHalf(const Sums<M>& sums, const uint8_t* records, int h, float* c, int64_t c_stride) {
  TENFOLD_UNROLL
  for (int m = 0; m < M; ++m) {
    const __m256 x_scale = BroadcastFloat(records + m * kRecordKBytes + kRecordKScale + 4 * h);
    TENFOLD_UNROLL
    for (int r = 0; r < 2; ++r) {
      float* const out = c + m * c_stride + 8 * r;
      _mm256_store_ps(out, _mm256_fmadd_ps(sums[m][r], x_scale, _mm256_load_ps(out)));
    }
  }
}

struct Q4K {
  static constexpr int kBytes = kQ4KBlockBytes;
  TENFOLD_YMM_INLINE void Unpack(const uint8_t* sb, Quants* out) { UnpackQ4K(sb, out); }
};
struct Q5K {
  static constexpr int kBytes = kQ5KBlockBytes;
  TENFOLD_YMM_INLINE void Unpack(const uint8_t* sb, Quants* out) { UnpackQ5K(sb, out); }
};

template <class Format>
struct AffineK {
  static constexpr int kMaxGroup = 4;
  struct alignas(64) Block {
    Quants quants;
    float scale[8][kRows];
    float min[8][kRows];
  };
  template <int M>
  struct TokenGroup {};
  template <int M>
  static void Begin(const uint8_t*, TokenGroup<M>*) {}

  static void Prepare(const uint8_t* panel, int64_t kb, int64_t, Block* out) {
    const uint8_t* const sb = panel + kb * Format::kBytes;
    PrefetchWeights(sb, Format::kBytes);
    Q4KScaleBytes bytes;
    DecodeQ4KScales(sb, &bytes);
    DecodeQ4KMins(sb, bytes, out->min);
    const __m256 d[2] = {LoadHalves(sb), LoadHalves(sb + 16)};
    for (int j = 0; j < 8; ++j) {
      for (int r = 0; r < 2; ++r) {
        _mm256_store_ps(out->scale[j] + 8 * r, _mm256_mul_ps(BytesToFloats(bytes.scale[j] + 8 * r), d[r]));
      }
    }
    Format::Unpack(sb, &out->quants);
  }

  template <int M>
  static void Add(const Block& b, const uint8_t* records, const TokenGroup<M>&, float* c, int64_t c_stride) {
    for (int h = 0; h < 2; ++h) {
      Sums<M> sums = {};
      for (int j = 4 * h; j < 4 * h + 4; ++j) {
        Dots<M> dots = {};
        AddQuads<M, 8>(b.quants, 8 * j, records + 32 * j, b.scale[j], dots, sums);
      }
      AddHalf<M>(sums, records, h, c, c_stride);
    }
    SubtractMins<M>(b.min, records, c, c_stride);
  }
};

struct Q6K {
  static constexpr int kMaxGroup = 4;
  struct alignas(64) Block {
    Quants quants;
    float scale[16][kRows];
  };
  // -32 * the sum of each 16 activations; the records hold 4 times that for the last quarter of a half.
  template <int M>
  struct alignas(64) TokenGroup {
    int32_t start[M][16];
  };
  template <int M>
  static void Begin(const uint8_t* records, TokenGroup<M>* out) {
    const __m256i shift = _mm256_setr_epi32(0, 0, 0, 0, 0, 0, 2, 2);
    for (int m = 0; m < M; ++m) {
      for (int h = 0; h < 2; ++h) {
        const __m256i off = Load(records + m * kRecordKBytes + kRecordKOff16 + 32 * h);
        Store(out->start[m] + 8 * h, _mm256_srav_epi32(off, shift));
      }
    }
  }

  static void Prepare(const uint8_t* panel, int64_t kb, int64_t cols, Block* out) {
    const uint8_t* const sb = panel + ScaleHeaderBytes(cols / 256) + kb * kQ6KBlockBytes;
    PrefetchWeights(sb, kQ6KBlockBytes);
    const __m256 d[2] = {LoadHalves(panel + 32 * kb), LoadHalves(panel + 32 * kb + 16)};
    for (int j = 0; j < 16; ++j) {
      for (int r = 0; r < 2; ++r) {
        _mm256_store_ps(out->scale[j] + 8 * r, _mm256_mul_ps(SignedBytesToFloats(sb + 16 * j + 8 * r), d[r]));
      }
    }
    UnpackQ6K(sb, &out->quants);
  }

  template <int M>
  static void Add(const Block& b, const uint8_t* records, const TokenGroup<M>& group, float* c, int64_t c_stride) {
    for (int h = 0; h < 2; ++h) {
      Sums<M> sums = {};
      for (int j = 8 * h; j < 8 * h + 8; ++j) {
        Dots<M> dots;
        TENFOLD_UNROLL
        for (int m = 0; m < M; ++m) dots[m][0] = dots[m][1] = _mm256_set1_epi32(group.start[m][j]);
        AddQuads<M, 4>(b.quants, 4 * j, records + 16 * j, b.scale[j], dots, sums);
      }
      AddHalf<M>(sums, records, h, c, c_stride);
    }
  }
};

}  // namespace

void DirectQ4K(const TileArgs& a) { RunK<AffineK<Q4K>>(a); }
void DirectQ5K(const TileArgs& a) { RunK<AffineK<Q5K>>(a); }
void DirectQ6K(const TileArgs& a) { RunK<Q6K>(a); }

}  // namespace tenfold::kernels::avxvnni
