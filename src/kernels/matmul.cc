// Products cut into items, and one item run: tiles of two panels, then the epilogue.
//
// The items of a phase shrink towards its end, so that workers finish together. Sizes come from an estimate of time
// (bytes at memory speed or multiplications, whichever is longer); results never depend on them.
#include "kernels/matmul.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/activations.h"
#include "kernels/attention.h"
#include "kernels/matmul_kernels.h"

namespace tenfold::kernels {
namespace {

// Tokens per pass over a tile: the accumulators of two panels (64 KB) and a column block of records stay in L2.
constexpr int64_t kTokenBlock = 512;
// Gated jobs multiply several tiles with one matrix before they turn to the other, as many as make this many tiles
// times tokens: with few tokens memory is what counts, and a stream that changes place every tile (46 KB) starts anew
// each time.
constexpr int64_t kGatedTileTokens = 128;
// Tokens per pass when their records are gathered into scratch first.
constexpr int64_t kGatherBlock = 64;

// An item is sized to take about this long: long against claiming it (0.1 us), short against a phase.
constexpr double kItemMaxUs = 40;
constexpr double kItemMinUs = 4;
// Tiles (of two panels) per thread that let a phase end evenly; below that, tokens are split too, into runs of at least
// kMinTokenCut (each converts its panels again: 5 % at 128 tokens).
constexpr int64_t kTilesPerThread = 4;
constexpr int64_t kMinTokenCut = 128;
// What one core does, for the estimate alone.
constexpr double kBytesPerUs = 20e3;
constexpr double kMacsPerUs = 400e3;

size_t RoundUpToLine(size_t bytes) { return (bytes + 63) / 64 * 64; }

// c: (tokens, stride c_stride) finished values; the first `n` of each go to y.
// Asking for the lines of y twelve tokens ahead (prefetchw) did not help at 256 tokens: nothing for stores, and
// additions were 1 to 2 % of the product slower.
void Finish(Epilogue epilogue, const float* c, int64_t c_stride, int64_t tokens, int64_t n, float* y,
            int64_t y_stride) {
  for (int64_t t = 0; t < tokens; ++t, c += c_stride, y += y_stride) {
    if (epilogue == Epilogue::kAdd) {
      for (int64_t i = 0; i < n; ++i) y[i] += c[i];
    } else {
      std::memcpy(y, c, static_cast<size_t>(n) * sizeof(float));
    }
  }
}

// c: (tokens, 2, n) products of the two planes of each token; afterwards (tokens, n), their sums.
void AddPlanes(float* c, int64_t tokens, int64_t n) {
  for (int64_t t = 0; t < tokens; ++t) {
    const float* pair = c + 2 * t * n;
    for (int64_t i = 0; i < n; ++i) c[t * n + i] = pair[i] + pair[n + i];
  }
}

}  // namespace

// One matrix of a job and how to multiply with it.
struct MatmulPlan::Side {
  const PackedMatrix* w = nullptr;
  size_t panel_bytes = 0;
  TileFn fn = nullptr;
  const Records* records = nullptr;
};

// A job with everything that RunItem would otherwise look up.
struct MatmulPlan::Prepared {
  MatmulJob job;
  Side first;
  Side second;  // kSiluMul only
  int64_t tokens = 0;
  int64_t token_block = kTokenBlock;
  int64_t first_token = 0;  // of x, when not gathering
  bool gather = false;      // token_rows is no run of consecutive rows
  int64_t run_tiles = 1;    // tiles that are multiplied with one matrix before the other's turn comes
  size_t tile_bytes = 0;    // accumulators of one tile in scratch
  size_t c_bytes = 0;       // of run_tiles tiles; twice, then gather_bytes, also twice
  size_t gather_bytes = 0;  // the records of one token block
  int64_t token_step = 1;   // tokens of an item
  int64_t token_cuts = 1;
  size_t unfinished = 0;  // the job's first counter
};

// Records of one token block: of column block b at base + b * block_stride.
struct MatmulPlan::RecordsView {
  const uint8_t* base;
  size_t block_stride;
};

MatmulPlan::MatmulPlan() = default;
MatmulPlan::~MatmulPlan() = default;
MatmulPlan::MatmulPlan(MatmulPlan&&) noexcept = default;
MatmulPlan& MatmulPlan::operator=(MatmulPlan&&) noexcept = default;

// A panel kernel rounds weights to int8 over the whole range of its packing's quants. Types with fewer bits that are
// rewritten into that packing (Q3_K in Q6_K) use a fraction of the range, and would lose three of the eight bits.
static bool HasPanel(const FormatKernels& kernels, tensor::DType format) {
  return kernels.panel != nullptr && BlockTypeOf(kernels.packing) == format;
}

KernelNames KernelNamesOf(Isa isa, tensor::DType format) {
  const FormatKernels& kernels = KernelsOf(isa, PackingOf(format));
  if (!HasPanel(kernels, format)) return {kernels.direct_name, "", 0};
  return {kernels.direct_name, kernels.panel_name, kernels.panel_min_tokens};
}

int64_t PanelMinTokens(Isa isa, tensor::DType format) {
  const FormatKernels& kernels = KernelsOf(isa, PackingOf(format));
  return HasPanel(kernels, format) ? kernels.panel_min_tokens : INT64_MAX;
}

void MatmulPlan::Build(Isa isa, Precision precision, std::span<const MatmulJob> jobs, int threads) {
  isa_ = isa;
  jobs_.clear();
  items_.clear();
  scratch_bytes_ = 0;
  for (const MatmulJob& job : jobs) PrepareJob(precision, job);
  CutItems(std::max(threads, 1));
  CountUnfinished();
}

void MatmulPlan::PrepareJob(Precision precision, const MatmulJob& job) {
  TENFOLD_CHECK(job.w != nullptr && job.x != nullptr && job.y != nullptr, "a matmul job lacks w, x or y");
  Prepared& p = jobs_.emplace_back();
  p.job = job;
  p.tokens = job.token_rows.empty() ? job.x->tokens() : static_cast<int64_t>(job.token_rows.size());
  if (!job.token_rows.empty()) {
    p.first_token = job.token_rows[0];
    for (size_t i = 0; i < job.token_rows.size(); ++i) {
      const int32_t row = job.token_rows[i];
      TENFOLD_CHECK(row >= 0 && row < job.x->tokens(), "a token row outside the activations");
      p.gather = p.gather || row != p.first_token + static_cast<int64_t>(i);
    }
  }
  p.token_block = std::min(p.tokens, p.gather ? kGatherBlock : kTokenBlock);
  const auto prepare = [&](const PackedMatrix& w) {
    TENFOLD_CHECK(w.cols == job.x->cols(), "weights and activations differ in columns");
    const FormatKernels& kernels = KernelsOf(isa_, PackingOf(w.format));
    const bool panel =
        precision == Precision::kFast && HasPanel(kernels, w.format) && p.tokens >= kernels.panel_min_tokens;
    const Side side{.w = &w,
                    .panel_bytes = PanelBytes(w.format, w.cols),
                    .fn = panel ? kernels.panel : kernels.direct,
                    .records = &job.x->impl().For(w.format)};
    p.tile_bytes =
        std::max(p.tile_bytes,
                 static_cast<size_t>(p.token_block * side.records->planes * kTilePanels * kPanelRows) * sizeof(float));
    if (p.gather) {
      const size_t bytes = static_cast<size_t>(side.records->blocks * p.token_block) * side.records->token_bytes;
      p.gather_bytes = std::max(p.gather_bytes, RoundUpToLine(bytes));
    }
    return side;
  };
  p.first = prepare(*job.w);
  if (job.epilogue == Epilogue::kSiluMul) {
    TENFOLD_CHECK(job.w2 != nullptr && job.w2->rows == job.w->rows, "kSiluMul needs a second matrix of the same shape");
    p.second = prepare(*job.w2);
    p.run_tiles = std::max<int64_t>(1, kGatedTileTokens / std::max<int64_t>(1, p.token_block));
  }
  p.c_bytes = p.tile_bytes * static_cast<size_t>(p.run_tiles);
  scratch_bytes_ = std::max(scratch_bytes_, 2 * (p.c_bytes + p.gather_bytes));
}

void MatmulPlan::CutItems(int threads) {
  const auto tile_us = [](const Prepared& p) {
    const double bytes = static_cast<double>(kTilePanels * (p.first.panel_bytes + p.second.panel_bytes));
    const double matrices = p.second.fn != nullptr ? 2 : 1;
    const double macs = matrices * static_cast<double>(kTilePanels * kPanelRows * p.job.w->cols * p.tokens);
    return std::max(bytes / kBytesPerUs, macs / kMacsPerUs);
  };
  const auto tiles_of = [](const Prepared& p) {
    return p.tokens == 0 ? 0 : (PanelCount(p.job.w->rows) + kTilePanels - 1) / kTilePanels;
  };
  double remaining_us = 0;
  int64_t all_tiles = 0;
  for (const Prepared& p : jobs_) {
    remaining_us += tile_us(p) * static_cast<double>(tiles_of(p));
    all_tiles += tiles_of(p);
  }
  // With fewer tiles than keep many threads busy to the end, tiles are cut by tokens as well.
  const int64_t cuts = all_tiles == 0 ? 1 : (kTilesPerThread * threads + all_tiles - 1) / all_tiles;
  for (size_t j = 0; j < jobs_.size(); ++j) {
    Prepared& p = jobs_[j];
    const double each_us = tile_us(p);
    const int64_t tiles = tiles_of(p);
    const int64_t token_step = std::max((p.tokens + cuts - 1) / cuts, kMinTokenCut);
    p.token_step = token_step;
    p.token_cuts = (p.tokens + token_step - 1) / token_step;
    for (int64_t tile = 0; tile < tiles;) {
      const double goal_us = std::clamp(remaining_us / (4.0 * threads), kItemMinUs, kItemMaxUs);
      const int64_t take = std::clamp<int64_t>(static_cast<int64_t>(goal_us / each_us), 1, tiles - tile);
      for (int64_t t = 0; t < p.tokens; t += token_step) {
        items_.push_back(
            {.job = static_cast<int32_t>(j),
             .panel_begin = static_cast<int32_t>(tile * kTilePanels),
             .panel_end = static_cast<int32_t>(std::min((tile + take) * kTilePanels, PanelCount(p.job.w->rows))),
             .token_begin = static_cast<int32_t>(t),
             .token_end = static_cast<int32_t>(std::min(t + token_step, p.tokens))});
      }
      tile += take;
      remaining_us -= each_us * static_cast<double>(take);
    }
  }
}

namespace {

constexpr int64_t kBlockPanels = Activations::kBlockColumns / kPanelRows;

// Panels of a matrix that lie both in [begin, end) and in block `block` of its rows.
int32_t PanelsInBlock(int64_t block, int64_t begin, int64_t end) {
  return static_cast<int32_t>(std::min(end, (block + 1) * kBlockPanels) - std::max(begin, block * kBlockPanels));
}

}  // namespace

void MatmulPlan::CountUnfinished() {
  size_t counters = 0;
  for (Prepared& p : jobs_) {
    if (p.job.next == nullptr) continue;
    TENFOLD_CHECK(p.job.next->cols() == p.job.w->rows && p.job.next->tokens() == p.tokens, "next is not of y's shape");
    p.unfinished = counters;
    counters += static_cast<size_t>((PanelCount(p.job.w->rows) + kBlockPanels - 1) / kBlockPanels * p.token_cuts);
  }
  if (counters > unfinished_capacity_) {
    unfinished_ = std::make_unique<std::atomic<int32_t>[]>(counters);
    unfinished_capacity_ = counters;
  }
  for (const Prepared& p : jobs_) {
    if (p.job.next == nullptr) continue;
    const int64_t panels = PanelCount(p.job.w->rows);
    std::atomic<int32_t>* counter = &unfinished_[p.unfinished];
    for (int64_t block = 0; block * kBlockPanels < panels; ++block) {
      for (int64_t cut = 0; cut < p.token_cuts; ++cut) {
        (counter++)->store(PanelsInBlock(block, 0, panels), std::memory_order_relaxed);
      }
    }
  }
}

void MatmulPlan::QuantizeFinished(const Prepared& p, const Item& item) const {
  const int64_t rows = p.job.w->rows;
  for (int64_t block = item.panel_begin / kBlockPanels; block * kBlockPanels < item.panel_end; ++block) {
    const int32_t done = PanelsInBlock(block, item.panel_begin, item.panel_end);
    const auto counter = p.unfinished + static_cast<size_t>(block * p.token_cuts + item.token_begin / p.token_step);
    // Releases what this item wrote of the block; the last one acquires what the others did.
    if (unfinished_[counter].fetch_sub(done, std::memory_order_acq_rel) != done) continue;
    const int64_t first = block * Activations::kBlockColumns;
    p.job.next->QuantizeColumns(item.token_begin, item.token_end, first,
                                std::min(Activations::kBlockColumns, rows - first));
  }
}

void MatmulPlan::RunItem(int64_t item, uint8_t* scratch) const {
  const Item& it = items_[static_cast<size_t>(item)];
  const Prepared& p = jobs_[static_cast<size_t>(it.job)];
  for (int64_t t = it.token_begin; t < it.token_end; t += p.token_block) {
    const int64_t tokens = std::min(p.token_block, it.token_end - t);
    uint8_t* gathered = scratch + 2 * p.c_bytes;
    const RecordsView view = View(p, *p.first.records, t, tokens, gathered);
    RecordsView view2 = view;
    if (p.second.fn != nullptr && p.second.records != p.first.records) {
      view2 = View(p, *p.second.records, t, tokens, gathered + p.gather_bytes);
    }
    const int64_t run = p.run_tiles * kTilePanels;
    for (int64_t panel = it.panel_begin; panel < it.panel_end; panel += run) {
      RunTiles(p, panel, std::min(panel + run, int64_t{it.panel_end}), t, tokens, view, view2, scratch);
    }
  }
  if (p.job.next != nullptr) QuantizeFinished(p, it);
}

// The records of `tokens` tokens of the job from its token `first` on: in place, or copied to `gathered`.
MatmulPlan::RecordsView MatmulPlan::View(const Prepared& p, const Records& records, int64_t first, int64_t tokens,
                                         uint8_t* gathered) {
  const size_t bytes = records.token_bytes;
  if (!p.gather) {
    return {records.memory.get() + static_cast<size_t>(p.first_token + first) * bytes, records.block_stride};
  }
  const std::span<const int32_t> rows =
      p.job.token_rows.subspan(static_cast<size_t>(first), static_cast<size_t>(tokens));
  uint8_t* to = gathered;
  for (int64_t b = 0; b < records.blocks; ++b) {
    const uint8_t* from = records.memory.get() + static_cast<size_t>(b) * records.block_stride;
    for (const int32_t row : rows) {
      std::memcpy(to, from + static_cast<size_t>(row) * bytes, bytes);
      to += bytes;
    }
  }
  return {gathered, static_cast<size_t>(tokens) * bytes};
}

void MatmulPlan::RunTiles(const Prepared& p, int64_t begin, int64_t end, int64_t first, int64_t tokens,
                          RecordsView view, RecordsView view2, uint8_t* scratch) const {
  const auto panels_at = [&](int64_t panel) { return std::min<int64_t>(kTilePanels, end - panel); };
  const auto c_of = [&](int64_t panel, size_t offset) {
    const auto tile = static_cast<size_t>((panel - begin) / kTilePanels);
    return reinterpret_cast<float*>(scratch + offset + tile * p.tile_bytes);
  };
  const auto multiply = [&](const Side& side, RecordsView records, size_t offset) {
    for (int64_t panel = begin; panel < end; panel += kTilePanels) {
      const int64_t panels = panels_at(panel);
      side.fn({.w = side.w->data + static_cast<size_t>(panel) * side.panel_bytes,
               .panel_bytes = side.panel_bytes,
               .panels = static_cast<int>(panels),
               .cols = side.w->cols,
               .records = records.base,
               .block_stride = records.block_stride,
               .tokens = tokens * side.records->planes,
               .c = c_of(panel, offset)});
      if (side.records->planes == 2) AddPlanes(c_of(panel, offset), tokens, panels * kPanelRows);
    }
  };
  multiply(p.first, view, 0);
  if (p.second.fn != nullptr) multiply(p.second, view2, p.c_bytes);
  for (int64_t panel = begin; panel < end; panel += kTilePanels) {
    const int64_t c_stride = panels_at(panel) * kPanelRows;
    const int64_t row = panel * kPanelRows;
    const int64_t n = std::min(c_stride, p.job.w->rows - row);
    const float* c = c_of(panel, 0);
    float* y = p.job.y + first * p.job.y_stride + row;
    if (p.second.fn == nullptr) {
      Finish(p.job.epilogue, c, c_stride, tokens, n, y, p.job.y_stride);
      continue;
    }
    const float* c2 = c_of(panel, p.c_bytes);
    for (int64_t t = 0; t < tokens; ++t) SiluMul(isa_, c + t * c_stride, c2 + t * c_stride, n, y + t * p.job.y_stride);
  }
}

}  // namespace tenfold::kernels
