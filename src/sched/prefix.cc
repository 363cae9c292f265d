// The scheduler's use of the page cache: which pages a sequence may take, when it takes them, and when its own become
// everybody's. Keys are hashed once for each page of a sequence and kept.
#include "base/check.h"
#include "sched/scheduler.h"

namespace tenfold::sched {

kv::PageTokens Scheduler::TokensOf(const Sequence& s, int64_t page) {
  return kv::PageTokens(s.tokens.data() + page * kv::kPageTokens, static_cast<size_t>(kv::kPageTokens));
}

// Needs all 16 tokens of the page to be known.
const kv::PrefixKey& Scheduler::KeyOf(Sequence& s, int64_t page) const {
  TENFOLD_CHECK((page + 1) * kv::kPageTokens <= s.known(), "only a full page has a key");
  for (auto next = static_cast<int64_t>(s.keys.size()); next <= page; ++next) {
    const kv::PrefixKey& parent = next == 0 ? s.root : s.keys.back();
    s.keys.push_back(kv::NextKey(parent, TokensOf(s, next), limits_.key_seed));
  }
  return s.keys[static_cast<size_t>(page)];
}

// Whether a published page could stand in for the sequence's page at this place.
bool Scheduler::MayAdopt(const Sequence& s, int64_t page) {
  return s.uses_cache && (page + 1) * kv::kPageTokens <= s.logits_next();
}

// Whether others may wait for the sequence to fill its next page. A prompt that is scored goes slower than they would.
bool Scheduler::Leads(const Sequence& s) {
  const bool scores = s.logits_next() + 1 < s.known();
  return s.uses_cache && !scores && s.published == s.page() && (s.page() + 1) * kv::kPageTokens <= s.known();
}

void Scheduler::Adopt(Sequence& s) {
  while (s.published == s.page() && MayAdopt(s, s.page())) {
    const int64_t page = s.page();
    const auto found = pages_.Find(KeyOf(s, page), s.parent(page), TokensOf(s, page));
    if (!found) return;
    pages_.Hold(*found);
    FreePagesBeyond(s, page * kv::kPageTokens);  // what it had begun to fill there itself
    s.pages.push_back(*found);
    s.published = page + 1;
    s.computed = s.published * kv::kPageTokens;
  }
}

// How many of the pages that a waiting sequence would adopt are held by somebody, so that they cost no page.
int64_t Scheduler::HeldPagesToAdopt(Sequence& s) const {
  int64_t held = 0;
  kv::PageId parent = kv::kNoPage;
  for (int64_t page = 0; MayAdopt(s, page); ++page) {
    const auto found = pages_.Find(KeyOf(s, page), parent, TokensOf(s, page));
    if (!found || pages_.holders(*found) == 0) break;  // who holds a page holds those before it
    parent = *found;
    ++held;
  }
  return held;
}

// After tokens were computed: full pages become everybody's.
void Scheduler::Publish(Sequence& s) {
  while (s.uses_cache && s.published < s.page()) {
    const int64_t page = s.published;
    kv::PageId& id = s.pages[static_cast<size_t>(page)];
    id = pages_.Publish(id, KeyOf(s, page), s.parent(page), TokensOf(s, page));
    if (!pages_.IsPublished(id)) return;  // another prefix has its key: this and what follows stay its own
    ++s.published;
  }
}

}  // namespace tenfold::sched
