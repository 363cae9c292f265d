// The floats behind the page ids: keys and values of every layer, 16 tokens to a page.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "kernels/attention.h"
#include "model/config.h"
#include "platform/memory.h"
#include "platform/thread_pool.h"

namespace tenfold::model {

// A page id covers all layers and KV heads: [layer][page][kv head][K, V], of 16 tokens each. Why the
// page is not outermost: a decoding sequence reads all heads of one layer, page by page. Here its pages are large
// pieces, one behind the other where ids are, which hardware prefetchers follow; with the layers of a page together
// they would lie megabytes apart, and one core read half as fast (AMD Zen 4: 8 KiB pieces 12 GB/s, 64 KiB pieces 23 to
// 30, a plain row 34). Memory is touched when first written, a huge page at a time.
class KvStore {
 public:
  // Bytes of one page id.
  static uint64_t PageBytes(const Config& config, const kernels::KvFormat& format);
  static Result<KvStore> Allocate(const Config& config, const kernels::KvFormat& format, int32_t pages);
  // Touches where each layer begins, which the first token does anyway: a huge page each, here cleared by all threads.
  void TouchLayers(platform::ThreadPool& pool);

  // The pages of one sequence as the attention of a layer sees them from kv_head on.
  kernels::KvPages Pages(int64_t layer, int64_t kv_head, std::span<const int32_t> page_ids) const;
  const kernels::KvFormat& format() const { return format_; }
  const platform::HugeBuffer& buffer() const { return buffer_; }

 private:
  platform::HugeBuffer buffer_;
  kernels::KvFormat format_;
  size_t head_bytes_ = 0;   // K and V of one head in one page of one layer
  size_t page_bytes_ = 0;   // of one page of one layer
  size_t layer_bytes_ = 0;  // of all pages of one layer
};

}  // namespace tenfold::model
