// One list of work for the whole file, in its order, so that no thread ever waits for another before the end.
//
// What a load from the page cache costs is mostly memory that has never been touched. An item is therefore what fills
// one huge page of the arena: the thread that is given the page (and clears it) fills it while it is in its cache, and
// no two threads clear the same one. A virtual machine that gives free memory back to its host (free page reporting)
// pays for each 4 KiB again: a huge page then takes 5 ms instead of 0.2, on the core that touched it, and one thread
// that waits for another at the end of each tensor loses half of that each time.
// Neither more threads nor MADV_POPULATE_WRITE made such memory come faster (0.45 GB/s a core).
// The file is mapped, not read into a buffer (not tried): an item's pages are entered with one call instead of a fault
// for each 64 KiB.
#include "model/pack_tensors.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "tensor/dequantize.h"

namespace tenfold::model {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
// Small enough that the threads end together, large beside what taking an item costs (a microsecond against 100).
constexpr size_t kLeastItemBytes = size_t{64} << 10;
constexpr size_t kItemsPerThread = 32;
// Items of the file that are being read from the disk ahead of the packing.
constexpr size_t kReadAhead = 16;

// Panels [begin, end) of a matrix; of a vector 0 and 1.
struct Item {
  const Binding* binding;
  int64_t begin;
  int64_t end;
};

size_t RowBytes(const Binding& b) { return tensor::RowBytes(b.tensor->type, static_cast<size_t>(b.tensor->dims[0])); }

// Bytes of the tensor before panel `panel`.
uint64_t SourceOffset(const Binding& b, int64_t panel) {
  if (b.vector != nullptr) return panel == 0 ? 0 : b.tensor->size_bytes;
  return static_cast<uint64_t>(std::min(panel * kernels::kPanelRows, b.matrix->rows)) * RowBytes(b);
}

// A power of two, so that items end where huge pages do.
size_t ItemBytes(std::span<const Binding> bindings, int threads) {
  size_t arena_bytes = 0;
  for (const Binding& b : bindings) arena_bytes += b.arena_bytes;
  const size_t share = arena_bytes / (kItemsPerThread * static_cast<size_t>(threads));
  size_t bytes = kHugePage;
  while (bytes > kLeastItemBytes && bytes > share) bytes /= 2;
  return bytes;
}

std::vector<Item> Divide(std::span<const Binding> bindings, size_t item_bytes) {
  std::vector<Item> items;
  for (const Binding& b : bindings) {
    if (b.vector != nullptr) {
      items.push_back({&b, 0, 1});
      continue;
    }
    const auto panel_bytes = kernels::PanelBytes(b.matrix->format, b.matrix->cols);
    const int64_t panels = kernels::PanelCount(b.matrix->rows);
    for (int64_t begin = 0; begin < panels;) {
      const size_t at = b.arena_offset + static_cast<size_t>(begin) * panel_bytes;
      const size_t room = item_bytes - at % item_bytes;
      const auto fit = static_cast<int64_t>((room + panel_bytes - 1) / panel_bytes);
      const int64_t end = std::min(panels, begin + fit);
      items.push_back({&b, begin, end});
      begin = end;
    }
  }
  return items;
}

class Packer {
 public:
  Packer(const gguf::ModelFile& file, std::vector<Item> items, uint8_t* arena, const LoadProgress& progress)
      : file_(file),
        items_(std::move(items)),
        arena_(arena),
        progress_(progress),
        packed_(std::make_unique<std::atomic<bool>[]>(items_.size())) {}

  bool Run(platform::ThreadPool& pool) {
    for (size_t i = 0; i < std::min(kReadAhead, items_.size()); ++i) ReadAhead(items_[i]);
    pool.ParallelFor(static_cast<int64_t>(items_.size()), [&](int64_t i, int worker) {
      if (stopped_.load(std::memory_order_relaxed)) return;
      const auto index = static_cast<size_t>(i);
      if (index + kReadAhead < items_.size()) ReadAhead(items_[index + kReadAhead]);
      Pack(items_[index]);
      packed_[index].store(true, std::memory_order_release);
      if (worker == 0) Report();
    });
    Report();
    return !stopped_.load(std::memory_order_relaxed);
  }

 private:
  static uint64_t SourceBytes(const Item& item) {
    return SourceOffset(*item.binding, item.end) - SourceOffset(*item.binding, item.begin);
  }

  void ReadAhead(const Item& item) const {
    file_.WillNeed(*item.binding->tensor, SourceOffset(*item.binding, item.begin), SourceBytes(item));
  }

  void Pack(const Item& item) const {
    const Binding& b = *item.binding;
    const uint64_t offset = SourceOffset(b, item.begin);
    file_.Enter(*b.tensor, offset, SourceBytes(item));
    const uint8_t* src = file_.TensorBytes(*b.tensor).data();
    uint8_t* to = arena_ + b.arena_offset;
    if (b.vector != nullptr) {
      tensor::DequantizeRow(b.tensor->type, src, static_cast<size_t>(b.tensor->dims[0]), reinterpret_cast<float*>(to));
    } else {
      const kernels::PackedMatrix& m = *b.matrix;
      const size_t panel_bytes = kernels::PanelBytes(m.format, m.cols);
      for (int64_t panel = item.begin; panel < item.end; ++panel) {
        const int64_t rows = std::min(kernels::kPanelRows, m.rows - panel * kernels::kPanelRows);
        kernels::PackPanel(m.format, src + SourceOffset(b, panel), rows, m.cols,
                           to + static_cast<size_t>(panel) * panel_bytes);
      }
    }
    file_.Release(*b.tensor, offset, SourceBytes(item));
  }

  // Tells of all items before the first that is not packed yet. The calling thread's alone.
  void Report() {
    while (!stopped_.load(std::memory_order_relaxed) && reported_ < items_.size() &&
           packed_[reported_].load(std::memory_order_acquire)) {
      const Item& item = items_[reported_++];
      const gguf::TensorInfo& t = *item.binding->tensor;
      if (!progress_(file_.PositionOf(t) + SourceOffset(*item.binding, item.end), file_.size_bytes())) stopped_ = true;
    }
  }

  const gguf::ModelFile& file_;
  const std::vector<Item> items_;
  uint8_t* const arena_;
  const LoadProgress& progress_;
  const std::unique_ptr<std::atomic<bool>[]> packed_;  // by item
  std::atomic<bool> stopped_ = false;
  size_t reported_ = 0;
};

}  // namespace

bool PackTensors(const gguf::ModelFile& file, std::span<const Binding> bindings, uint8_t* arena,
                 platform::ThreadPool& pool, const LoadProgress& progress) {
  for (const Binding& b : bindings) {
    if (b.vector != nullptr) *b.vector = reinterpret_cast<const float*>(arena + b.arena_offset);
    if (b.matrix != nullptr) b.matrix->data = arena + b.arena_offset;
  }
  Packer packer(file, Divide(bindings, ItemBytes(bindings, pool.threads())), arena, progress);
  return packer.Run(pool);
}

}  // namespace tenfold::model
