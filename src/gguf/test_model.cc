// Builds the tiny model: hyperparameters, vocabulary, then tensors in the order real converters write them.
#include "gguf/test_model.h"

#include <cctype>
#include <cmath>
#include <optional>
#include <random>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "gguf/writer.h"
#include "tensor/dequantize.h"

namespace tenfold::gguf {
namespace {

using tensor::DType;

constexpr std::pair<std::string_view, std::string_view> kMerges[] = {{"Ġ", "t"},   {"Ġ", "a"}, {"h", "e"},
                                                                     {"Ġt", "he"}, {"i", "n"}, {"r", "e"}};
static_assert(kLeastTinyVocab == 256 + std::size(kMerges) + 3);

constexpr std::string_view kChatTemplate =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

// A code point below 0x800, as UTF-8.
std::string Utf8(uint32_t code) {
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 63))};
}

// The 256 byte tokens as GPT-2 spells them: printable Latin-1 stands for itself, the other bytes take the code points
// from 256 on, in order.
std::vector<std::string> ByteTokens() {
  std::vector<std::string> tokens;
  uint32_t next = 256;
  for (uint32_t b = 0; b < 256; ++b) {
    const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    tokens.push_back(Utf8(printable ? b : next++));
  }
  return tokens;
}

class TinyModel {
 public:
  explicit TinyModel(const TinyModelOptions& options) : o_(options), rng_(options.seed) {
    TENFOLD_CHECK(o_.architecture == "qwen2" || o_.architecture == "qwen3" || o_.architecture == "llama",
                  "a tiny model is qwen2, qwen3 or llama");
    TENFOLD_CHECK(o_.vocab >= kLeastTinyVocab, "a tiny vocabulary needs kLeastTinyVocab tokens");
    TENFOLD_CHECK(o_.n_kv_heads > 0 && o_.n_heads % o_.n_kv_heads == 0, "query heads must share KV heads evenly");
  }

  std::vector<uint8_t> Make() {
    SetHyperparameters();
    SetVocabulary();
    AddTensors();
    return writer_.Serialize();
  }

 private:
  void SetHyperparameters() {
    const std::string arch = o_.architecture + ".";
    writer_.Set("general.architecture", o_.architecture);
    writer_.Set("general.name", "tiny-" + o_.architecture + " random weights");
    writer_.Set("general.file_type", uint32_t{o_.types == "q4_k_m" ? 15u : 7u});
    writer_.Set("general.alignment", uint32_t{32});
    writer_.Set(arch + "block_count", o_.n_layers);
    writer_.Set(arch + "context_length", o_.context_length);
    writer_.Set(arch + "embedding_length", o_.d_model);
    writer_.Set(arch + "feed_forward_length", o_.ffn);
    writer_.Set(arch + "attention.head_count", o_.n_heads);
    writer_.Set(arch + "attention.head_count_kv", o_.n_kv_heads);
    writer_.Set(arch + "attention.key_length", o_.head_dim);
    writer_.Set(arch + "attention.value_length", o_.head_dim);
    writer_.Set(arch + "attention.layer_norm_rms_epsilon", 1e-6f);
    writer_.Set(arch + "rope.freq_base", o_.architecture == "llama" ? 5e5f : 1e6f);
    writer_.Set(arch + "rope.dimension_count", o_.head_dim);
    writer_.Set(arch + "vocab_size", o_.vocab);
  }

  void SetVocabulary() {
    constexpr int32_t kNormal = 1, kControl = 3;
    std::vector<std::string> tokens = ByteTokens();
    std::vector<std::string> merges;
    for (const auto& [left, right] : kMerges) {
      merges.push_back(std::string(left) + " " + std::string(right));
      tokens.push_back(std::string(left) + std::string(right));
    }
    while (tokens.size() < o_.vocab - 3) tokens.push_back("<w" + std::to_string(tokens.size()) + ">");
    std::vector<int32_t> types(tokens.size(), kNormal);
    for (const char* control : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
      tokens.emplace_back(control);
      types.push_back(kControl);
    }
    writer_.Set("tokenizer.ggml.model", "gpt2");
    writer_.Set("tokenizer.ggml.pre", "qwen2");
    writer_.Set("tokenizer.ggml.tokens", ArrayValue(std::move(tokens)));
    writer_.Set("tokenizer.ggml.token_type", ArrayValue(std::move(types)));
    writer_.Set("tokenizer.ggml.merges", ArrayValue(std::move(merges)));
    writer_.Set("tokenizer.ggml.eos_token_id", o_.vocab - 1);
    writer_.Set("tokenizer.ggml.bos_token_id", o_.vocab - 3);
    writer_.Set("tokenizer.ggml.padding_token_id", o_.vocab - 3);
    writer_.Set("tokenizer.ggml.add_bos_token", false);
    writer_.Set("tokenizer.chat_template", std::string(kChatTemplate));
  }

