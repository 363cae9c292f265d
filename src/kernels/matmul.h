// Matrix products of quantised weights with a batch of activations, as a list of work items that any number of threads
// may take in any order.
//
// What it does: quantises activations once per input, splits every product of a phase (Q, K and V; gate and up) into
// items of whole weight panels. What it does not: own threads; model/ hands the items to the pool.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/isa.h"
#include "kernels/packed_matrix.h"

namespace tenfold::kernels {

struct Records;  // activations.h, private

// Which of two roundings products use. kExact: weights unpacked exactly, results independent of batch size and
// neighbours; with activations prepared as kExact, also nearly free of activation rounding. kFast: from
// PanelMinTokens() tokens on, K-quant weights are requantised to int8 panels in cache (faster, NMSE <= 5e-5 against
// exact).
enum class Precision { kFast, kExact };
// Token count from which kFast takes the panel path.
int64_t PanelMinTokens(Isa isa, tensor::DType format);

// What computes with weights of a type, for reports. direct, panel: names, "" where there is none.
struct KernelNames {
  std::string_view direct;
  std::string_view panel;
  int64_t panel_min_tokens = 0;
};
KernelNames KernelNamesOf(Isa isa, tensor::DType format);

// Activations as the kernels of one weight format want them (int8 with scales and sums, or plain float).
// Owns and reuses its memory between steps. Shape (tokens, cols).
class Activations {
 public:
  Activations();
  ~Activations();
  Activations(Activations&&) noexcept;
  Activations& operator=(Activations&&) noexcept;

  // Makes room for `tokens` rows of `cols` for all the weight formats in `formats`; then Quantize may be called once
  // for each token, from any thread, and is done with x when it returns. x: (tokens, cols) floats, row stride x_stride
  // elements, filled by the time Quantize runs.
  // kExact keeps every activation in two int8 planes, the second holding what the first left over: twice the
  // multiplications, 1/250 of the rounding. (F16 and F32 weights meet float activations either way.)
  void Prepare(Isa isa, std::span<const tensor::DType> formats, const float* x, int64_t x_stride, int64_t tokens,
               int64_t cols, Precision precision = Precision::kFast);
  // Quantises tokens [begin, end). Any thread; different tokens concurrently.
  void Quantize(int64_t begin, int64_t end);
  // The same for columns [first, first + cols) of them, first a multiple of kBlockColumns, as is cols unless it reaches
  // the last column. Each part of a row once, before anybody reads it.
  static constexpr int64_t kBlockColumns = 256;
  void QuantizeColumns(int64_t begin, int64_t end, int64_t first, int64_t cols);

  // The memory that Prepare takes for this, where there was none; and what this object holds now.
  static size_t BytesFor(std::span<const tensor::DType> formats, int64_t tokens, int64_t cols, Precision precision);
  size_t reserved_bytes() const;

  int64_t tokens() const;
  int64_t cols() const;
  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// What happens to a finished output element. kStore: y = v.  kAdd: y += v.
// kSiluMul: needs w2; y = silu(w . x) * (w2 . x), for gated feed-forward layers.
enum class Epilogue { kStore, kAdd, kSiluMul };

// One product: y[t][r] (=, +=) sum_c w[r][c] * x[rows[t]][c].
struct MatmulJob {
  const PackedMatrix* w = nullptr;
  const PackedMatrix* w2 = nullptr;       // kSiluMul only: same shape as w (the format may differ)
  const Activations* x = nullptr;         // quantised by the time items run
  std::span<const int32_t> token_rows{};  // rows of x to use; empty means all of them in order
  float* y = nullptr;                     // (n_tokens, w->rows), row stride y_stride elements
  int64_t y_stride = 0;
  Epilogue epilogue = Epilogue::kStore;
  // Prepared over y, for the product that comes next: whoever finishes the last of a block's columns quantises them,
  // while they lie in its cache. Null: nobody does.
  Activations* next = nullptr;
};

// The items of one phase. Build once per phase, then run every item exactly once.
class MatmulPlan {
 public:
  MatmulPlan();
  ~MatmulPlan();
  MatmulPlan(MatmulPlan&&) noexcept;
  MatmulPlan& operator=(MatmulPlan&&) noexcept;

  // `threads`: how many workers will share the items (only the size of items depends on it, never a result).
  // Jobs are copied; what they point to must outlive the plan's use.
  void Build(Isa isa, Precision precision, std::span<const MatmulJob> jobs, int threads);
  int64_t item_count() const { return static_cast<int64_t>(items_.size()); }
  // scratch: ScratchBytes() bytes, 64-byte aligned, private to the calling thread. Different items may run
  // concurrently.
  void RunItem(int64_t item, uint8_t* scratch) const;
  size_t ScratchBytes() const { return scratch_bytes_; }

 private:
  struct Side;
  struct Prepared;
  struct RecordsView;
  struct Item {
    int32_t job;
    int32_t panel_begin;
    int32_t panel_end;
    int32_t token_begin;  // of the job's tokens
    int32_t token_end;
  };
  void PrepareJob(Precision precision, const MatmulJob& job);
  void CutItems(int threads);
  void CountUnfinished();
  static RecordsView View(const Prepared& p, const Records& records, int64_t first, int64_t tokens, uint8_t* gathered);
  // Panels [begin, end), at most run_tiles tiles, times `tokens` tokens from the job's token `first` on.
  void RunTiles(const Prepared& p, int64_t begin, int64_t end, int64_t first, int64_t tokens, RecordsView view,
                RecordsView view2, uint8_t* scratch) const;
  void QuantizeFinished(const Prepared& p, const Item& item) const;

  Isa isa_ = Isa::kScalar;
  std::vector<Prepared> jobs_;
  std::vector<Item> items_;
  size_t scratch_bytes_ = 0;
  // Panels still to come of each (block of columns, run of tokens) of the jobs that have a `next`.
  std::unique_ptr<std::atomic<int32_t>[]> unfinished_;
  size_t unfinished_capacity_ = 0;
};

}  // namespace tenfold::kernels
