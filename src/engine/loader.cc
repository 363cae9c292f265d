#include "engine/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>

#include "base/log.h"
#include "engine/pool_plan.h"
#include "gguf/model_file.h"
#include "gguf/split.h"
#include "kernels/attention.h"
#include "kv/block_pool.h"
#include "platform/available_memory.h"
#include "platform/memory.h"
#include "platform/memory_lock.h"
#include "sched/scheduler.h"

namespace tenfold::engine {
namespace {

constexpr double kReadShare = 0.5;  // of the load, where the file is read before its weights are packed

double GiB(uint64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0); }

// "weights in memory: Q4_K 1.90 GiB, Q6_K 0.51 GiB, F32 0.00 GiB"
std::string WeightsText(const gguf::File& file) {
  std::string text;
  for (const model::TypeBytes& use : model::BytesByType(file)) {
    text += fmt::format("{}{} {:.2f} GiB", text.empty() ? "" : ", ", tensor::NameOf(use.type), GiB(use.bytes));
  }
  return "weights in memory: " + text;
}

Result<kernels::Isa> ChosenIsa(const Options& options) {
  return kernels::ChooseIsa(options.isa.empty() ? std::getenv("TENFOLD_ISA") : options.isa.c_str());
}

Status CheckContext(const Options& options, const model::Config& config) {
  if (options.max_context <= config.train_context) return {};
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("a context of {} was asked for (-c), but the model was trained for {}", options.max_context,
                           config.train_context)};
}

// What the largest step takes: all the tokens it may have, of which at most so many want logits.
uint64_t LargestStepBytes(const Options& options, const model::Config& config, const gguf::File& file,
                          int64_t step_tokens, int64_t context) {
  std::vector<tensor::DType> types;  // of matrices: vectors meet no activations
  for (const gguf::TensorInfo& tensor : file.tensors()) {
    if (tensor.dims.size() > 1) types.push_back(tensor.type);
  }
  const int64_t logit_rows = std::min(step_tokens, options.max_running + sched::Limits{}.max_scored_tokens);
  const auto precision = options.exact ? kernels::Precision::kExact : kernels::Precision::kFast;
  return model::Step::BytesFor(config, types, precision,
                               {.tokens = step_tokens,
                                .rows = std::min(step_tokens, options.max_running),
                                .logit_rows = logit_rows,
                                .context = context});
}

// `returning_bytes`: memory that packing the weights will give back.
Result<PoolPlan> ChosenPool(const Options& options, const model::Config& config, const gguf::File& file,
                            uint64_t weight_bytes, uint64_t returning_bytes) {
  const uint64_t free_bytes = platform::AvailableMemoryBytes();
  // No step has more tokens than all running requests together.
  const int64_t context =
      options.max_context > 0 ? options.max_context : std::min(config.train_context, kDefaultMaxContext);
  const int64_t step_tokens = std::min(options.max_step_tokens, context * options.max_running);
  return PlanPool({.page_bytes = model::KvStore::PageBytes(config, options.kv_format),
                   .asked_bytes = options.kv_bytes,
                   .available_bytes = free_bytes == 0 ? 0 : free_bytes + returning_bytes,
                   .weight_bytes = weight_bytes,
                   .step_bytes = LargestStepBytes(options, config, file, step_tokens, context),
                   .step_tokens = step_tokens,
                   .asked_context = options.max_context,
                   .default_context = std::min(config.train_context, kDefaultMaxContext),
                   .max_running = options.max_running});
}

uint64_t CountParameters(const gguf::File& file) {
  uint64_t total = 0;
  for (const gguf::TensorInfo& tensor : file.tensors()) {
    uint64_t elems = 1;
    for (const uint64_t dim : tensor.dims) elems *= dim;  // gguf/ has checked that this does not overflow
    total += elems;
  }
  return total;
}

uint64_t TensorBytes(const gguf::File& file) {
  uint64_t total = 0;
  for (const gguf::TensorInfo& tensor : file.tensors()) total += tensor.size_bytes;
  return total;
}

