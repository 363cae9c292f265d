// The pool of KV pages: ids and reference counts, no floats. One page id stands for 16 tokens in every layer.
//
// Free pages are a stack: the page released last is handed out first, while its memory is most likely still in a cache.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tenfold::kv {

using PageId = int32_t;
inline constexpr int64_t kPageTokens = 16;
// Pages that hold `tokens` (>= 0) tokens.
inline int64_t PagesFor(int64_t tokens) { return tokens / kPageTokens + (tokens % kPageTokens != 0 ? 1 : 0); }

// Not thread safe: the engine loop owns it.
class BlockPool {
 public:
  // pages >= 0, all free; ids are 0 .. pages - 1.
  explicit BlockPool(int32_t pages);
  // A free page with one reference, or nothing when none is left (normal scarcity).
  std::optional<PageId> Allocate();
  void AddRef(PageId page);   // page must be in use
  void Release(PageId page);  // page must be in use; freed at zero references
  int32_t total() const { return static_cast<int32_t>(refs_.size()); }
  int32_t free() const { return static_cast<int32_t>(free_.size()); }
  int32_t used() const { return total() - free(); }
  int32_t refs(PageId page) const;
  // "" when the free list and the counts agree; else what is wrong. O(pages).
  std::string CheckIntegrity() const;

 private:
  std::vector<int32_t> refs_;
  std::vector<PageId> free_;
};

}  // namespace tenfold::kv
