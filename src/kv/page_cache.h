// Pages that outlive their requests: the pool of KV pages with an index from prefixes to full pages.
//
// A page's life: free -> held by one sequence, which fills it -> full, and published under its key -> held by any
// number of sequences, all of whose tokens begin alike -> idle: held by nobody, kept in case somebody comes again ->
// evicted, when a page is needed and none is free, the longest idle first. What was never published (a last page that
// is not full) is free as soon as its holder lets go.
//
// What it does: ids, counts, keys. What it does not: floats, or which tokens a sequence has.
//
// Invariants, on which it rests that nobody ever gets another's content:
// - A published page is never written again, and its tokens are remembered: Find compares them, not only their hash.
// - Who holds a published page holds its parent (the page of the 16 tokens before), and lets go of the last page first.
//   So no page is evicted before the pages that continue it, and "parent" can be a page id instead of a chain of
//   tokens: by induction from the root equal parents mean equal tokens from the first on.
// - One prefix is published once. A sequence that filled another copy gives it up for the published one (Publish).
//
// The least recently used page goes first, because it needs no knowledge of what clients do; conversations that go on
// keep touching their pages, and the shared beginning of many is touched by all of them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "kv/block_pool.h"
#include "kv/prefix_key.h"

namespace tenfold::kv {

inline constexpr PageId kNoPage = -1;  // the parent of a first page

// Not thread safe: the engine loop owns it. Every operation takes constant time but for CheckIntegrity, O(pages).
class PageCache {
 public:
  explicit PageCache(int32_t pages);

  // A page with one holder, free until now or evicted; nothing when all are held (normal scarcity).
  std::optional<PageId> Allocate();
  void Release(PageId page);  // one holder less; must be held

  // The published page of these tokens behind `parent` (kNoPage: at the beginning; the salt is in the key), or nothing.
  std::optional<PageId> Find(const PrefixKey& key, PageId parent, PageTokens tokens) const;
  void Hold(PageId page);  // one holder more; must be held, or published

  // The caller holds `page`, has filled it with these tokens and will not write it again; it holds `parent` too, which
  // is published. Returns the page to use from here on, held by the caller: this one, or, where these tokens are
  // published already, that one (this is then released). If another prefix has the same key, this page stays
  // unpublished.
  PageId Publish(PageId page, const PrefixKey& key, PageId parent, PageTokens tokens);
  bool IsPublished(PageId page) const { return entries_.at(static_cast<size_t>(page)).published; }

  int32_t total() const { return pool_.total(); }
  int32_t idle() const { return idle_; }                        // held by nobody, but kept
  int32_t available() const { return pool_.free() + idle_; }    // what Allocate can still give
  int32_t used() const { return pool_.total() - available(); }  // held by somebody
  int32_t holders(PageId page) const { return pool_.refs(page) - (IsPublished(page) ? 1 : 0); }
  uint64_t evictions() const { return evictions_; }
  // "" or the invariant that is broken.
  std::string CheckIntegrity() const;

 private:
  struct Entry {
    bool published = false;  // the cache itself then has a reference
    PrefixKey key;
    PageId parent = kNoPage;
    PageId before = kNoPage;  // in the list of idle pages
    PageId after = kNoPage;
    std::array<int32_t, kPageTokens> tokens{};
  };

  Entry& At(PageId page) { return entries_[static_cast<size_t>(page)]; }
  const Entry& At(PageId page) const { return entries_[static_cast<size_t>(page)]; }
  void PushIdle(PageId page);
  void TakeIdle(PageId page);
  void Evict(PageId page);
  std::string CheckEntry(PageId page) const;

  BlockPool pool_;
  std::vector<Entry> entries_;  // by page id
  std::unordered_map<PrefixKey, PageId, PrefixKeyHash> index_;
  PageId oldest_idle_ = kNoPage;
  PageId newest_idle_ = kNoPage;
  int32_t idle_ = 0;
  uint64_t evictions_ = 0;
};

}  // namespace tenfold::kv
