#include "tokenizer/spm.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "gguf/quote.h"
#include "tokenizer/unicode.h"

namespace tenfold::tokenizer {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581

// "<0x0A>" → 0x0A.
std::optional<uint8_t> ByteOf(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  uint8_t byte = 0;
  const char* end = token.data() + 5;
  const auto [stop, error] = std::from_chars(token.data() + 3, end, byte, 16);
  if (error != std::errc() || stop != end) return std::nullopt;
  return byte;
}

std::string EscapeSpaces(std::string_view text, bool prefix) {
  std::string out;
  out.reserve(text.size() + text.size() / 2 + kSpaceMark.size());
  if (prefix) out.append(kSpaceMark);
  for (const char c : text) {
    if (c == ' ') {
      out.append(kSpaceMark);
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string UnescapeSpaces(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    if (text.substr(pos).starts_with(kSpaceMark)) {
      out.push_back(' ');
      pos += kSpaceMark.size();
    } else {
      out.push_back(text[pos++]);
    }
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> MakeSpm(const Vocabulary& vocabulary) { return SpmTokenizer::Make(vocabulary); }

Result<std::unique_ptr<Tokenizer>> SpmTokenizer::Make(const Vocabulary& vocabulary) {
  std::unique_ptr<SpmTokenizer> made(new SpmTokenizer(vocabulary.add_space_prefix));
  TENFOLD_TRY_STATUS(made->Init(vocabulary, /*add_bos_default=*/true));
  TENFOLD_TRY_STATUS(made->InitScores(vocabulary));
  TENFOLD_TRY_STATUS(made->InitBytes(/*typed=*/!vocabulary.types.empty()));
  return std::unique_ptr<Tokenizer>(std::move(made));
}

Status SpmTokenizer::InitScores(const Vocabulary& vocabulary) {
  const std::vector<float>& scores = vocabulary.scores;
  if (scores.size() != static_cast<size_t>(vocab_size())) {
    return Error{ErrorCode::kCorrupt,
                 fmt::format("tokenizer.ggml.scores has {} entries for {} tokens", scores.size(), vocab_size())};
  }
  for (size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) {
      return Error{ErrorCode::kCorrupt, fmt::format("tokenizer.ggml.scores[{}] is not a number", i)};
    }
  }
  std::vector<float> sorted = scores;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  for (const float score : scores) {
    const auto place = std::lower_bound(sorted.begin(), sorted.end(), score, std::greater<>());
    ranks_.push_back(static_cast<uint32_t>(place - sorted.begin()));
  }
  return {};
}

Status SpmTokenizer::InitBytes(bool typed) {
  byte_ids_.fill(kNoToken);
  for (TokenId id = 0; id < vocab_size(); ++id) {
    const std::string_view text = table().Text(id);
    const std::optional<uint8_t> byte = ByteOf(text);
    if (type(id) == TokenType::kByte && !byte) {
      return Error{ErrorCode::kCorrupt,
                   fmt::format("tokenizer.ggml.token_type[{}] says byte, but the token is {}, not \"<0xNN>\"", id,
                               gguf::Quote(text))};
    }
    has_unused_ |= type(id) == TokenType::kUnused;
    if (byte && (type(id) == TokenType::kByte || !typed)) {
      byte_ids_[*byte] = id;
      const char c = static_cast<char>(*byte);
      AddBytes(std::string_view(&c, 1));
    } else if (type(id) == TokenType::kNormal || type(id) == TokenType::kUnused) {
      AddBytes(UnescapeSpaces(text));
    } else {
      AddBytes(text);
    }
  }
  const bool all_bytes = std::find(byte_ids_.begin(), byte_ids_.end(), kNoToken) == byte_ids_.end();
  if (!all_bytes && unknown() == kNoToken) {
    return Error{ErrorCode::kCorrupt,
                 "tokenizer.ggml.tokens lacks byte tokens (\"<0x00>\" to \"<0xFF>\") and tokenizer.ggml."
                 "unknown_token_id is missing: text outside the vocabulary could not be encoded"};
  }
  return {};
}

// What no piece covers: its bytes, or one unknown token where a byte has no token.
void SpmTokenizer::AppendFallback(std::string_view piece, std::vector<TokenId>& ids) const {
  const auto id_of = [&](char c) { return byte_ids_[static_cast<uint8_t>(c)]; };
  if (std::any_of(piece.begin(), piece.end(), [&](char c) { return id_of(c) == kNoToken; })) {
    ids.push_back(unknown());
    return;
  }
  for (const char c : piece) ids.push_back(id_of(c));
}

void SpmTokenizer::AppendPiece(std::string_view piece, const Splits& splits, std::vector<TokenId>& ids) const {
  std::vector<std::string_view> left_to_do{piece};  // not recursion: a chain of unused pieces may be long
  while (!left_to_do.empty()) {
    const std::string_view part = left_to_do.back();
    left_to_do.pop_back();
    const TokenId id = FindMergeable(part);
    const auto split = id != kNoToken && type(id) == TokenType::kUnused ? splits.find(id) : splits.end();
    if (split != splits.end()) {
      left_to_do.push_back(part.substr(split->second));
      left_to_do.push_back(part.substr(0, split->second));
    } else if (id != kNoToken) {
      ids.push_back(id);
    } else {
      AppendFallback(part, ids);
    }
  }
}

void SpmTokenizer::EncodePlain(std::string_view raw, bool begins, std::vector<TokenId>& ids) const {
  const std::string text = EscapeSpaces(raw, space_prefix_ && begins);
  const auto size = static_cast<uint32_t>(text.size());
  std::vector<MergeSymbol> symbols;
  for (uint32_t pos = 0; pos < size;) {
    const auto index = static_cast<int32_t>(symbols.size());
    const Utf8Char c = DecodeUtf8(text, pos);
    symbols.push_back({pos, FindMergeable(std::string_view(text).substr(pos, c.length)), index - 1, index + 1, {}});
    pos += c.length;
  }
  symbols.back().next = -1;

  const auto end_of = [&](const MergeSymbol& s) { return s.next < 0 ? size : symbols[s.next].begin; };
  Splits splits;
  MergeHeap heap;
  MergeSymbols(symbols, heap, [&](const MergeSymbol& left, const MergeSymbol& right) -> PairMerge {
    const TokenId id = FindMergeable(std::string_view(text).substr(left.begin, end_of(right) - left.begin));
    if (id == kNoToken) return {};
    if (has_unused_ && type(id) == TokenType::kUnused) splits[id] = right.begin - left.begin;
    return {ranks_[id], id};
  });

  for (int32_t i = 0; i >= 0; i = symbols[i].next) {
    const MergeSymbol& symbol = symbols[i];
    if (symbol.id != kNoToken && type(symbol.id) != TokenType::kUnused) {
      ids.push_back(symbol.id);
    } else {
      AppendPiece(std::string_view(text).substr(symbol.begin, end_of(symbol) - symbol.begin), splits, ids);
    }
  }
}

}  // namespace tenfold::tokenizer
