#include "model/attention_plan.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "model/step.h"

namespace tenfold::model {
namespace {

// Query tokens of an item: with 4 query heads to a KV head, 128 query rows share one read of K and V; or where K and V
// are converted as well as read, 256, as long as there are enough items.
constexpr int64_t kMostTokens = 32;
constexpr int64_t kMostTokensInt16 = 64;
// Query rows of an item: what they need of scratch stays in the second-level cache.
constexpr int64_t kMostRows = 128;
// Tokens times chunks of a row that is computed in parts. Longer prompts have enough blocks of tokens to go round, and
// a part of 32 query heads of 128 takes 20 KB for each token.
constexpr int64_t kMostTokenParts = 256;
// With fewer items for each thread than this the KV heads of an item are divided: the last item of a phase is what the
// other threads wait for.
constexpr int64_t kItemsPerThread = 4;

}  // namespace

kernels::AttendArithmetic AttentionPlan::ArithmeticOf(const Config& config, const kernels::KvFormat& format,
                                                      kernels::Precision precision, int64_t tokens) {
  const bool halves = format.k == kernels::KvType::kF16 && format.v == kernels::KvType::kF16;
  const bool many = tokens * (config.n_heads / config.n_kv_heads) >= kernels::kInt16Rows;
  return precision == kernels::Precision::kFast && halves && many ? kernels::AttendArithmetic::kInt16
                                                                  : kernels::AttendArithmetic::kFloat;
}

void AttentionPlan::Build(const Config& config, const kernels::KvFormat& format, kernels::Precision precision,
                          std::span<const StepRow> rows, int threads) {
  int64_t most_tokens = kMostTokensInt16;
  for (int64_t most_heads = config.n_kv_heads;;) {
    items_.clear();
    joins_.clear();
    part_lines_ = 0;
    scratch_bytes_ = 0;
    int64_t token = 0;
    for (const StepRow& row : rows) {
      AddRow(config, format, precision, row, token, most_heads, most_tokens);
      token += static_cast<int64_t>(row.tokens.size());
    }
    if (item_count() >= kItemsPerThread * threads) break;
    if (most_tokens > kMostTokens) {
      most_tokens = kMostTokens;
    } else if (most_heads > 1) {
      most_heads = (most_heads + 1) / 2;
    } else {
      break;
    }
  }
  if (parts_.size() < part_lines_) {
    parts_ = {};  // the smaller ones do not stay beside the larger
    parts_.resize(part_lines_);
  }
  // The longest work first: a prompt's last blocks see the most positions.
  std::stable_sort(items_.begin(), items_.end(), [](const Item& a, const Item& b) { return a.cost > b.cost; });
}

uint64_t AttentionPlan::PartBytesFor(const Config& config, int64_t context, int64_t tokens, int64_t rows) {
  kernels::AttendItem shape;
  shape.first_position = std::max<int64_t>(context, 1) - 1;
  shape.n_heads = config.n_heads / config.n_kv_heads;
  shape.head_dim = config.head_dim;
  const int64_t chunks = kernels::AttendChunks(shape);
  if (chunks == 1) return 0;
  // Of one token, chunk and KV head: what an item of several takes is rounded up less often.
  const auto part = kernels::AttendPartFloats(shape) * sizeof(float) * static_cast<uint64_t>(config.n_kv_heads);
  return part * static_cast<uint64_t>(std::min(tokens * chunks, rows * kMostTokenParts));
}

void AttentionPlan::AddRow(const Config& config, const kernels::KvFormat& format, kernels::Precision precision,
                           const StepRow& row, int64_t first_token, int64_t most_heads, int64_t most_tokens) {
  const auto count = static_cast<int64_t>(row.tokens.size());
  const kernels::AttendArithmetic arithmetic = ArithmeticOf(config, format, precision, count);
  if (arithmetic != kernels::AttendArithmetic::kInt16) most_tokens = kMostTokens;
  for (int64_t first = 0; first < count; first += most_tokens) {
    Item item;
    item.first_token = first_token + first;
    kernels::AttendItem& shape = item.shape;
    shape.pages.page_ids = row.page_ids;
    shape.pages.format = format;    // scratch depends on it
    shape.arithmetic = arithmetic;  // and on this
    shape.first_position = row.first_position + first;
    shape.n_tokens = std::min(most_tokens, count - first);
    shape.n_heads = config.n_heads / config.n_kv_heads;
    shape.head_dim = config.head_dim;
    shape.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(config.head_dim)));
    shape.q_stride = shape.out_stride = config.n_heads * config.head_dim;
    const int64_t heads = std::clamp<int64_t>(kMostRows / (shape.n_tokens * shape.n_heads), 1, most_heads);
    for (int64_t head = 0; head < config.n_kv_heads; head += heads) {
      item.kv_head = head;
      shape.kv_heads = std::min(heads, config.n_kv_heads - head);
      AddItem(item, static_cast<int64_t>(row.tokens.size()));
    }
  }
}

// The item whole, or as its chunks.
void AttentionPlan::AddItem(const Item& whole, int64_t row_tokens) {
  Item item = whole;
  const int64_t chunks = kernels::AttendChunks(item.shape);
  scratch_bytes_ = std::max(scratch_bytes_, kernels::AttendScratchBytes(item.shape));
  const int64_t rows = item.shape.kv_heads * item.shape.n_tokens;
  item.cost = rows * (item.shape.first_position + item.shape.n_tokens);
  if (chunks == 1 || row_tokens * chunks > kMostTokenParts) {
    items_.push_back(item);
    return;
  }
  item.join = joins_.size();
  joins_.push_back({static_cast<int32_t>(chunks), static_cast<int32_t>(chunks), part_lines_});
  part_lines_ += static_cast<size_t>(chunks) * kernels::AttendPartFloats(item.shape) / 16;
  const int64_t length = item.shape.first_position + item.shape.n_tokens;
  for (item.chunk = 0; item.chunk < chunks; ++item.chunk) {
    item.cost = rows * std::min(kernels::kChunkTokens, length - item.chunk * kernels::kChunkTokens);
    items_.push_back(item);
  }
}

void AttentionPlan::RunItem(int64_t i, kernels::Isa isa, const KvStore& kv, int64_t layer, const float* q, float* out,
                            uint8_t* scratch) {
  const Item& item = items_[static_cast<size_t>(i)];
  kernels::AttendItem attend = item.shape;
  attend.pages = kv.Pages(layer, item.kv_head, item.shape.pages.page_ids);
  const int64_t offset = item.first_token * attend.q_stride + item.kv_head * attend.n_heads * attend.head_dim;
  attend.q = q + offset;
  attend.out = out + offset;
  if (item.chunk == kWhole) return kernels::Attend(isa, attend, scratch);
  Join& join = joins_[item.join];
  float* const parts = parts_[join.first_line].floats;
  kernels::AttendChunk(isa, attend, item.chunk, parts, scratch);
  // Releases this part, and acquires the others' where it was the last.
  if (std::atomic_ref<int32_t>(join.left).fetch_sub(1, std::memory_order_acq_rel) > 1) return;
  kernels::MergeChunks(isa, attend, parts);
  join.left = join.chunks;  // for the next layer
}

}  // namespace tenfold::model
