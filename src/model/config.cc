#include "model/config.h"

#include <fmt/format.h>

#include "gguf/quote.h"

namespace tenfold::model {
namespace {

constexpr uint64_t kMaxDimension = uint64_t{1} << 24;  // far above any real model; keeps every later product in range

Error Corrupt(std::string message) { return Error{ErrorCode::kCorrupt, std::move(message)}; }
Error Unsupported(std::string message) { return Error{ErrorCode::kUnsupported, std::move(message)}; }

// A positive dimension, by key.
Result<int64_t> Dimension(const gguf::File& file, const std::string& key) {
  TENFOLD_TRY(const uint64_t value, file.GetUint(key));
  if (value == 0 || value > kMaxDimension) {
    return Corrupt(fmt::format("metadata key {} is {}, expected 1 to {}", key, value, kMaxDimension));
  }
  return static_cast<int64_t>(value);
}

Result<int64_t> DimensionOr(const gguf::File& file, const std::string& key, int64_t fallback) {
  if (file.FindValue(key) == nullptr) return fallback;
  return Dimension(file, key);
}

// Features that change the forward pass and that we do not compute: using the file without them would give wrong text.
Status RefuseUnsupported(const gguf::File& file, const std::string& prefix) {
  for (const char* key : {"expert_count", "attention.sliding_window"}) {
    TENFOLD_TRY(const uint64_t value, file.GetUintOr(prefix + key, 0));
    if (value != 0) return Unsupported(fmt::format("{}{} is {}: this feature is not supported", prefix, key, value));
  }
  for (const char* key : {"attention.scale", "attention.clamp_kqv", "logit_scale"}) {
    if (file.FindValue(prefix + key) != nullptr) return Unsupported(fmt::format("{}{} is not supported", prefix, key));
  }
  return {};
}

Status CheckShapes(const Config& c, const std::string& prefix) {
  if (c.n_heads % c.n_kv_heads != 0) {
    return Corrupt(fmt::format("{0}attention.head_count ({1}) is not a multiple of {0}attention.head_count_kv ({2})",
                               prefix, c.n_heads, c.n_kv_heads));
  }
  if (c.head_dim % 8 != 0 || c.head_dim > 256) {
    return Unsupported(fmt::format("{}attention.key_length is {}: head sizes must be a multiple of 8, at most 256",
                                   prefix, c.head_dim));
  }
  if (c.n_rot % 2 != 0 || c.n_rot > c.head_dim) {
    return Corrupt(fmt::format("{}rope.dimension_count is {}, expected an even number up to the head size {}", prefix,
                               c.n_rot, c.head_dim));
  }
  if (!(c.rms_eps >= 0 && c.rms_eps < 1)) {
    return Corrupt(fmt::format("{}attention.layer_norm_rms_epsilon is {}, expected at least 0 and less than 1", prefix,
                               c.rms_eps));
  }
  // Below 1 the frequencies would grow along a head, beyond what an angle can hold.
  if (!(c.rope_base >= 1 && c.rope_base < 1e15)) {
    return Corrupt(fmt::format("{}rope.freq_base is {}, expected at least 1 and less than 1e15", prefix, c.rope_base));
  }
  return {};
}

}  // namespace

Result<Config> ReadConfig(const gguf::File& file) {
  Config c;
  TENFOLD_TRY(c.architecture, file.GetString("general.architecture"));
  if (c.architecture != "qwen2" && c.architecture != "qwen3" && c.architecture != "llama") {
    return Unsupported(
        fmt::format("general.architecture is {}: supported are qwen2, qwen3 and llama", gguf::Quote(c.architecture)));
  }
  const std::string prefix = c.architecture + ".";
  TENFOLD_TRY_STATUS(RefuseUnsupported(file, prefix));

  TENFOLD_TRY(c.n_layers, Dimension(file, prefix + "block_count"));
  TENFOLD_TRY(c.d_model, Dimension(file, prefix + "embedding_length"));
  TENFOLD_TRY(c.d_ff, Dimension(file, prefix + "feed_forward_length"));
  TENFOLD_TRY(c.n_heads, Dimension(file, prefix + "attention.head_count"));
  TENFOLD_TRY(c.n_kv_heads, DimensionOr(file, prefix + "attention.head_count_kv", c.n_heads));
  TENFOLD_TRY(c.train_context, Dimension(file, prefix + "context_length"));
  if (c.d_model % c.n_heads != 0 && file.FindValue(prefix + "attention.key_length") == nullptr) {
    return Corrupt(fmt::format("{0}embedding_length ({1}) is not a multiple of {0}attention.head_count ({2})", prefix,
                               c.d_model, c.n_heads));
  }
  TENFOLD_TRY(c.head_dim, DimensionOr(file, prefix + "attention.key_length", c.d_model / c.n_heads));
  TENFOLD_TRY(const int64_t value_length, DimensionOr(file, prefix + "attention.value_length", c.head_dim));
  if (value_length != c.head_dim) {
    return Unsupported(fmt::format("{0}attention.value_length ({1}) differs from {0}attention.key_length ({2})", prefix,
                                   value_length, c.head_dim));
  }
  TENFOLD_TRY(c.n_rot, DimensionOr(file, prefix + "rope.dimension_count", c.head_dim));
  TENFOLD_TRY(const double eps, file.GetFloat(prefix + "attention.layer_norm_rms_epsilon"));
  c.rms_eps = static_cast<float>(eps);
  TENFOLD_TRY(c.rope_base, file.GetFloatOr(prefix + "rope.freq_base", 10000.0));
  TENFOLD_TRY_STATUS(CheckShapes(c, prefix));
  TENFOLD_TRY(c.rope_scaling, ReadRopeScaling(file, prefix));
  const double stretched = static_cast<double>(c.rope_scaling.original_context) * c.rope_scaling.factor;
  if (stretched > static_cast<double>(c.train_context) && stretched <= static_cast<double>(kMaxDimension)) {
    c.train_context = static_cast<int64_t>(stretched);
  }

  const gguf::TensorInfo* embedding = file.FindTensor("token_embd.weight");
  if (embedding == nullptr || embedding->dims.size() != 2) {
    return Corrupt("tensor token_embd.weight is missing or is not a matrix");
  }
  if (embedding->dims[1] == 0 || embedding->dims[1] > kMaxDimension) {
    return Corrupt(
        fmt::format("tensor token_embd.weight has {} rows, expected 1 to {}", embedding->dims[1], kMaxDimension));
  }
  c.vocab_size = static_cast<int64_t>(embedding->dims[1]);
  return c;
}

}  // namespace tenfold::model
