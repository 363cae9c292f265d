// A model's tokens as bytes, arranged so that a mask over all of them takes little time.
//
// What it does: keeps the tokens in tries, flat and in order, so that one pass steps over every token that begins with
// bytes that are not allowed. Tokens of plain text only (CharSet::PlainText) are apart, in tries by their length in
// characters: inside a string they are allowed together, without looking at one of them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenfold::grammar {

// Tokens sorted by bytes, as the nodes of a trie in depth-first order.
class TokenTrie {
 public:
  struct Node {
    uint32_t after = 0;        // the first node that is not below this one
    uint32_t first_token = 0;  // its tokens: up to the next node's first_token
    uint16_t depth = 0;        // bytes up to here, this one included
    uint8_t byte = 0;
  };
  struct Entry {
    std::string_view bytes;  // 1 to 65535
    int32_t token = 0;
  };
  explicit TokenTrie(std::vector<Entry> entries);
  TokenTrie() : TokenTrie(std::vector<Entry>{}) {}

  size_t size() const { return nodes_.size() - 1; }
  const Node* nodes() const { return nodes_.data(); }  // (size() + 1), the last one only ends the tokens
  const int32_t* tokens() const { return tokens_.data(); }
  size_t max_depth() const { return max_depth_; }

 private:
  std::vector<Node> nodes_;
  std::vector<int32_t> tokens_;
  size_t max_depth_ = 0;
};

// Plain-text tokens of at most max_characters characters that the group before does not hold.
struct PlainGroup {
  uint32_t max_characters = 0;
  TokenTrie trie;
  std::vector<uint64_t> bits;  // the same tokens as a mask
};

// Immutable after construction; any thread.
class Vocabulary {
 public:
  // token_bytes: what each token stands for; "" for one that a grammar never allows (control tokens, and longer ones
  // than 65535 bytes count as such). end_tokens: those that end an answer; the grammar's end allows them.
  Vocabulary(const std::vector<std::string>& token_bytes, std::vector<int32_t> end_tokens);

  int32_t size() const { return static_cast<int32_t>(offsets_.size()) - 1; }
  size_t mask_words() const { return (static_cast<size_t>(size()) + 63) / 64; }
  std::string_view bytes(int32_t token) const;
  const std::vector<int32_t>& end_tokens() const { return end_tokens_; }
  bool IsEnd(int32_t token) const;

  const TokenTrie& mixed() const { return mixed_; }                       // tokens that are not plain text
  const std::vector<PlainGroup>& plain_groups() const { return plain_; }  // by max_characters

 private:
  std::string bytes_;
  std::vector<uint32_t> offsets_;
  std::vector<int32_t> end_tokens_;
  TokenTrie mixed_;
  std::vector<PlainGroup> plain_;
};

// The number of characters when the bytes are whole plain-text characters, 0 otherwise.
uint32_t PlainCharacters(std::string_view bytes);

}  // namespace tenfold::grammar
