#include "kv/block_pool.h"

#include <fmt/format.h>

#include "base/check.h"

namespace tenfold::kv {

BlockPool::BlockPool(int32_t pages) {
  TENFOLD_CHECK(pages >= 0, "a pool has no negative number of pages");
  refs_.assign(pages, 0);
  free_.reserve(pages);
  for (PageId page = pages - 1; page >= 0; --page) free_.push_back(page);
}

std::optional<PageId> BlockPool::Allocate() {
  if (free_.empty()) return std::nullopt;
  const PageId page = free_.back();
  free_.pop_back();
  refs_[page] = 1;
  return page;
}

void BlockPool::AddRef(PageId page) {
  TENFOLD_CHECK(refs(page) > 0, "a reference was added to a free page");
  ++refs_[page];
}

void BlockPool::Release(PageId page) {
  TENFOLD_CHECK(refs(page) > 0, "a free page was released");
  if (--refs_[page] == 0) free_.push_back(page);
}

int32_t BlockPool::refs(PageId page) const {
  TENFOLD_CHECK(page >= 0 && page < total(), "a page id outside of the pool");
  return refs_[page];
}

std::string BlockPool::CheckIntegrity() const {
  std::vector<bool> listed(refs_.size(), false);
  for (PageId page : free_) {
    if (page < 0 || page >= total()) return fmt::format("the free list holds page {} of {}", page, total());
    if (listed[page]) return fmt::format("page {} is free twice", page);
    if (refs_[page] != 0) return fmt::format("page {} is free but has {} references", page, refs_[page]);
    listed[page] = true;
  }
  for (PageId page = 0; page < total(); ++page) {
    if (refs_[page] < 0) return fmt::format("page {} has {} references", page, refs_[page]);
    if (refs_[page] == 0 && !listed[page]) return fmt::format("page {} has no references but is not free", page);
  }
  return "";
}

}  // namespace tenfold::kv
