// The float operations around the matrix products as one function table per instruction set.
//
// Files in the ISA folders see only this header, never attention.h: it holds no inline function and no standard
// template, so that nothing compiled for a wide ISA can be shared with the baseline by the linker.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tenfold::kernels {

// Keys are read, and the running softmax is updated, in blocks of this many positions (4 pages).
inline constexpr int64_t kBlockTokens = 64;

// One attention item with its scratch laid out; see Attend in attention.h for the meaning of the first part.
// A row is one (token, head) pair, row = token * n_heads + head. The state of a row between blocks is (max, sum, acc):
//   softmax numerator of position j so far = exp(score_j - max), sum = their total, acc = sum_j numerator_j * v_j.
// Two states of one row over disjoint positions may be merged by scaling both to the larger max.
struct AttendTask {
  const uint8_t* base;
  size_t page_stride_bytes;
  const int32_t* page_ids;
  int64_t first_position;
  int64_t n_tokens;
  int64_t n_heads;
  int64_t head_dim;
  float scale;
  const float* q;
  int64_t q_stride;
  float* out;
  int64_t out_stride;

  float* query;        // (rows, head_dim): q * scale
  float* acc;          // (rows, acc_stride), zero past head_dim
  int64_t acc_stride;  // head_dim rounded up to 16
  float* max;          // (rows)
  float* sum;          // (rows, 16): per-lane partial sums; the lanes an ISA does not use stay zero
  float* rescale;      // (rows): what the last block's larger max asks acc and sum to be multiplied by
  float* weights;      // (rows, kBlockTokens): scores, then softmax numerators, of the current block
  float* converted;    // (kBlockTokens * head_dim): K or V of the current block as floats, when many rows share it
};

struct FloatKernels {
  void (*attend)(const AttendTask& task);
  // page: K and V of one page; slot in [0, 16); k, v: head_dim floats, stored as the nearest finite half.
  void (*write_kv)(uint8_t* page, int64_t slot, int64_t head_dim, const float* k, const float* v);
  void (*rms_norm)(const float* x, const float* weight, int64_t n, float eps, float* y);
  void (*rope_halves)(const float* cos, const float* sin, int64_t n_rot, float* head);
  void (*rope_interleaved)(const float* cos, const float* sin, int64_t n_rot, float* head);
  void (*add)(const float* b, int64_t n, float* a);
  void (*silu_mul)(const float* gate, const float* up, int64_t n, float* y);
};

extern const FloatKernels kFloatKernelsScalar;
extern const FloatKernels kFloatKernelsAvx2;  // AVX2, FMA and F16C; serves AVX-VNNI too
extern const FloatKernels kFloatKernelsAvx512Vnni;

}  // namespace tenfold::kernels
