// The merging loop that byte-level BPE and SPM share: join the best neighbouring pair until no pair can be joined.
//
// Why a heap over a linked list: a pre-tokenizer word can be the whole text (a megabyte of one letter), where looking
// for the best pair again after each join is quadratic. This is O(n log n) for n symbols. "Best" is the lowest rank,
// leftmost first, which is what both reference algorithms do (SPM's scores become ranks when the vocabulary is read).
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tenfold::tokenizer {

inline constexpr uint32_t kNoRank = std::numeric_limits<uint32_t>::max();

// What joining a pair gives; rank kNoRank when it cannot be joined.
struct PairMerge {
  uint32_t rank = kNoRank;
  TokenId id = kNoToken;
};

// One piece of the text. The first symbol stays the first: joins extend the left one of a pair.
struct MergeSymbol {
  uint32_t begin;  // byte offset in the text
  TokenId id;      // kNoToken when the text is not a token
  int32_t prev;    // index, -1 at the ends
  int32_t next;
  PairMerge with_next;
};

// A binary heap of (rank, symbol index) in 64 bits with a four-way tree: half the cache misses of std::pop_heap, which
// is what a megabyte-long word spends its time on.
class MergeHeap {
 public:
  void Clear() { keys_.clear(); }
  bool empty() const { return keys_.empty(); }

  void Push(uint64_t key) {
    size_t at = keys_.size();
    keys_.push_back(key);
    while (at > 0 && keys_[(at - 1) / 4] > key) {
      keys_[at] = keys_[(at - 1) / 4];
      at = (at - 1) / 4;
    }
    keys_[at] = key;
  }

  uint64_t Pop() {
    const uint64_t top = keys_.front();
    const uint64_t key = keys_.back();
    keys_.pop_back();
    const size_t size = keys_.size();
    if (size == 0) return top;
    size_t at = 0;
    for (size_t child = 1; child < size; child = at * 4 + 1) {
      size_t least = child;
      for (size_t i = child + 1; i < child + 4 && i < size; ++i) {
        if (keys_[i] < keys_[least]) least = i;
      }
      if (keys_[least] >= key) break;
      keys_[at] = keys_[least];
      at = least;
    }
    keys_[at] = key;
    return top;
  }

 private:
  std::vector<uint64_t> keys_;
};

// Joins pairs of `symbols` (linked in order, fewer than 2^31) until none is left; what remains is reached through next
// from symbols[0]. `pair(left, right)` says what joining two neighbouring symbols gives; right.next and right.begin
// tell it where the pair's text ends. `heap` is scratch.
template <class PairFn>
void MergeSymbols(std::vector<MergeSymbol>& symbols, MergeHeap& heap, const PairFn& pair) {
  heap.Clear();
  const auto look = [&](int32_t left) {
    MergeSymbol& symbol = symbols[left];
    symbol.with_next = symbol.next < 0 ? PairMerge{} : pair(symbol, symbols[symbol.next]);
    if (symbol.with_next.rank != kNoRank) {
      heap.Push(static_cast<uint64_t>(symbol.with_next.rank) << 32 | static_cast<uint32_t>(left));
    }
  };
  for (size_t i = 0; i < symbols.size(); ++i) look(static_cast<int32_t>(i));
  while (!heap.empty()) {
    const uint64_t key = heap.Pop();
    const auto left = static_cast<int32_t>(key & 0xFFFFFFFFu);
    MergeSymbol& symbol = symbols[left];
    // Stale unless the pair that stands there now has this very rank, and then the key is that pair's own.
    if (symbol.with_next.rank != key >> 32) continue;
    MergeSymbol& joined = symbols[symbol.next];
    symbol.id = symbol.with_next.id;
    symbol.next = joined.next;
    joined.with_next = PairMerge{};
    if (joined.next >= 0) symbols[joined.next].prev = left;
    look(left);
    if (symbol.prev >= 0) look(symbol.prev);
  }
}

}  // namespace tenfold::tokenizer
