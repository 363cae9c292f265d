// A model's weights in memory: every matrix in the kernels' panels, every norm as floats, one arena.
//
// What it does: binds tensors by name, checks their shapes against the config and has them packed
// (model/pack_tensors.h), so that peak memory is one model plus some 2 MiB a thread. What it does not: compute.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "gguf/file.h"
#include "gguf/model_file.h"
#include "kernels/packed_matrix.h"
#include "model/config.h"
#include "model/pack_tensors.h"
#include "platform/memory.h"
#include "platform/thread_pool.h"

namespace tenfold::model {

struct LayerWeights {
  const float* attn_norm = nullptr;  // (d_model)
  const float* q_norm = nullptr;     // (head_dim), qwen3 only
  const float* k_norm = nullptr;     // (head_dim), qwen3 only
  const float* ffn_norm = nullptr;   // (d_model)
  const float* q_bias = nullptr;     // (n_heads * head_dim); qwen2, and llama files that have one
  const float* k_bias = nullptr;     // (n_kv_heads * head_dim), likewise
  const float* v_bias = nullptr;     // (n_kv_heads * head_dim), likewise
  const float* attn_bias = nullptr;  // (d_model): attn_output.bias, llama files that have one
  kernels::PackedMatrix q;           // (n_heads * head_dim, d_model)
  kernels::PackedMatrix k;           // (n_kv_heads * head_dim, d_model)
  kernels::PackedMatrix v;           // (n_kv_heads * head_dim, d_model)
  kernels::PackedMatrix attn_out;    // (d_model, n_heads * head_dim)
  kernels::PackedMatrix gate;        // (d_ff, d_model)
  kernels::PackedMatrix up;          // (d_ff, d_model)
  kernels::PackedMatrix down;        // (d_model, d_ff)
};

struct Weights {
  platform::HugeBuffer arena;       // holds everything below
  kernels::PackedMatrix embedding;  // (vocab, d_model)
  kernels::PackedMatrix output;     // (vocab, d_model); the embedding itself when tied
  const float* output_norm = nullptr;
  const float* rope_factors = nullptr;  // (n_rot / 2): rope_freqs.weight of llama files that have one, each > 0
  std::vector<LayerWeights> layers;
};

// Whether the file has exactly the tensors that the config asks for, in shapes and types we compute. Errors name the
// tensor: missing, misshapen, of a type we cannot compute, or one this architecture does not use. Reads no tensor data
// and allocates by the number of tensors only.
Status CheckTensors(const gguf::File& file, const Config& config);

// Bytes of the weights in memory, as LoadWeights packs them. Errors as CheckTensors; reads no tensor data.
Result<uint64_t> WeightBytes(const gguf::File& file, const Config& config);

// What all tensors of one type take in memory: matrices as they are packed, vectors as floats.
struct TypeBytes {
  tensor::DType type;
  uint64_t bytes = 0;
};
// Of each computable type in the file, most bytes first.
std::vector<TypeBytes> BytesByType(const gguf::File& file);

// Errors as CheckTensors, kResourceExhausted without room for the arena, kCancelled.
Result<Weights> LoadWeights(const gguf::ModelFile& model_file, const Config& config, platform::ThreadPool& pool,
                            const LoadProgress& progress);

}  // namespace tenfold::model
