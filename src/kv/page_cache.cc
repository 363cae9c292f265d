#include "kv/page_cache.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace tenfold::kv {

PageCache::PageCache(int32_t pages) : pool_(pages), entries_(static_cast<size_t>(pages)) {}

std::optional<PageId> PageCache::Allocate() {
  if (pool_.free() == 0) {
    if (oldest_idle_ == kNoPage) return std::nullopt;
    Evict(oldest_idle_);
  }
  return pool_.Allocate();
}

void PageCache::Release(PageId page) {
  TENFOLD_CHECK(holders(page) > 0, "a page that nobody holds was released");
  pool_.Release(page);
  if (At(page).published && holders(page) == 0) PushIdle(page);
}

void PageCache::Hold(PageId page) {
  if (At(page).published && holders(page) == 0) TakeIdle(page);
  pool_.AddRef(page);
}

std::optional<PageId> PageCache::Find(const PrefixKey& key, PageId parent, PageTokens tokens) const {
  const auto found = index_.find(key);
  if (found == index_.end()) return std::nullopt;
  const Entry& entry = At(found->second);
  if (entry.parent != parent || !std::equal(tokens.begin(), tokens.end(), entry.tokens.begin())) return std::nullopt;
  return found->second;
}

PageId PageCache::Publish(PageId page, const PrefixKey& key, PageId parent, PageTokens tokens) {
  TENFOLD_CHECK(holders(page) == 1 && !IsPublished(page), "only its one holder can publish a page, once");
  TENFOLD_CHECK(parent == kNoPage || (IsPublished(parent) && holders(parent) > 0), "a parent that is not there");
  const auto [at, is_new] = index_.emplace(key, page);
  if (is_new) {
    Entry& entry = At(page);
    entry.published = true;
    entry.key = key;
    entry.parent = parent;
    std::copy(tokens.begin(), tokens.end(), entry.tokens.begin());
    pool_.AddRef(page);
    return page;
  }
  const std::optional<PageId> same = Find(key, parent, tokens);
  if (!same) return page;
  Hold(*same);
  Release(page);
  return *same;
}

void PageCache::PushIdle(PageId page) {
  Entry& entry = At(page);
  entry.before = newest_idle_;
  entry.after = kNoPage;
  (newest_idle_ == kNoPage ? oldest_idle_ : At(newest_idle_).after) = page;
  newest_idle_ = page;
  ++idle_;
}

void PageCache::TakeIdle(PageId page) {
  const Entry& entry = At(page);
  (entry.before == kNoPage ? oldest_idle_ : At(entry.before).after) = entry.after;
  (entry.after == kNoPage ? newest_idle_ : At(entry.after).before) = entry.before;
  --idle_;
}

void PageCache::Evict(PageId page) {
  TakeIdle(page);
  index_.erase(At(page).key);
  At(page) = Entry{};
  pool_.Release(page);
  ++evictions_;
}

std::string PageCache::CheckIntegrity() const {
  if (std::string wrong = pool_.CheckIntegrity(); !wrong.empty()) return wrong;
  size_t published = 0;
  for (PageId page = 0; page < total(); ++page) {
    if (!At(page).published) continue;
    ++published;
    if (std::string wrong = CheckEntry(page); !wrong.empty()) return wrong;
  }
  if (published != index_.size()) return fmt::format("{} pages published, {} in the index", published, index_.size());
  std::vector<bool> seen(entries_.size(), false);
  int32_t idle = 0;
  PageId before = kNoPage;
  for (PageId page = oldest_idle_; page != kNoPage; before = page, page = At(page).after) {
    if (seen[static_cast<size_t>(page)]) return fmt::format("page {} is idle twice", page);
    seen[static_cast<size_t>(page)] = true;
    if (!IsPublished(page) || holders(page) != 0) return fmt::format("page {} is in the wrong list", page);
    if (At(page).before != before) return fmt::format("page {} is chained wrongly", page);
    // In the list from the longest idle on, a page comes before the page that it continues.
    const PageId parent = At(page).parent;
    if (parent != kNoPage && seen[static_cast<size_t>(parent)]) {
      return fmt::format("page {} would be evicted before page {}, which continues it", parent, page);
    }
    ++idle;
  }
  if (idle != idle_ || before != newest_idle_) return fmt::format("{} idle pages, counted {}", idle, idle_);
  return "";
}

std::string PageCache::CheckEntry(PageId page) const {
  const Entry& entry = At(page);
  const auto found = index_.find(entry.key);
  if (found == index_.end() || found->second != page) return fmt::format("page {} is published, but not found", page);
  if (holders(page) < 0) return fmt::format("page {} has {} holders", page, holders(page));
  if (entry.parent == kNoPage) return "";
  if (entry.parent < 0 || entry.parent >= total() || !IsPublished(entry.parent)) {
    return fmt::format("page {} continues page {}, which is gone", page, entry.parent);
  }
  if (holders(entry.parent) < holders(page)) {
    return fmt::format("page {} has {} holders, page {} before it {}", page, holders(page), entry.parent,
                       holders(entry.parent));
  }
  return "";
}

}  // namespace tenfold::kv
