// The literal texts of a vocabulary in one block of memory, found by id or by text.
//
// Why not unordered_map<string, id>: 152,000 nodes cost 50 ms of a server's load and a cache miss per look-up; this is
// one flat table with a tag per slot.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tokenizer/tokenizer.h"

namespace tenfold::tokenizer {

// Immutable after Build; any thread.
class TokenTable {
 public:
  // Refuses an empty list, more than 2^24 tokens, more than 1 GiB of text, and two tokens with the same text.
  static Result<TokenTable> Build(std::span<const std::string> tokens);

  TokenId size() const { return static_cast<TokenId>(offsets_.size() - 1); }
  // Needs 0 <= id < size().
  std::string_view Text(TokenId id) const {
    return std::string_view(texts_).substr(offsets_[id], offsets_[id + 1] - offsets_[id]);
  }
  // kNoToken when there is none.
  TokenId Find(std::string_view text) const;
  size_t longest_bytes() const { return longest_bytes_; }

 private:
  struct Slot {
    uint32_t tag = 0;
    TokenId id = kNoToken;
  };

  std::string texts_;
  std::vector<uint32_t> offsets_;  // (size + 1)
  std::vector<Slot> slots_;        // a power of two, at most half full
  size_t longest_bytes_ = 0;
};

}  // namespace tenfold::tokenizer
