#include "model/kv_store.h"

namespace tenfold::model {

uint64_t KvStore::PageBytes(const Config& config) {
  return static_cast<uint64_t>(config.n_layers * config.n_kv_heads) * kernels::KvPageBytes(config.head_dim);
}

Result<KvStore> KvStore::Allocate(const Config& config, int32_t pages) {
  KvStore store;
  store.page_bytes_ = PageBytes(config);
  store.head_bytes_ = kernels::KvPageBytes(config.head_dim);
  store.n_kv_heads_ = config.n_kv_heads;
  TENFOLD_TRY(store.buffer_, platform::HugeBuffer::Allocate(store.page_bytes_ * static_cast<size_t>(pages)));
  return store;
}

kernels::KvPages KvStore::Pages(int64_t layer, int64_t kv_head, std::span<const int32_t> page_ids) const {
  return {buffer_.data() + static_cast<size_t>(layer * n_kv_heads_ + kv_head) * head_bytes_, page_bytes_, page_ids};
}

}  // namespace tenfold::model
