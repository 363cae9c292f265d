// Attention over paged keys and values, and the float operations around it, dispatched by ISA.
//
// A page holds, of each KV head of one layer, 16 tokens: K, then V. As halves, K is [head_dim][16 tokens] (16 scores
// per multiply with the query broadcast) and V [16 tokens][head_dim]. As int8: attend_int8.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "kernels/isa.h"
#include "kernels/kv_format.h"

namespace tenfold::kernels {

inline constexpr int64_t kPageTokens = 16;

// "f16" and "q8_0", as llama.cpp's tools call them.
std::string_view NameOf(KvType type);
std::optional<KvType> KvTypeFromName(std::string_view name);

// Bytes of K, and of K and V, of one page of one layer and one KV head; multiples of 64.
size_t KvKeyBytes(int64_t head_dim, const KvFormat& format);
size_t KvPageBytes(int64_t head_dim, const KvFormat& format);

// Where a sequence's pages lie for some KV heads of one layer: page p of the sequence begins, for the first of them, at
// base + page_ids[p] * page_stride; each further head is head_stride on.
struct KvPages {
  uint8_t* base = nullptr;
  size_t page_stride_bytes = 0;
  size_t head_stride_bytes = 0;
  std::span<const int32_t> page_ids;  // in sequence order; page i holds positions 16 i .. 16 i + 15
  KvFormat format;
};

// Writes k and v (head_dim floats each, k after RoPE) of the token at `position` and the first KV head. Magnitudes over
// 65504 become 65504, so that no score is ever infinite; a NaN stays one, with int8 for all that shares its scale.
// Halves are the nearest; int8 the nearest multiple of a 127th of the largest magnitude among 32 dimensions of K (that
// 127th rounded to a half) or all dimensions of V. Different positions may be written concurrently.
void WriteKv(Isa isa, const KvPages& pages, int64_t position, int64_t head_dim, const float* k, const float* v);

// One attention item: `n_tokens` consecutive query tokens of one sequence starting at first_position, `kv_heads` KV
// heads, and the `n_heads` query heads that share each. Causal: token t sees positions 0 .. first_position + t, all of
// which must have been written.
//   q:   token t, head h of KV head g at q + t * q_stride + (g * n_heads + h) * head_dim (head_dim floats)
//   out: the same with out and out_stride
// out = softmax(scale * q K^T) V with a running maximum, in float (Milakov & Gimelshein 2018; Dao et al. 2022).
// head_dim a multiple of 8, at most 256.
// Accuracy, relative to exact arithmetic on what is stored: with halves about 1e-6 * (1 + largest |score|) of the
// largest |v|; with int8 K, scores besides within 2e-5 of the largest |q| times the norm of k, and with int8 V, within
// 1e-4 of the largest |v|. What int8 itself costs against halves, on Gaussian keys, values and queries: an error of
// NMSE 7e-5 (write_kv_test.cc). The result for a token does not depend, to the last bit, on which other tokens or heads
// are in the item. Slots past a token's own position are never used, whatever they hold.
//
// kInt16 multiplies in int16 what is stored as halves (attend_int16.h), about twice as fast, for items of kInt16Rows
// rows (n_tokens * n_heads) and more; K and V must both be halves. Scores are then besides within 5e-5 of |q| times the
// norm of k, and results within 1e-3 of the largest norm of a v, 20 times nearer but for numerators that are all alike;
// an infinity that is stored gives NaN. On Gaussian keys, values and queries the error is NMSE 1.5e-7, where storing
// halves costs 0.9e-7 and int8 activations 5e-5 (attention_test.cc). kScalar computes in float whatever is asked.
enum class AttendArithmetic { kFloat, kInt16 };
inline constexpr int64_t kInt16Rows = 16;
struct AttendItem {
  KvPages pages;
  AttendArithmetic arithmetic = AttendArithmetic::kFloat;
  int64_t first_position = 0;
  int64_t n_tokens = 1;
  int64_t kv_heads = 1;
  int64_t n_heads = 1;
  int64_t head_dim = 0;
  float scale = 1.0f;
  const float* q = nullptr;
  int64_t q_stride = 0;
  float* out = nullptr;
  int64_t out_stride = 0;
};
// The whole item. scratch: AttendScratchBytes(item) bytes, 64-byte aligned, private to the thread.
void Attend(Isa isa, const AttendItem& item, uint8_t* scratch);
size_t AttendScratchBytes(const AttendItem& item);

// The same in parts, for several threads: positions are taken in chunks of kChunkTokens, each from nothing, and merged
// in order; Attend does just that, so both give the same bits. Chunks may be computed in any order and at once; parts:
// (AttendChunks, AttendPartFloats) floats, 64-byte aligned, whose writes the merging thread must see. MergeChunks
// overwrites part 0 and writes item.out.
inline constexpr int64_t kChunkTokens = 512;
int64_t AttendChunks(const AttendItem& item);
size_t AttendPartFloats(const AttendItem& item);
void AttendChunk(Isa isa, const AttendItem& item, int64_t chunk, float* parts, uint8_t* scratch);
void MergeChunks(Isa isa, const AttendItem& item, float* parts);

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
