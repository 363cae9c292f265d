#include "grammar/vocabulary.h"

#include <algorithm>

#include "base/check.h"
#include "grammar/char_set.h"
#include "grammar/unicode_text.h"

namespace tenfold::grammar {
namespace {

constexpr uint32_t kGroupEnds[] = {4, 8, 16, 32, UINT32_MAX};

}  // namespace

uint32_t PlainCharacters(std::string_view bytes) {
  uint32_t count = 0;
  while (!bytes.empty()) {
    uint32_t character = 0;
    const size_t length = DecodeCharacter(bytes, &character);
    if (length == 0 || !CharSet::PlainText().Contains(character)) return 0;
    bytes.remove_prefix(length);
    ++count;
  }
  return count;
}

TokenTrie::TokenTrie(std::vector<Entry> entries) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.bytes != b.bytes ? a.bytes < b.bytes : a.token < b.token; });
  std::vector<uint32_t> path;  // nodes from the root to the last token's
  std::string_view before;
  for (const Entry& entry : entries) {
    const auto differ = std::mismatch(before.begin(), before.end(), entry.bytes.begin(), entry.bytes.end());
    const auto shared = static_cast<size_t>(differ.second - entry.bytes.begin());
    for (; path.size() > shared; path.pop_back()) nodes_[path.back()].after = static_cast<uint32_t>(nodes_.size());
    for (size_t i = shared; i < entry.bytes.size(); ++i) {
      path.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back({.first_token = static_cast<uint32_t>(tokens_.size()),
                        .depth = static_cast<uint16_t>(i + 1),
                        .byte = static_cast<uint8_t>(entry.bytes[i])});
    }
    tokens_.push_back(entry.token);
    before = entry.bytes;
    max_depth_ = std::max(max_depth_, entry.bytes.size());
  }
  for (const uint32_t node : path) nodes_[node].after = static_cast<uint32_t>(nodes_.size());
  nodes_.push_back({.first_token = static_cast<uint32_t>(tokens_.size())});
}

Vocabulary::Vocabulary(const std::vector<std::string>& token_bytes, std::vector<int32_t> end_tokens)
    : end_tokens_(std::move(end_tokens)) {
  std::sort(end_tokens_.begin(), end_tokens_.end());
  size_t total = 0;
  for (const std::string& bytes : token_bytes) total += bytes.size();
  TENFOLD_CHECK(total <= UINT32_MAX, "a vocabulary's bytes fit 32 bits");
  bytes_.reserve(total);  // views into it stay valid
  offsets_.push_back(0);
  std::vector<TokenTrie::Entry> mixed;
  std::vector<TokenTrie::Entry> plain[std::size(kGroupEnds)];
  for (size_t token = 0; token < token_bytes.size(); ++token) {
    const bool allowed = token_bytes[token].size() <= UINT16_MAX;
    if (allowed) bytes_ += token_bytes[token];
    const std::string_view bytes = std::string_view(bytes_).substr(offsets_.back());
    offsets_.push_back(static_cast<uint32_t>(bytes_.size()));
    if (bytes.empty() || IsEnd(static_cast<int32_t>(token))) continue;
    const uint32_t characters = PlainCharacters(bytes);
    const auto group = std::lower_bound(std::begin(kGroupEnds), std::end(kGroupEnds), characters);
    auto& entries = characters == 0 ? mixed : plain[group - std::begin(kGroupEnds)];
    entries.push_back({bytes, static_cast<int32_t>(token)});
  }
  mixed_ = TokenTrie(std::move(mixed));
  for (size_t i = 0; i < std::size(kGroupEnds); ++i) {
    if (plain[i].empty()) continue;
    PlainGroup group{.max_characters = 0, .trie = {}, .bits = std::vector<uint64_t>(mask_words(), 0)};
    for (const TokenTrie::Entry& entry : plain[i]) {
      group.max_characters = std::max(group.max_characters, PlainCharacters(entry.bytes));
      group.bits[static_cast<size_t>(entry.token) / 64] |= 1ULL << (entry.token % 64);
    }
    group.trie = TokenTrie(std::move(plain[i]));
    plain_.push_back(std::move(group));
  }
}

std::string_view Vocabulary::bytes(int32_t token) const {
  const auto at = static_cast<size_t>(token);
  return std::string_view(bytes_).substr(offsets_[at], offsets_[at + 1] - offsets_[at]);
}

bool Vocabulary::IsEnd(int32_t token) const {
  return std::binary_search(end_tokens_.begin(), end_tokens_.end(), token);
}

}  // namespace tenfold::grammar