Result<std::shared_ptr<ModelInfo>> DescribeModel(const Options& options, const gguf::File& file,
                                                 const model::Config& config, uint64_t file_bytes) {
  auto info = std::make_shared<ModelInfo>();
  info->name = ModelName(options);
  info->path = options.model_path;
  info->architecture = config.architecture;
  TENFOLD_TRY(info->description, file.GetStringOr("general.name", ""));
  TENFOLD_TRY(info->chat_template, file.GetStringOr("tokenizer.chat_template", ""));
  info->file_bytes = file_bytes;
  info->parameters = CountParameters(file);
  info->train_context = config.train_context;
  info->embedding_length = config.d_model;
  info->created_unix_s = static_cast<int64_t>(std::time(nullptr));
  TENFOLD_TRY(info->tokenizer, tokenizer::Tokenizer::FromGguf(file));
  if (info->tokenizer->vocab_size() > config.vocab_size) {
    return Error{ErrorCode::kCorrupt,
                 fmt::format("tokenizer.ggml.tokens has {} entries, but tensor token_embd.weight only {} rows",
                             info->tokenizer->vocab_size(), config.vocab_size)};
  }
  info->vocab_size = info->tokenizer->vocab_size();
  return info;
}

void LockWeights(const model::Model& model, Optimization& optimization) {
  const platform::HugeBuffer& arena = model.weights().arena;
  const platform::LockResult lock = platform::LockMemory({arena.data(), arena.size()});
  optimization.mlock_got = lock.reason.empty();
  optimization.mlock_locked_bytes = lock.locked_bytes;
  optimization.mlock_reason = lock.reason;
  if (lock.reason.empty()) {
    Log(LogLevel::kInfo, fmt::format("mlock: all {:.2f} GiB of weights are locked in memory", GiB(lock.locked_bytes)));
  } else {
    Log(LogLevel::kWarn, fmt::format("mlock: {}", lock.reason));
  }
}

// What the kernel gave, which is not always what it was asked for. Keys and values get theirs when they are first
// written.
void ReportHugePages(const model::Model& model, Optimization& optimization) {
  const platform::HugeBuffer& arena = model.weights().arena;
  optimization.huge_page_bytes = platform::HugePageBytes({arena.data(), arena.size()});
  std::string why;
  if (!platform::HugePagesAllowed()) {
    why = " (--no-huge-pages, or /sys/kernel/mm/transparent_hugepage/enabled: `madvise` there lets tenfold have them)";
  } else if (optimization.huge_page_bytes < arena.size() / 10 * 9) {
    why = " (memory is too scattered for more)";
  }
  Log(why.empty() ? LogLevel::kInfo : LogLevel::kWarn,
      fmt::format("huge pages: {:.2f} of {:.2f} GiB of weights{}", GiB(optimization.huge_page_bytes), GiB(arena.size()),
                  why));
}

// One token through every layer: pages in the last of the memory, so that the first request does not pay for it, and
// finds weights that are no numbers before a user does.
Status WarmUp(model::Model& model) {
  const int32_t token[] = {0};
  const int32_t page[] = {0};
  const model::StepRow rows[] = {{token, 0, 0, page}};
  model.Forward(rows);
  const std::span<const float> logits = model.Logits(0);
  if (std::any_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); })) return {};
  return Error{ErrorCode::kCorrupt,
               "the first computed token has no finite logit: the weights are damaged, fetch the file again"};
}

// Read instead of mapped, the file is there as a whole before the first tensor is packed: about half of the load.
Result<gguf::ModelFile> OpenModel(const Options& options, const LoadReport& report) {
  if (options.mmap) return gguf::ModelFile::Open(options.model_path);
  double shown = 0;  // never goes back where a second part begins
  return gguf::ModelFile::Open(options.model_path, [&](const std::string& path) {
    return platform::MappedFile::Read(path, [&](uint64_t done, uint64_t total) {
      shown = std::max(shown, kReadShare * static_cast<double>(done) / static_cast<double>(total));
      return report("reading file", shown);
    });
  });
}

