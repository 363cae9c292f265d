#include "tokenizer/special_tokens.h"

namespace tenfold::tokenizer {

int32_t SpecialTokens::ChildOf(int32_t node, uint8_t byte) const {
  int32_t child = nodes_[node].first_child;
  while (child >= 0 && nodes_[child].byte != byte) child = nodes_[child].next_sibling;
  return child;
}

void SpecialTokens::Add(std::string_view text, TokenId id, bool is_control) {
  if (text.empty()) return;
  int32_t& root = roots_[static_cast<uint8_t>(text[0])];
  if (root < 0) {
    root = static_cast<int32_t>(nodes_.size());
    nodes_.push_back({.byte = static_cast<uint8_t>(text[0])});
  }
  int32_t node = root;
  for (const char c : text.substr(1)) {
    const auto byte = static_cast<uint8_t>(c);
    int32_t child = ChildOf(node, byte);
    if (child < 0) {
      child = static_cast<int32_t>(nodes_.size());
      nodes_.push_back({.byte = byte, .next_sibling = nodes_[node].first_child});
      nodes_[node].first_child = child;
    }
    node = child;
  }
  nodes_[node].id = id;
  nodes_[node].is_control = is_control;
}

std::optional<SpecialTokens::Match> SpecialTokens::FindNext(std::string_view text, size_t from, bool with_control,
                                                            std::span<const TextRange>& data) const {
  if (nodes_.empty()) return std::nullopt;
  for (size_t begin = from; begin < text.size(); ++begin) {
    while (!data.empty() && data.front().end <= begin) data = data.subspan(1);
    // A control token that begins here must end before data does begin.
    const size_t control_end = !with_control ? 0 : data.empty() ? text.size() : data.front().begin;
    int32_t node = roots_[static_cast<uint8_t>(text[begin])];
    Match longest{begin, 0, kNoToken};
    for (size_t end = begin + 1; node >= 0; ++end) {
      if (nodes_[node].id != kNoToken && (!nodes_[node].is_control || end <= control_end)) {
        longest = {begin, end - begin, nodes_[node].id};
      }
      if (end == text.size()) break;
      node = ChildOf(node, static_cast<uint8_t>(text[end]));
    }
    if (longest.id != kNoToken) return longest;
  }
  return std::nullopt;
}

}  // namespace tenfold::tokenizer
