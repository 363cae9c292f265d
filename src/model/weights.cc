#include "model/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "base/checked_math.h"
#include "gguf/quote.h"
#include "model/pack_tensors.h"
#include "tensor/dequantize.h"

namespace tenfold::model {
namespace {

using kernels::PackedMatrix;

std::string ShapeText(const std::vector<uint64_t>& dims) { return fmt::format("[{}]", fmt::join(dims, ", ")); }

// Collects bindings and remembers the first thing that is wrong.
class Binder {
 public:
  explicit Binder(const gguf::File& file) : file_(file) {}

  void Matrix(const std::string& name, int64_t rows, int64_t cols, PackedMatrix* target) {
    const gguf::TensorInfo* tensor = Find(name, {static_cast<uint64_t>(cols), static_cast<uint64_t>(rows)});
    if (tensor == nullptr) return;
    *target = PackedMatrix{tensor->type, rows, cols, nullptr};
    bindings_.push_back({tensor, target, nullptr, 0, kernels::PackedBytes(tensor->type, rows, cols)});
  }

  void Vector(const std::string& name, int64_t elems, const float** target) {
    const gguf::TensorInfo* tensor = Find(name, {static_cast<uint64_t>(elems)});
    if (tensor == nullptr) return;
    bindings_.push_back({tensor, nullptr, target, 0, static_cast<size_t>(elems) * sizeof(float)});
  }

  // An unbound tensor means a model that computes more than we do.
  Status Finish() const {
    if (!error_.message.empty()) return error_;
    for (const gguf::TensorInfo& tensor : file_.tensors()) {
      if (!bound_.contains(tensor.name)) {
        return Error{
            ErrorCode::kUnsupported,
            fmt::format("tensor {} is not part of this architecture as tenfold computes it", gguf::Quote(tensor.name))};
      }
    }
    return {};
  }

  std::vector<Binding>& bindings() { return bindings_; }
  const gguf::File& file() const { return file_; }

 private:
  const gguf::TensorInfo* Find(const std::string& name, const std::vector<uint64_t>& dims) {
    bound_.insert(name);
    const gguf::TensorInfo* tensor = file_.FindTensor(name);
    if (!error_.message.empty()) return nullptr;
    if (tensor == nullptr) {
      error_ = {ErrorCode::kCorrupt, fmt::format("tensor {} is missing", name)};
    } else if (tensor->dims != dims) {
      error_ = {ErrorCode::kCorrupt, fmt::format("tensor {} has shape {}, the metadata asks for {}", name,
                                                 ShapeText(tensor->dims), ShapeText(dims))};
      return nullptr;
    } else if (!tensor::IsComputable(tensor->type)) {
      error_ = {ErrorCode::kUnsupported, fmt::format("tensor {} has type {}: supported are {}", name,
                                                     tensor::NameOf(tensor->type), tensor::ComputableTypeNames())};
      return nullptr;
    }
    return tensor;
  }