Result<LoadedModel> LoadFrom(const Options& options, platform::ThreadPool& pool, const LoadReport& report) {
  report("reading metadata", 0);
  TENFOLD_TRY(const kernels::Isa isa, ChosenIsa(options));
  TENFOLD_TRY(const gguf::ModelFile model_file, OpenModel(options, report));
  const gguf::File& file = model_file.file();
  TENFOLD_TRY(const model::Config config, model::ReadConfig(file));
  TENFOLD_TRY_STATUS(model::CheckTensors(file, config));  // before anything is sized by what the metadata claims
  TENFOLD_TRY_STATUS(CheckContext(options, config));

  const double begun = options.mmap ? 0 : kReadShare;
  report("building tokenizer", begun);
  TENFOLD_TRY(std::shared_ptr<ModelInfo> info, DescribeModel(options, file, config, model_file.size_bytes()));

  LoadedModel loaded;
  TENFOLD_TRY(const uint64_t weight_bytes, model::WeightBytes(file, config));  // some types grow when they are packed
  TENFOLD_TRY(const PoolPlan pool_plan,
              ChosenPool(options, config, file, weight_bytes, options.mmap ? 0 : TensorBytes(file)));
  Log(pool_plan.shortened ? LogLevel::kWarn : LogLevel::kInfo, pool_plan.text);
  loaded.kv_pages = pool_plan.pages;
  info->max_context = pool_plan.context;
  const model::ModelOptions model_options{isa, options.exact ? kernels::Precision::kExact : kernels::Precision::kFast,
                                          options.kv_format};
  TENFOLD_TRY(
      loaded.model,
      model::Model::Load(model_file, config, model_options, loaded.kv_pages, pool, [&](uint64_t done, uint64_t total) {
        const double share = total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
        return report("packing weights", begun + (1 - begun) * share);
      }));
  Log(LogLevel::kInfo, WeightsText(file));
  const platform::HugeBuffer& arena = loaded.model->weights().arena;
  loaded.optimization = {.isa = std::string(kernels::NameOf(isa)),
                         .threads = pool.threads(),
                         .placement = {},  // the engine's
                         .n_ctx = info->max_context,
                         .n_batch = options.max_step_tokens,
                         .parallel = options.max_running,
                         .exact = options.exact,
                         .mmap = options.mmap,
                         .mlock_asked = options.mlock,
                         .mlock_reason = "",
                         .huge_pages = arena.asked_huge_pages() && platform::HugePagesAllowed(),
                         .weight_bytes = arena.size(),
                         .cache_type_k = std::string(kernels::NameOf(options.kv_format.k)),
                         .cache_type_v = std::string(kernels::NameOf(options.kv_format.v)),
                         .kv_bytes = loaded.model->kv().buffer().size(),
                         .prefix_cache = options.prefix_cache,
                         .kv_tokens = int64_t{loaded.kv_pages} * kv::kPageTokens};
  if (options.mlock) {
    report("locking memory", 1);
    LockWeights(*loaded.model, loaded.optimization);
  }
  ReportHugePages(*loaded.model, loaded.optimization);
  report("warming up", 1);
  TENFOLD_TRY_STATUS(WarmUp(*loaded.model));
  for (tokenizer::TokenId id = 0; id < info->tokenizer->vocab_size(); ++id) {
    if (info->tokenizer->IsEndOfGeneration(id)) loaded.end_tokens.push_back(id);
  }
  loaded.info = std::move(info);
  return loaded;
}

}  // namespace

std::string ModelName(const Options& options) {
  if (!options.alias.empty()) return options.alias;
  std::string name = options.model_path.substr(options.model_path.find_last_of('/') + 1);
  if (const auto part = gguf::ParsePartName(name)) return std::string(part->stem);
  if (name.size() > 5 && name.ends_with(".gguf")) name.resize(name.size() - 5);
  return name;
}

Result<LoadedModel> LoadModel(const Options& options, platform::ThreadPool& pool, const LoadReport& report) {
  auto loaded = LoadFrom(options, pool, report);
  if (loaded.ok()) return loaded;
  Error error = std::move(loaded).error();
  // One place gives every load error its file name; errors of open() have it already.
  if (error.message.find(fmt::format("'{}'", options.model_path)) == std::string::npos) {
    error.message = fmt::format("{}: {}", options.model_path, error.message);
  }
  return error;
}

}  // namespace tenfold::engine
