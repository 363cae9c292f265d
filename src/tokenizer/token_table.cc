#include "tokenizer/token_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>

namespace tenfold::tokenizer {
namespace {

constexpr size_t kMaxTokens = size_t{1} << 24;
constexpr size_t kMaxTextBytes = size_t{1} << 30;

}  // namespace

Result<TokenTable> TokenTable::Build(std::span<const std::string> tokens) {
  if (tokens.empty()) return Error{ErrorCode::kCorrupt, "tokenizer.ggml.tokens is empty: the model has no vocabulary"};
  if (tokens.size() > kMaxTokens) {
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("tokenizer.ggml.tokens holds {} tokens, more than the {} supported", tokens.size(), kMaxTokens)};
  }
  size_t text_bytes = 0;
  for (const std::string& token : tokens) text_bytes += token.size();
  if (text_bytes > kMaxTextBytes) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("tokenizer.ggml.tokens holds {} bytes of text, more than the {} supported", text_bytes,
                             kMaxTextBytes)};
  }

  TokenTable table;
  table.texts_.reserve(text_bytes);
  table.offsets_.reserve(tokens.size() + 1);
  table.offsets_.push_back(0);
  table.slots_.resize(std::bit_ceil(tokens.size() * 2));
  const size_t mask = table.slots_.size() - 1;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string& token = tokens[i];
    const size_t hash = std::hash<std::string_view>{}(token);
    const auto tag = static_cast<uint32_t>(hash >> 32);
    size_t at = hash & mask;
    for (; table.slots_[at].id != kNoToken; at = (at + 1) & mask) {
      if (table.slots_[at].tag == tag && tokens[table.slots_[at].id] == token) {
        return Error{ErrorCode::kCorrupt, fmt::format("tokenizer.ggml.tokens holds the same text for tokens {} and {}",
                                                      table.slots_[at].id, i)};
      }
    }
    table.slots_[at] = {tag, static_cast<TokenId>(i)};
    table.texts_.append(token);
    table.offsets_.push_back(static_cast<uint32_t>(table.texts_.size()));
    table.longest_bytes_ = std::max(table.longest_bytes_, token.size());
  }
  return table;
}

TokenId TokenTable::Find(std::string_view text) const {
  if (text.size() > longest_bytes_) return kNoToken;
  const size_t hash = std::hash<std::string_view>{}(text);
  const auto tag = static_cast<uint32_t>(hash >> 32);
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask; slots_[at].id != kNoToken; at = (at + 1) & mask) {
    if (slots_[at].tag == tag && Text(slots_[at].id) == text) return slots_[at].id;
  }
  return kNoToken;
}

}  // namespace tenfold::tokenizer
