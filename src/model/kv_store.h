// The floats behind the page ids: keys and values of every layer, 16 tokens to a page.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "kernels/attention.h"
#include "model/config.h"
#include "platform/memory.h"

namespace tenfold::model {

// A page id covers all layers and KV heads: [page][layer][kv head][K 16 x head_dim, V 16 x head_dim], halves. Memory is
// touched only when a page is first written.
class KvStore {
 public:
  // Bytes of one page id.
  static uint64_t PageBytes(const Config& config);
  static Result<KvStore> Allocate(const Config& config, int32_t pages);

  // The pages of one sequence as the attention of (layer, kv_head) sees them.
  kernels::KvPages Pages(int64_t layer, int64_t kv_head, std::span<const int32_t> page_ids) const;
  const platform::HugeBuffer& buffer() const { return buffer_; }

 private:
  platform::HugeBuffer buffer_;
  size_t page_bytes_ = 0;
  size_t head_bytes_ = 0;
  int64_t n_kv_heads_ = 0;
};

}  // namespace tenfold::model
