#include "tokenizer/test_vocabulary.h"

#include <fmt/format.h>

#include "base/check.h"

namespace tenfold::tokenizer {

TokenId TestVocabulary::Add(std::string text, TokenType type, float score) {
  tokens.push_back(std::move(text));
  rest.types.push_back(static_cast<int64_t>(type));
  if (rest.model == TokenizerModel::kSpm) rest.scores.push_back(score);
  return static_cast<TokenId>(tokens.size()) - 1;
}

Result<std::unique_ptr<Tokenizer>> TestVocabulary::TryMake() const {
  Vocabulary vocabulary = rest;
  vocabulary.tokens = tokens;
  vocabulary.merges = merges;
  return MakeTokenizer(vocabulary);
}

std::unique_ptr<Tokenizer> TestVocabulary::Make() const {
  auto made = TryMake();
  TENFOLD_CHECK(made.ok(), made.ok() ? "" : made.error().message.c_str());
  return std::move(made).value();
}

TestVocabulary TestBpeVocabulary(PreTokenizer pre) {
  TestVocabulary v;
  v.rest.model = TokenizerModel::kBpe;
  v.rest.pre = pre;
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    const uint32_t c = printable ? byte : next++;
    v.Add(c < 0x80 ? std::string(1, static_cast<char>(c))
                   : std::string{static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))},
          TokenType::kNormal);
  }
  // Ġ is the space, Ċ the newline; Ã© is the UTF-8 of é.
  for (const char* merge : {"Ġ t",   "h e",   "i n", "r e",     "l l", "Ġt he", "he ll",  "hell o", "o r",
                            "Ġ w",   "Ġw or", "l d", "Ġwor ld", "a a", "aa aa", "Ġ Ġ",    "ĠĠ ĠĠ",  "Ċ Ċ",
                            "ĊĊ ĊĊ", "Ã ©",   "1 1", "' s",     "e r", "er e",  "aaaa a", "a b",    "Ì ģ"}) {
    std::string joined = merge;
    joined.erase(joined.find(' '), 1);
    v.merges.emplace_back(merge);
    v.Add(joined, TokenType::kNormal);
  }
  v.rest.bos = v.Add("<|endoftext|>", TokenType::kControl);
  v.Add("<|im_start|>", TokenType::kControl);
  v.rest.eos = v.Add("<|im_end|>", TokenType::kControl);
  v.Add("<think>", TokenType::kUserDefined);
  v.Add("</think>", TokenType::kUserDefined);
  return v;
}

TestVocabulary TestSpmVocabulary() {
  TestVocabulary v;
  v.rest.model = TokenizerModel::kSpm;
  v.rest.unknown = v.Add("<unk>", TokenType::kUnknown);
  v.rest.bos = v.Add("<s>", TokenType::kControl);
  v.rest.eos = v.Add("</s>", TokenType::kControl);
  for (int byte = 0; byte < 256; ++byte) v.Add(fmt::format("<0x{:02X}>", byte), TokenType::kByte);
  float score = 0;
  for (const char* piece :
       {"▁t", "he",   "▁a", "in",   "▁the", "ll", "re", "er", "▁w", "or", "▁wor", "ld", "▁world", "hello", "hell",
        "▁▁", "▁▁▁▁", "aa", "aaaa", "éé",   "</", "s>", "11", "o",  "e",  "t",    "a",  "h",      "i",     "n",
        "l",  "r",    "w",  "d",    "s",    "▁",  "é",  "<",  "/",  ">",  "1",    "u",  "k"}) {
    v.Add(piece, TokenType::kNormal, score);
    score -= 1;
  }
  v.Add("<tool>", TokenType::kUserDefined);
  return v;
}

}  // namespace tenfold::tokenizer
