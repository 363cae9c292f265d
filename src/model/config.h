// The shape of a model, read from a GGUF file's metadata and checked before anything is allocated.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "gguf/file.h"
#include "model/rope.h"

namespace tenfold::model {

struct Config {
  std::string architecture;  // "qwen2", "qwen3" or "llama"
  int64_t n_layers = 0;
  int64_t d_model = 0;
  int64_t n_heads = 0;
  int64_t n_kv_heads = 0;  // divides n_heads
  int64_t head_dim = 0;    // multiple of 8, at most 256
  int64_t n_rot = 0;       // leading elements of a head that RoPE turns; even, <= head_dim
  int64_t d_ff = 0;
  int64_t vocab_size = 0;     // rows of token_embd.weight
  int64_t train_context = 0;  // tokens: the file's context_length, or what its RoPE is stretched to if that is more
  float rms_eps = 0;
  double rope_base = 0;  // theta of RoPE
  RopeScaling rope_scaling;
};

// Errors (kUnsupported or kCorrupt) name the key and what was wanted: unknown architecture, RoPE scaling of another
// kind, experts, sliding windows, shapes that do not divide.
Result<Config> ReadConfig(const gguf::File& file);

}  // namespace tenfold::model
