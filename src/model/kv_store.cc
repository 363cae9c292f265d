#include "model/kv_store.h"

namespace tenfold::model {

uint64_t KvStore::PageBytes(const Config& config, const kernels::KvFormat& format) {
  return static_cast<uint64_t>(config.n_layers * config.n_kv_heads) * kernels::KvPageBytes(config.head_dim, format);
}

Result<KvStore> KvStore::Allocate(const Config& config, const kernels::KvFormat& format, int32_t pages) {
  KvStore store;
  store.format_ = format;
  store.head_bytes_ = kernels::KvPageBytes(config.head_dim, format);
  store.page_bytes_ = static_cast<size_t>(config.n_kv_heads) * store.head_bytes_;
  store.layer_bytes_ = static_cast<size_t>(pages) * store.page_bytes_;
  TENFOLD_TRY(store.buffer_, platform::HugeBuffer::Allocate(store.layer_bytes_ * static_cast<size_t>(config.n_layers)));
  return store;
}

void KvStore::TouchLayers(platform::ThreadPool& pool) {
  if (layer_bytes_ == 0) return;
  pool.ParallelFor(static_cast<int64_t>(buffer_.size() / layer_bytes_), [&](int64_t layer, int) {
    *static_cast<volatile uint8_t*>(buffer_.data() + static_cast<size_t>(layer) * layer_bytes_) = 0;
  });
}

kernels::KvPages KvStore::Pages(int64_t layer, int64_t kv_head, std::span<const int32_t> page_ids) const {
  uint8_t* const base = buffer_.data() + static_cast<size_t>(layer) * layer_bytes_;
  return {base + static_cast<size_t>(kv_head) * head_bytes_, page_bytes_, head_bytes_, page_ids, format_};
}

}  // namespace tenfold::model