  // Spreads keep activations near 1: 1/sqrt(fan-in), and the two projections into the residual stream are divided by
  // sqrt(2 * layers) so that depth does not blow it up.
  void AddTensors() {
    const uint64_t d = o_.d_model, q = uint64_t{o_.n_heads} * o_.head_dim, kv = uint64_t{o_.n_kv_heads} * o_.head_dim;
    const double residual = 1.0 / std::sqrt(2.0 * o_.n_layers);
    AddMatrix("token_embd.weight", d, o_.vocab, o_.tied ? HeadType() : BodyType(false), 0.02);
    AddNorm("output_norm.weight", d);
    if (!o_.tied) AddMatrix("output.weight", d, o_.vocab, HeadType(), InvSqrt(d));
    for (uint32_t i = 0; i < o_.n_layers; ++i) {
      const std::string blk = "blk." + std::to_string(i) + ".";
      const DType base = BodyType(false), wide = BodyType(UsesMoreBits(i));
      AddNorm(blk + "attn_norm.weight", d);
      AddMatrix(blk + "attn_q.weight", d, q, base, InvSqrt(d));
      AddMatrix(blk + "attn_k.weight", d, kv, base, InvSqrt(d));
      AddMatrix(blk + "attn_v.weight", d, kv, wide, InvSqrt(d));
      AddMatrix(blk + "attn_output.weight", q, d, base, InvSqrt(q) * residual);
      AddNorm(blk + "ffn_norm.weight", d);
      AddMatrix(blk + "ffn_gate.weight", d, o_.ffn, base, InvSqrt(d));
      AddMatrix(blk + "ffn_up.weight", d, o_.ffn, base, InvSqrt(d));
      AddMatrix(blk + "ffn_down.weight", o_.ffn, d, wide, InvSqrt(o_.ffn) * residual);
      if (o_.architecture == "qwen3") {
        AddNorm(blk + "attn_q_norm.weight", o_.head_dim);
        AddNorm(blk + "attn_k_norm.weight", o_.head_dim);
      }
      if (o_.architecture == "qwen2" || o_.biases) {
        AddVector(blk + "attn_q.bias", q, 0.0f);
        AddVector(blk + "attn_k.bias", kv, 0.0f);
        AddVector(blk + "attn_v.bias", kv, 0.0f);
        if (o_.architecture == "llama") AddVector(blk + "attn_output.bias", d, 0.0f);
      }
    }
  }

  static double InvSqrt(uint64_t n) { return 1.0 / std::sqrt(static_cast<double>(n)); }

  // The layers whose attn_v and ffn_down are Q6_K in a Q4_K_M file: the first and last eighth, and every third between.
  bool UsesMoreBits(uint32_t layer) const {
    const uint32_t n = o_.n_layers;
    return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
  }

  DType BodyType(bool more_bits) const {
    if (o_.types == "q4_k_m") return more_bits ? DType::kQ6_K : DType::kQ4_K;
    return UniformType();
  }
  DType HeadType() const { return o_.types == "q4_k_m" ? DType::kQ6_K : UniformType(); }

  // The type that o_.types names in lower case.
  DType UniformType() const {
    for (uint32_t id = 0; id < 64; ++id) {
      const std::optional<tensor::DTypeTraits> traits = tensor::TraitsOf(id);
      if (!traits || !tensor::HasQuantizer(static_cast<DType>(id))) continue;
      std::string name(traits->name);
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      if (name == o_.types) return static_cast<DType>(id);
    }
    TENFOLD_CHECK(false, "a tiny model's types are q4_k_m or one type with a quantiser");
  }

  // What quantisers write where rows are no multiple of 256.
  static DType ForColumns(DType type, uint64_t cols) {
    if (cols % tensor::TraitsOf(type).block_elems == 0) return type;
    switch (type) {
      case DType::kQ2_K:
      case DType::kQ3_K:
      case DType::kIQ4_XS:
        return DType::kIQ4_NL;
      case DType::kQ4_K:
        return DType::kQ5_0;
      case DType::kQ5_K:
        return DType::kQ5_1;
      case DType::kQ6_K:
        return DType::kQ8_0;
      default:
        return type;
    }
  }

  // (rows, cols) of Gaussian weights; dims are written {cols, rows}.
  void AddMatrix(const std::string& name, uint64_t cols, uint64_t rows, DType wanted, double spread) {
    const DType type = ForColumns(wanted, cols);
    std::normal_distribution<float> normal(0.0f, static_cast<float>(spread));
    const size_t row_bytes = tensor::RowBytes(type, cols);
    std::vector<float> row(cols);
    std::vector<uint8_t> data(rows * row_bytes);
    for (uint64_t r = 0; r < rows; ++r) {
      for (float& weight : row) weight = normal(rng_);
      tensor::QuantizeRow(type, row.data(), cols, data.data() + r * row_bytes);
    }
    writer_.AddTensor(name, type, {cols, rows}, data);
  }

  // (n) norm weights around 1.
  void AddNorm(const std::string& name, uint64_t n) { AddVector(name, n, 1.0f); }

  // (n) floats around a mean.
  void AddVector(const std::string& name, uint64_t n, float mean) {
    std::normal_distribution<float> normal(mean, 0.1f);
    std::vector<float> weights(n);
    for (float& weight : weights) weight = normal(rng_);
    std::vector<uint8_t> data(n * sizeof(float));
    tensor::QuantizeRow(DType::kF32, weights.data(), n, data.data());
    writer_.AddTensor(name, DType::kF32, {n}, data);
  }

  const TinyModelOptions& o_;
  std::mt19937_64 rng_;
  Writer writer_;
};

}  // namespace

std::vector<uint8_t> MakeTinyModel(const TinyModelOptions& options) { return TinyModel(options).Make(); }

}  // namespace tenfold::gguf
