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
  // The name in lower case of a type with a quantiser ("f32", "bf16", "q4_0", "iq4_xs" ...), or "q4_k_m": Q4_K with
  // Q6_K for the output head (the embedding when tied) and for attn_v and ffn_down of the layers that the usual Q4_K_M
  // recipe picks. Matrices whose rows are no multiple of 256 fall back as in quantised files: Q4_K to Q5_0, Q5_K to
  // Q5_1, Q6_K to Q8_0, Q2_K, Q3_K and IQ4_XS to IQ4_NL. Norms are always F32.
  std::string types = "q8_0";
  uint32_t n_layers = 2;
  uint32_t d_model = 256;  // rows must be whole blocks: d_model, n_heads * head_dim and ffn are multiples of 32 but for
  uint32_t n_heads = 4;    // the float types
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
