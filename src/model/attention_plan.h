// Which thread attends to what: the attention of one step as a list of work items that threads claim one by one.
//
// What it does: cuts each sequence's attention into items and merges what was computed in parts. A prompt becomes
// blocks of tokens for each KV head; a few tokens on a long context become chunks of positions (kernels::kChunkTokens),
// so that one long stream keeps all threads busy. Whoever finishes a stream's last chunk merges them: there is no
// barrier. What it does not: decide any bit of the result. Chunks lie at fixed positions and are merged in order
// whether or not they were separate items, so heads and chunks may be dealt out as the number of threads likes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/attention.h"
#include "kernels/matmul.h"
#include "model/config.h"
#include "model/kv_store.h"

namespace tenfold::model {

struct StepRow;

class AttentionPlan {
 public:
  // The items of a step of these rows for `threads` threads, the same in each layer. The rows' page ids must stay where
  // they are until the last RunItem.
  void Build(const Config& config, const kernels::KvFormat& format, kernels::Precision precision,
             std::span<const StepRow> rows, int threads);
  // How a row of so many tokens is computed, in whatever items: its bits depend on that, and on nothing else here.
  static kernels::AttendArithmetic ArithmeticOf(const Config& config, const kernels::KvFormat& format,
                                                kernels::Precision precision, int64_t tokens);
  int64_t item_count() const { return static_cast<int64_t>(items_.size()); }
  size_t ScratchBytes() const { return scratch_bytes_; }

  // Parts of long contexts, which the threads leave for whoever merges them: what a step of so many rows and tokens
  // takes at most where no position reaches `context`, and what is held now.
  static uint64_t PartBytesFor(const Config& config, int64_t context, int64_t tokens, int64_t rows);
  uint64_t part_bytes() const { return parts_.size() * sizeof(Line); }

  // Computes item i of a layer: out (n, n_heads * head_dim) of its tokens and heads from q, laid out alike, or a part
  // of them. Every item must have run before out is read and before the next layer's begin. Any threads, scratch
  // (ScratchBytes) private to each.
  void RunItem(int64_t i, kernels::Isa isa, const KvStore& kv, int64_t layer, const float* q, float* out,
               uint8_t* scratch);

 private:
  static constexpr int64_t kWhole = -1;
  struct Item {
    kernels::AttendItem shape;  // all but the addresses
    int64_t first_token = 0;    // of the step's tokens
    int64_t kv_head = 0;
    int64_t chunk = kWhole;
    size_t join = 0;
    int64_t cost = 0;
  };
  // Items whose parts belong together.
  struct Join {
    int32_t chunks = 0;
    int32_t left = 0;       // chunks not computed yet in this layer
    size_t first_line = 0;  // of parts_
  };
  struct alignas(64) Line {
    float floats[16];
  };
  void AddRow(const Config& config, const kernels::KvFormat& format, kernels::Precision precision, const StepRow& row,
              int64_t first_token, int64_t most_heads, int64_t most_tokens);
  void AddItem(const Item& item, int64_t row_tokens);

  std::vector<Item> items_;
  std::vector<Join> joins_;
  std::vector<Line> parts_;
  size_t part_lines_ = 0;
  size_t scratch_bytes_ = 0;
};

}  // namespace tenfold::model
