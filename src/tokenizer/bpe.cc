#include "tokenizer/bpe.h"

#include <fmt/format.h>

#include <bit>
#include <utility>

#include "gguf/quote.h"
#include "tokenizer/unicode.h"

namespace tenfold::tokenizer {
namespace {

// GPT-2's alphabet writes each byte as one printable character: itself where Latin-1 prints it, else from U+0100 on.
struct ByteAlphabet {
  std::array<std::string, 256> text_of;  // UTF-8, 1 or 2 bytes
  std::array<int16_t, 0x144> byte_of;    // by code point, -1 when it stands for no byte

  ByteAlphabet() {
    byte_of.fill(-1);
    uint32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      const uint32_t code_point = printable ? static_cast<uint32_t>(byte) : next++;
      byte_of[code_point] = static_cast<int16_t>(byte);
      if (code_point < 0x80) {
        text_of[byte] = {static_cast<char>(code_point)};
      } else {
        text_of[byte] = {static_cast<char>(0xC0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 0x3F))};
      }
    }
  }
};

const ByteAlphabet& Alphabet() {
  static const ByteAlphabet kAlphabet;
  return kAlphabet;
}

// The bytes that a normal token's text writes; characters outside the alphabet stand for themselves.
void DecodeAlphabet(std::string_view text, std::string& out) {
  out.clear();
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = DecodeUtf8(text, pos);
    const int byte = c.code_point < Alphabet().byte_of.size() ? Alphabet().byte_of[c.code_point] : -1;
    if (c.kind == Utf8Kind::kValid && byte >= 0) {
      out.push_back(static_cast<char>(byte));
    } else {
      out.append(text.substr(pos, c.length));
    }
    pos += c.length;
  }
}

}  // namespace

MergeTable::MergeTable(size_t merges) : slots_(std::bit_ceil(merges * 2 + 2)) {}

size_t MergeTable::SlotOf(uint64_t pair) const {
  uint64_t hash = pair * 0x9E3779B97F4A7C15u;
  hash ^= hash >> 32;
  size_t at = hash & (slots_.size() - 1);
  while (slots_[at].pair != kEmpty && slots_[at].pair != pair) at = (at + 1) & (slots_.size() - 1);
  return at;
}

void MergeTable::Add(TokenId left, TokenId right, PairMerge merge) {
  const uint64_t pair = static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
  Slot& slot = slots_[SlotOf(pair)];
  if (slot.pair == kEmpty) slot = {pair, merge};
}

PairMerge MergeTable::Find(TokenId left, TokenId right) const {
  return slots_[SlotOf(static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right))].merge;
}

Result<std::unique_ptr<Tokenizer>> MakeBpe(const Vocabulary& vocabulary) { return BpeTokenizer::Make(vocabulary); }

BpeTokenizer::BpeTokenizer(const Vocabulary& vocabulary)
    : pre_(vocabulary.pre),
      normalises_(vocabulary.pre == PreTokenizer::kQwen2),
      whole_words_(vocabulary.pre == PreTokenizer::kLlama3),
      merges_(vocabulary.merges.size()) {}

Result<std::unique_ptr<Tokenizer>> BpeTokenizer::Make(const Vocabulary& vocabulary) {
  std::unique_ptr<BpeTokenizer> made(new BpeTokenizer(vocabulary));
  // Llama 3's files may leave the key out, and mean true.
  TENFOLD_TRY_STATUS(made->Init(vocabulary, /*add_bos_default=*/vocabulary.pre == PreTokenizer::kLlama3));
  TENFOLD_TRY_STATUS(made->InitBytes());
  TENFOLD_TRY_STATUS(made->InitMerges(vocabulary));
  return std::unique_ptr<Tokenizer>(std::move(made));
}

