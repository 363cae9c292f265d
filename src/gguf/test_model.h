// Small random-weight model files made in memory, so that tests of every room above need no data from outside.
//
// What it does: writes a complete, loadable qwen2, qwen3 or llama file with a byte-level vocabulary. What it does not:
// make text that means anything. The same options give the same bytes on every machine with the same standard library.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tenfold::gguf {

struct TinyModelOptions {
  std::string architecture = "qwen3";  // "qwen3" (with QK-norm), "qwen2" (with QKV biases) or "llama"
  // "f32", "f16", "q8_0", "q6_k", or "q4_k_m": Q4_K with Q6_K for the output head (the embedding when tied) and for
  // attn_v and ffn_down of the layers that the usual Q4_K_M recipe picks. Norms are always F32.
  std::string types = "q8_0";
  uint32_t n_layers = 2;
  uint32_t d_model = 256;  // rows must be whole blocks: d_model, n_heads * head_dim and ffn are multiples of 256 for
  uint32_t n_heads = 4;    // q4_k_m and q6_k, of 32 for q8_0
  uint32_t n_kv_heads = 2;
  uint32_t head_dim = 64;
  uint32_t ffn = 512;
  uint32_t vocab = 512;  // at least kLeastTinyVocab
  uint32_t context_length = 4096;
  bool biases = false;  // llama: with biases on q, k, v and the attention's output
  bool tied = true;     // no output.weight: the embedding serves as output head
  uint64_t seed = 1;
};

// 256 byte tokens (id = byte), one token a merge, <|endoftext|>, <|im_start|>, <|im_end|>.
inline constexpr uint32_t kLeastTinyVocab = 256 + 6 + 3;

// The whole file. Control tokens are the last three ids: vocab - 3 is <|endoftext|> (bos, padding), vocab - 2
// <|im_start|>, vocab - 1 <|im_end|> (eos). Options that contradict each other are the test's bug and stop the process.
// Pure, any thread.
std::vector<uint8_t> MakeTinyModel(const TinyModelOptions& options);

}  // namespace tenfold::gguf