  const gguf::File& file_;
  std::vector<Binding> bindings_;
  std::set<std::string, std::less<>> bound_;
  Error error_;
};

bool IsTied(const gguf::File& file) { return file.FindTensor("output.weight") == nullptr; }

// A qwen2 without its biases is damaged; a llama may have any of them (its q and k rows, and so these biases, lie in
// the order that interleaved rotation wants). Biases of other tensors stay unbound and are refused by name.
void BindBiases(const Config& c, Binder& b, const std::string& p, LayerWeights& l) {
  const int64_t q_width = c.n_heads * c.head_dim;
  const int64_t kv_width = c.n_kv_heads * c.head_dim;
  const auto bind = [&](const std::string& name, bool needed, int64_t elems, const float** target) {
    if (needed || b.file().FindTensor(name) != nullptr) b.Vector(name, elems, target);
  };
  const bool needed = c.architecture == "qwen2";
  if (!needed && c.architecture != "llama") return;
  bind(p + "attn_q.bias", needed, q_width, &l.q_bias);
  bind(p + "attn_k.bias", needed, kv_width, &l.k_bias);
  bind(p + "attn_v.bias", needed, kv_width, &l.v_bias);
  if (!needed) bind(p + "attn_output.bias", false, c.d_model, &l.attn_bias);
}

Status BindAll(const Config& c, Binder& b, Weights& w) {
  const gguf::File& file = b.file();
  if (static_cast<uint64_t>(c.n_layers) > file.tensors().size()) {
    return Error{ErrorCode::kCorrupt, fmt::format("{}.block_count is {}, but the file has only {} tensors",
                                                  c.architecture, c.n_layers, file.tensors().size())};
  }
  w.layers.resize(static_cast<size_t>(c.n_layers));
  b.Matrix("token_embd.weight", c.vocab_size, c.d_model, &w.embedding);
  b.Vector("output_norm.weight", c.d_model, &w.output_norm);
  if (!IsTied(file)) b.Matrix("output.weight", c.vocab_size, c.d_model, &w.output);
  if (c.architecture == "llama" && file.FindTensor("rope_freqs.weight") != nullptr) {
    b.Vector("rope_freqs.weight", c.n_rot / 2, &w.rope_factors);
  }
  const int64_t q_width = c.n_heads * c.head_dim;
  const int64_t kv_width = c.n_kv_heads * c.head_dim;
  for (int64_t i = 0; i < c.n_layers; ++i) {
    LayerWeights& l = w.layers[static_cast<size_t>(i)];
    const std::string p = fmt::format("blk.{}.", i);
    b.Vector(p + "attn_norm.weight", c.d_model, &l.attn_norm);
    b.Matrix(p + "attn_q.weight", q_width, c.d_model, &l.q);
    b.Matrix(p + "attn_k.weight", kv_width, c.d_model, &l.k);
    b.Matrix(p + "attn_v.weight", kv_width, c.d_model, &l.v);
    b.Matrix(p + "attn_output.weight", c.d_model, q_width, &l.attn_out);
    BindBiases(c, b, p, l);
    if (c.architecture == "qwen3") {
      b.Vector(p + "attn_q_norm.weight", c.head_dim, &l.q_norm);
      b.Vector(p + "attn_k_norm.weight", c.head_dim, &l.k_norm);
    }
    b.Vector(p + "ffn_norm.weight", c.d_model, &l.ffn_norm);
    b.Matrix(p + "ffn_gate.weight", c.d_ff, c.d_model, &l.gate);
    b.Matrix(p + "ffn_up.weight", c.d_ff, c.d_model, &l.up);
    b.Matrix(p + "ffn_down.weight", c.d_model, c.d_ff, &l.down);
  }
  return b.Finish();
}

// Gives each binding its place in the arena; the total, or nothing if it overflows.
std::optional<uint64_t> PlaceAll(std::vector<Binding>& bindings) {
  uint64_t end = 0;
  for (Binding& b : bindings) {
    b.arena_offset = end;
    const auto next = CheckedAdd(end, b.arena_bytes);
    const auto rounded = next ? CheckedRoundUp(*next, 64) : std::nullopt;
    if (!rounded) return std::nullopt;
    end = *rounded;
  }
  return end;
}

// They divide frequencies: a factor below 1e-3 or that is no number would turn text into noise.
Status CheckRopeFactors(const Config& config, const float* factors) {
  if (factors == nullptr) return {};
  for (int64_t i = 0; i < config.n_rot / 2; ++i) {
    if (factors[i] >= 1e-3F && factors[i] <= 1e6F) continue;
    return Error{ErrorCode::kCorrupt, fmt::format("tensor rope_freqs.weight holds {} at {}, expected 0.001 to 1e6: the "
                                                  "file is damaged or its converter was wrong",
                                                  factors[i], i)};
  }
  return {};
}

}  // namespace

Status CheckTensors(const gguf::File& file, const Config& config) {
  Weights weights;
  Binder binder(file);
  return BindAll(config, binder, weights);
}

Result<uint64_t> WeightBytes(const gguf::File& file, const Config& config) {
  Weights weights;
  Binder binder(file);
  TENFOLD_TRY_STATUS(BindAll(config, binder, weights));
  const auto bytes = PlaceAll(binder.bindings());
  if (!bytes) return Error{ErrorCode::kCorrupt, "the tensors together are larger than any memory"};
  return *bytes;
}

std::vector<TypeBytes> BytesByType(const gguf::File& file) {
  std::map<tensor::DType, uint64_t> by_type;
  for (const gguf::TensorInfo& tensor : file.tensors()) {
    if (!tensor::IsComputable(tensor.type)) continue;
    uint64_t elements = 1;
    for (const uint64_t dim : tensor.dims) elements *= dim;  // gguf/ has checked that this does not overflow
    const auto cols = static_cast<int64_t>(tensor.dims[0]);
    by_type[tensor.type] += tensor.dims.size() == 1 || cols == 0
                                ? elements * sizeof(float)
                                : kernels::PackedBytes(tensor.type, static_cast<int64_t>(elements) / cols, cols);
  }
  std::vector<TypeBytes> types;
  for (const auto& [type, bytes] : by_type) types.push_back({type, bytes});
  std::stable_sort(types.begin(), types.end(),
                   [](const TypeBytes& a, const TypeBytes& b) { return a.bytes > b.bytes; });
  return types;
}

Result<Weights> LoadWeights(const gguf::ModelFile& model_file, const Config& config, platform::ThreadPool& pool,
                            const LoadProgress& progress) {
  const gguf::File& file = model_file.file();
  Weights weights;
  Binder binder(file);
  TENFOLD_TRY_STATUS(BindAll(config, binder, weights));

  // In file order, so that the disk sees one forward read.
  std::vector<Binding>& bindings = binder.bindings();
  std::sort(bindings.begin(), bindings.end(), [](const Binding& a, const Binding& b) {
    return std::tie(a.tensor->part, a.tensor->offset_bytes) < std::tie(b.tensor->part, b.tensor->offset_bytes);
  });
  const auto arena_bytes = PlaceAll(bindings);
  if (!arena_bytes) return Error{ErrorCode::kCorrupt, "the tensors together are larger than any memory"};
  TENFOLD_TRY(weights.arena, platform::HugeBuffer::Allocate(*arena_bytes));

  const uint64_t total = model_file.size_bytes();
  const Error cancelled{ErrorCode::kCancelled, "the load was cancelled"};
  if (!progress(0, total)) return cancelled;
  if (!PackTensors(model_file, bindings, weights.arena.data(), pool, progress)) return cancelled;
  if (!progress(total, total)) return cancelled;
  if (IsTied(file)) weights.output = weights.embedding;
  TENFOLD_TRY_STATUS(CheckRopeFactors(config, weights.rope_factors));
  return weights;
}

}  // namespace tenfold::model