Status BpeTokenizer::InitBytes() {
  for (int byte = 0; byte < 256; ++byte) {
    byte_ids_[byte] = FindMergeable(Alphabet().text_of[byte]);
    if (byte_ids_[byte] == kNoToken) {
      return Error{
          ErrorCode::kCorrupt,
          fmt::format("tokenizer.ggml.tokens has no normal token for byte {:#04x}; text that contains it could "
                      "not be encoded",
                      byte)};
    }
  }
  std::string bytes;
  for (TokenId id = 0; id < vocab_size(); ++id) {
    if (type(id) == TokenType::kNormal || type(id) == TokenType::kByte) {
      DecodeAlphabet(table().Text(id), bytes);
      AddBytes(bytes);
    } else {
      AddBytes(table().Text(id));
    }
  }
  return {};
}

Status BpeTokenizer::InitMerges(const Vocabulary& vocabulary) {
  std::string joined_text;
  for (size_t i = 0; i < vocabulary.merges.size(); ++i) {
    const std::string_view text = vocabulary.merges[i];
    const size_t space = text.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == text.size()) {
      return Error{
          ErrorCode::kCorrupt,
          fmt::format("tokenizer.ggml.merges[{}] is {}, not two tokens with a space between", i, gguf::Quote(text))};
    }
    const std::string_view parts[] = {text.substr(0, space), text.substr(space + 1)};
    joined_text.assign(parts[0]).append(parts[1]);
    TokenId part_ids[2];
    for (int side = 0; side < 2; ++side) {
      part_ids[side] = table().Find(parts[side]);
      if (part_ids[side] == kNoToken) {
        return Error{ErrorCode::kCorrupt,
                     fmt::format("tokenizer.ggml.merges[{}] names {}, which is not in tokenizer.ggml.tokens", i,
                                 gguf::Quote(parts[side]))};
      }
    }
    const TokenId joined = table().Find(joined_text);
    if (joined == kNoToken) {
      return Error{ErrorCode::kCorrupt,
                   fmt::format("tokenizer.ggml.merges[{}] makes {}, which is not in tokenizer.ggml.tokens", i,
                               gguf::Quote(joined_text))};
    }
    // A merge must never make a control token out of somebody's text.
    if (FindMergeable(joined_text) == kNoToken) continue;
    merges_.Add(part_ids[0], part_ids[1], {static_cast<uint32_t>(i), joined});
  }
  return {};
}

TokenId BpeTokenizer::WholeWord(std::string_view word, Scratch& scratch) const {
  if (!whole_words_ || word.size() > table().longest_bytes()) return kNoToken;
  scratch.mapped.clear();
  for (const char c : word) scratch.mapped += Alphabet().text_of[static_cast<uint8_t>(c)];
  const TokenId id = FindMergeable(scratch.mapped);
  return id != kNoToken && type(id) == TokenType::kNormal ? id : kNoToken;
}

void BpeTokenizer::EncodeWord(std::string_view word, Scratch& scratch, std::vector<TokenId>& ids) const {
  if (word.size() == 1) {
    ids.push_back(byte_ids_[static_cast<uint8_t>(word[0])]);
    return;
  }
  if (const TokenId whole = WholeWord(word, scratch); whole != kNoToken) {
    ids.push_back(whole);
    return;
  }
  std::vector<MergeSymbol>& symbols = scratch.symbols;
  symbols.clear();
  const auto size = static_cast<int32_t>(word.size());
  for (int32_t i = 0; i < size; ++i) {
    symbols.push_back({static_cast<uint32_t>(i), byte_ids_[static_cast<uint8_t>(word[i])], i - 1,
                       i + 1 < size ? i + 1 : -1, PairMerge{}});
  }
  MergeSymbols(symbols, scratch.heap,
               [this](const MergeSymbol& left, const MergeSymbol& right) { return merges_.Find(left.id, right.id); });
  for (int32_t i = 0; i >= 0; i = symbols[i].next) ids.push_back(symbols[i].id);
}

void BpeTokenizer::EncodePlain(std::string_view text, bool /*begins*/, std::vector<TokenId>& ids) const {
  std::string normal_form;
  if (normalises_) text = ToNfc(text, normal_form);
  Scratch scratch;
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = NextWord(pre_, text, pos);
    EncodeWord(text.substr(pos, end - pos), scratch, ids);
    pos = end;
  }
}

}  // namespace tenfold::tokenizer
