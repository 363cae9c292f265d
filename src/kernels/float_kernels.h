// The float operations around the matrix products as one function table per instruction set.
//
// Files in the ISA folders see only this header, never attention.h: it holds no inline function and no standard
// template, so that nothing compiled for a wide ISA can be shared with the baseline by the linker.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kv_format.h"

namespace tenfold::kernels {

// Keys are read, and the running softmax is updated, in blocks of this many positions (4 pages).
inline constexpr int64_t kBlockTokens = 64;

// The softmax so far of some rows. The state of a row is (max, sum, acc): softmax numerator of position j so far =
// exp(score_j - max), sum = their total, acc = sum_j numerator_j * v_j.
struct AttendState {
  float* acc;  // (rows, acc_stride), zero past head_dim
  float* max;  // (rows)
  float* sum;  // (rows, 16): per-lane partial sums; the lanes an ISA does not use stay zero
};

// One attention item with its scratch laid out; see AttendItem in attention.h for the meaning of the first part.
// A row is one (KV head, token, query head), row = (kv_head * n_tokens + token) * n_heads + head.
struct AttendTask {
  KvFormat format;
  size_t key_bytes;     // from a page's K to its V
  const uint8_t* base;  // of the first KV head
  size_t page_stride_bytes;
  size_t head_stride_bytes;
  const int32_t* page_ids;
  int64_t first_position;
  int64_t n_tokens;
  int64_t kv_heads;
  int64_t n_heads;  // query heads of one KV head
  int64_t head_dim;
  float scale;
  const float* q;
  int64_t q_stride;
  float* out;
  int64_t out_stride;

  // The positions that attend() takes in: whole chunks, the last one cut at the item's last position.
  int64_t begin;
  int64_t end;
  int64_t chunk_tokens;

  float* query;        // (rows, head_dim): q * scale
  int64_t acc_stride;  // head_dim rounded up to 16
  AttendState total;   // the first chunk, then all that follow merged into it in order of position
  AttendState chunk;   // of a later chunk, until it is merged
  float* rescale;      // (rows of one KV head): what the last block's larger max asks acc to be multiplied by
  float* weights;      // (rows of one KV head, kBlockTokens): scores, then softmax numerators, of the current block

  int16_t* query_int16;    // (rows, head_dim), for int8 K or in_int16: query / query_scale
  float* query_scale;      // (rows)
  int16_t* weights_int16;  // (rows of one KV head, kBlockTokens), for int8 V or in_int16: weights * V's scales /
                           // weights_scale
  float* weights_scale;    // (rows of one KV head)

  bool in_int16;          // halves are turned into int16 (attend_int16.h), which the scalar kernels do not do
  int16_t* keys_int16;    // (head_dim, kBlockTokens), in pairs of dims: the current block's K
  int16_t* values_int16;  // (kBlockTokens, acc_stride), in pairs of positions: its V
  float* keys_scale;      // (2, kBlockTokens): of K, then of V
};

struct FloatKernels {
  // The rows' state over [begin, end) in task.total, from nothing.
  void (*attend)(const AttendTask& task);
  // Merges the state of positions [begin, ...) of one chunk, `from`, into task.total.
  void (*merge)(const AttendTask& task, int64_t begin, const AttendState& from);
  // task.out = acc / sum of task.total.
  void (*finish)(const AttendTask& task);
  // page: K, and key_bytes on V, of one page; slot in [0, 16); k, v: head_dim floats.
  void (*write_kv)(uint8_t* page, const KvFormat& format, size_t key_bytes, int64_t slot, int64_t head_dim,
                   const float* k, const float* v);
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
