#include "inspect/inspection.h"

#include <algorithm>
#include <map>

#include "chat/tool_format.h"
#include "gguf/quote.h"
#include "kernels/matmul.h"
#include "kv/block_pool.h"
#include "kv/pool_size.h"
#include "model/config.h"
#include "model/kv_store.h"
#include "model/weights.h"
#include "platform/available_memory.h"
#include "platform/memory.h"
#include "tokenizer/tokenizer.h"

namespace tenfold::inspect {
namespace {

constexpr int64_t kContexts[] = {1024, 4096, 8192, 16384, 32768, 131072};

// A name from the file as it is where it is harmless, quoted otherwise.
std::string Tame(const std::string& text) {
  const std::string quoted = gguf::Quote(text);
  return quoted == '"' + text + '"' ? text : quoted;
}

// A string of the metadata; "" where it is missing or of another type (whoever needs it says so).
std::string Text(const gguf::File& file, std::string_view key) {
  const auto text = file.GetStringOr(key, "");
  return text.ok() ? text.value() : "";
}

std::vector<TypeUse> TypesOf(const gguf::File& file, kernels::Isa isa) {
  std::map<tensor::DType, TypeUse> by_type;
  std::map<tensor::DType, bool> has_matrix;
  for (const gguf::TensorInfo& tensor : file.tensors()) {
    TypeUse& use = by_type[tensor.type];
    uint64_t elements = 1;
    for (const uint64_t dim : tensor.dims) elements *= dim;  // gguf/ has checked that this does not overflow
    ++use.tensors;
    use.elements += elements;
    use.file_bytes += tensor.size_bytes;
    has_matrix[tensor.type] = has_matrix[tensor.type] || tensor.dims.size() > 1;
  }
  for (const model::TypeBytes& in_memory : model::BytesByType(file))
    by_type[in_memory.type].memory_bytes = in_memory.bytes;
  std::vector<TypeUse> types;
  for (auto& [type, use] : by_type) {
    use.type = tensor::NameOf(type);
    use.computable = tensor::IsComputable(type);
    if (use.computable && has_matrix[type]) {
      const kernels::KernelNames names = kernels::KernelNamesOf(isa, type);
      use.direct_kernel = names.direct;
      use.panel_kernel = names.panel;
      use.panel_min_tokens = names.panel_min_tokens;
    }
    types.push_back(std::move(use));
  }
  std::stable_sort(types.begin(), types.end(),
                   [](const TypeUse& a, const TypeUse& b) { return a.file_bytes > b.file_bytes; });
  return types;
}

// The server's own rule (engine/pool_plan.h): what the weights leave less a margin, and one context where the whole
// rest holds one.
std::vector<Fit> FitsOf(const model::Config& config, uint64_t weight_bytes, const Machine& machine) {
  std::vector<int64_t> contexts;
  for (const int64_t context : kContexts) {
    if (context < config.train_context) contexts.push_back(context);
  }
  contexts.push_back(config.train_context);
  const uint64_t page_bytes = model::KvStore::PageBytes(config, machine.kv_format);
  const uint64_t left = machine.available_bytes > weight_bytes ? machine.available_bytes - weight_bytes : 0;
  std::vector<Fit> fits;
  for (const int64_t context : contexts) {
    const uint64_t bytes = static_cast<uint64_t>(kv::PagesFor(context)) * page_bytes;
    const int64_t users = static_cast<int64_t>(std::max<uint64_t>(kv::PoolBytes(left) / bytes, bytes <= left ? 1 : 0));
    fits.push_back({context, bytes, users});
  }
  return fits;
}

// What needs a configuration that we understand.
void InspectModel(const gguf::File& file, const Machine& machine, Inspection& out) {
  const auto config = model::ReadConfig(file);
  if (!config.ok()) {
    out.unsupported.push_back(config.error().message);
    return;
  }
  out.context_length = config->train_context;
  out.kv_bytes_per_token =
      model::KvStore::PageBytes(*config, machine.kv_format) / static_cast<uint64_t>(kv::kPageTokens);
  const auto weight_bytes = model::WeightBytes(file, *config);
  if (!weight_bytes.ok()) {
    out.unsupported.push_back(weight_bytes.error().message);
    return;
  }
  out.weight_bytes = weight_bytes.value();
  if (machine.available_bytes > 0) out.fits = FitsOf(*config, *out.weight_bytes, machine);
}

void InspectTokenizer(const gguf::File& file, Inspection& out) {
  out.tokenizer_model = Tame(Text(file, "tokenizer.ggml.model"));
  out.tokenizer_pre = Tame(Text(file, "tokenizer.ggml.pre"));
  const auto tokens = file.GetStrings("tokenizer.ggml.tokens");
  if (tokens.ok()) out.vocabulary = tokens.value()->size();
  const auto tokenizer = tokenizer::Tokenizer::FromGguf(file);
  if (!tokenizer.ok()) out.unsupported.push_back(tokenizer.error().message);
}

}  // namespace

Machine ThisMachine(kernels::Isa isa, const kernels::KvFormat& kv_format) {
  return {.cpu = platform::DetectCpu().model_name,
          .available_bytes = platform::AvailableMemoryBytes(),
          .isa = isa,
          .cpus = platform::DetectCpuBudget(),
          .huge_pages = platform::HugePagesAllowed(),
          .lock = platform::DetectLockAllowance(),
          .kv_format = kv_format};
}

Inspection Inspect(const gguf::ModelFile& model, const std::string& path, const Machine& machine) {
  const gguf::File& file = model.file();
  Inspection out;
  out.path = path;
  out.parts = model.parts();
  out.file_bytes = model.size_bytes();
  out.architecture = Tame(Text(file, "general.architecture"));
  out.name = Tame(Text(file, "general.name"));
  out.types = TypesOf(file, machine.isa);
  for (const TypeUse& use : out.types) out.parameters += use.elements;
  const auto context = file.GetUintOr(Text(file, "general.architecture") + ".context_length", 0);
  if (context.ok() && context.value() > 0 && context.value() < (uint64_t{1} << 62)) {
    out.context_length = static_cast<int64_t>(context.value());
  }
  const std::string chat_template = Text(file, "tokenizer.chat_template");
  out.has_chat_template = !chat_template.empty();
  out.tool_format = chat::ToolFormatName(chat::DetectToolFormat(chat_template));
  InspectModel(file, machine, out);
  InspectTokenizer(file, out);
  return out;
}

}  // namespace tenfold::inspect
