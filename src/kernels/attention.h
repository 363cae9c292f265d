// Attention over paged keys and values, and the float operations around it, dispatched by ISA.
//
// A page holds 16 tokens of one KV head of one layer: K as [head_dim][16 tokens] halves (16 scores per multiply with
// the query broadcast), then V as [16 tokens][head_dim] halves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/isa.h"

namespace tenfold::kernels {

inline constexpr int64_t kPageTokens = 16;

// Bytes of one page of one layer and one KV head: K and V, 2-byte elements.
inline size_t KvPageBytes(int64_t head_dim) { return static_cast<size_t>(2 * kPageTokens * head_dim) * 2; }

// Where a sequence's pages lie for one (layer, kv head): page p of the sequence is at base + page_ids[p] * page_stride.
struct KvPages {
  uint8_t* base = nullptr;
  size_t page_stride_bytes = 0;
  std::span<const int32_t> page_ids;  // in sequence order; page i holds positions 16 i .. 16 i + 15
};

// Writes k and v (head_dim floats each, k after RoPE) of the token at `position`, each rounded to the nearest finite
// half (magnitudes over 65504 become 65504, so that no score is ever infinite; a NaN stays one). Different positions
// may be written concurrently.
void WriteKv(Isa isa, const KvPages& pages, int64_t position, int64_t head_dim, const float* k, const float* v);

// One attention item: `n_tokens` consecutive query tokens of one sequence starting at first_position, and the
// `n_heads` query heads that share this KV head. Causal: token t sees positions 0 .. first_position + t, all of which
// must have been written.
//   q:   token t, head h at q + t * q_stride + h * head_dim (head_dim floats)
//   out: token t, head h at out + t * out_stride + h * head_dim
// out = softmax(scale * q K^T) V with a running maximum, in float (Milakov & Gimelshein 2018; Dao et al. 2022).
// head_dim a multiple of 8, at most 256.
// Accuracy: relative to exact arithmetic on the stored halves, about 1e-6 * (1 + largest |score|) of the largest |v|.
// The result for a token does not depend, to the last bit, on which other tokens or heads are in the item. Slots past a
// token's own position are never used, whatever they hold.
// scratch: AttendScratchBytes(...) bytes, 64-byte aligned, private to the thread.
void Attend(Isa isa, const KvPages& pages, int64_t first_position, int64_t n_tokens, int64_t n_heads, int64_t head_dim,
            float scale, const float* q, int64_t q_stride, float* out, int64_t out_stride, uint8_t* scratch);
size_t AttendScratchBytes(int64_t n_tokens, int64_t n_heads, int64_t head_dim);

// y[i] = x[i] / sqrt(mean(x^2) + eps) * weight[i], n elements; y may be x. (Zhang & Sennrich 2019.)
void RmsNorm(Isa isa, const float* x, const float* weight, int64_t n, float eps, float* y);

// Rotates one head's vector in place (Su et al. 2021): pair i (i < n_rot / 2) by the angle whose cosine and sine are
// cos[i], sin[i]. Halves: pair (i, i + n_rot/2), as NeoX and Qwen; Interleaved: pair (2i, 2i+1), as GGUF's llama.
enum class RopePairing { kHalves, kInterleaved };
void Rope(Isa isa, RopePairing pairing, const float* cos, const float* sin, int64_t n_rot, float* head);

// a[i] += b[i].
void AddInPlace(Isa isa, const float* b, int64_t n, float* a);

// y[i] = gate[i] / (1 + exp(-gate[i])) * up[i]: the gate of SwiGLU layers (Shazeer 2020). y may be gate or up.
// Relative error about 3e-7.
void SiluMul(Isa isa, const float* gate, const float* up, int64_t n, float* y);

// Sets flush-to-zero and denormals-are-zero for the calling thread: every compute worker calls it once.
void SetFlushDenormals();

}  // namespace tenfold::kernels
