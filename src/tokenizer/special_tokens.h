// Finds control and user-defined tokens written out in text: the leftmost one, the longest where several begin.
//
// A trie over bytes. Time is O(text) times, at worst, the length of the longest such token.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tenfold::tokenizer {

// Immutable once filled; then any thread.
class SpecialTokens {
 public:
  struct Match {
    size_t begin;  // byte offset
    size_t length_bytes;
    TokenId id;
  };

  // Adds a token; an empty text is ignored. Control tokens are found only when FindNext is told so.
  void Add(std::string_view text, TokenId id, bool is_control);
  // Control tokens are found only between the ranges of `data` (sorted, disjoint), which a caller that goes on from
  // match to match passes again and again: what ends before `from` is taken off.
  std::optional<Match> FindNext(std::string_view text, size_t from, bool with_control,
                                std::span<const TextRange>& data) const;

 private:
  struct Node {
    uint8_t byte = 0;
    bool is_control = false;
    TokenId id = kNoToken;      // the token that ends here
    int32_t first_child = -1;   // indices into nodes_
    int32_t next_sibling = -1;  // siblings are few: special tokens share their beginnings
  };

  int32_t ChildOf(int32_t node, uint8_t byte) const;

  std::vector<Node> nodes_;
  std::array<int32_t, 256> roots_ = MakeRoots();

  static std::array<int32_t, 256> MakeRoots() {
    std::array<int32_t, 256> roots;
    roots.fill(-1);
    return roots;
  }
};

}  // namespace tenfold::tokenizer
