#include "tokenizer/bpe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tokenizer/test_vocabulary.h"

namespace tenfold::tokenizer {
namespace {

constexpr EncodeOptions kPlain{};
constexpr EncodeOptions kSpecial{.parse_special = true};

std::vector<std::string> Pieces(const Tokenizer& tokenizer, std::string_view text, EncodeOptions options = kPlain) {
  std::vector<std::string> pieces;
  for (const TokenId id : tokenizer.Encode(text, options)) pieces.push_back(tokenizer.TokenBytes(id, true));
  return pieces;
}

using V = std::vector<std::string>;

TEST(BpeTest, MergesByRankInsideWords) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  EXPECT_EQ(Pieces(*tokenizer, "hello the world"), (V{"hello", " the", " world"}));
  EXPECT_EQ(Pieces(*tokenizer, "hell he's 11"), (V{"hell", " ", "he", "'s", " ", "1", "1"}));
  EXPECT_EQ(Pieces(*tokenizer, ""), V{});
  EXPECT_EQ(Pieces(*tokenizer, "aaab"), (V{"aa", "ab"}));  // "a a" has the better rank than "a b", leftmost first
}

TEST(BpeTest, BytesOfInvalidTextBecomeByteTokens) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  const std::string text = "he\xFF\xC3(\xE2\x82";
  EXPECT_EQ(tokenizer->Encode(text, kPlain),
            (std::vector<TokenId>{tokenizer->Find("he"), 0xFF, 0xC3, '(', 0xE2, 0x82}));
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text, kPlain), false), text);
}

TEST(BpeTest, Qwen2NormalisesAndTheOthersDoNot) {
  EXPECT_EQ(Pieces(*TestBpeVocabulary(PreTokenizer::kQwen2).Make(), "e\u0301"), (V{"\u00E9"}));
  EXPECT_EQ(Pieces(*TestBpeVocabulary(PreTokenizer::kLlama3).Make(), "e\u0301"), (V{"e", "\u0301"}));
}

TEST(BpeTest, Llama3TakesWholeWordsBeforeMerging) {
  TestVocabulary v = TestBpeVocabulary(PreTokenizer::kLlama3);
  const TokenId whole = v.Add("zebra", TokenType::kNormal);  // no merges lead here
  EXPECT_EQ(v.Make()->Encode("zebra", kPlain), std::vector<TokenId>{whole});
  v.rest.pre = PreTokenizer::kQwen2;
  EXPECT_EQ(v.Make()->Encode("zebra", kPlain).size(), 5u);
}

TEST(BpeTest, ControlTokensOnlyWhenAsked) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  const std::string text = "<|im_start|>hello<|im_end|>";
  const TokenId start = tokenizer->Find("<|im_start|>");
  const TokenId end = tokenizer->Find("<|im_end|>");
  EXPECT_EQ(tokenizer->Encode(text, kSpecial), (std::vector<TokenId>{start, tokenizer->Find("hello"), end}));
  for (const TokenId id : tokenizer->Encode(text, kPlain)) EXPECT_FALSE(tokenizer->IsControl(id));
  EXPECT_EQ(tokenizer->Decode({start, 'x', end}, false), "x");
  EXPECT_EQ(tokenizer->Decode({start, 'x', end}, true), "<|im_start|>x<|im_end|>");
}

TEST(BpeTest, UserDefinedTokensAlways) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  EXPECT_EQ(Pieces(*tokenizer, "a<think>b</think>"), (V{"a", "<think>", "b", "</think>"}));
  EXPECT_EQ(tokenizer->Decode({tokenizer->Find("<think>")}, false), "<think>");
}

TEST(BpeTest, LongestSpecialTokenWins) {
  TestVocabulary v = TestBpeVocabulary(PreTokenizer::kQwen2);
  v.Add("<|im", TokenType::kUserDefined);
  const TokenId longest = v.Add("<|im_start|>system", TokenType::kControl);
  const auto tokenizer = v.Make();
  EXPECT_EQ(tokenizer->Encode("<|im_start|>system", kSpecial), std::vector<TokenId>{longest});
  EXPECT_EQ(Pieces(*tokenizer, "<|im_start|>sys", kSpecial), (V{"<|im_start|>", "s", "y", "s"}));
  EXPECT_EQ(Pieces(*tokenizer, "<|im_sta", kSpecial), (V{"<|im", "_", "s", "t", "a"}));
  EXPECT_EQ(Pieces(*tokenizer, "<|im_start|>", kPlain).front(), "<|im");
}

// A vocabulary whose merges, whole words or mistyped chat markup lead from ordinary text to a control token.
TEST(BpeTest, NoTextMakesAControlToken) {
  for (const PreTokenizer pre : {PreTokenizer::kQwen2, PreTokenizer::kLlama3, PreTokenizer::kGpt2}) {
    TestVocabulary v = TestBpeVocabulary(pre);
    v.Add("xy", TokenType::kControl);
    v.merges.emplace_back("x y");
    v.Add("word", TokenType::kControl);
    v.Add("<end_of_turn>", TokenType::kUserDefined);
    const auto tokenizer = v.Make();
    for (const char* text : {"xy", "word", " xy word", "<end_of_turn>"}) {
      for (const TokenId id : tokenizer->Encode(text, kPlain)) EXPECT_FALSE(tokenizer->IsControl(id)) << text;
    }
    EXPECT_EQ(tokenizer->Encode("xy<end_of_turn>", kSpecial).size(), 2u);
  }
}

TEST(BpeTest, BosWhereTheFileSaysSo) {
  TestVocabulary v = TestBpeVocabulary(PreTokenizer::kQwen2);
  EXPECT_FALSE(v.Make()->adds_bos());
  v.rest.add_bos = true;
  const auto tokenizer = v.Make();
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->Encode("a", {.add_special = true}), (std::vector<TokenId>{tokenizer->bos(), 'a'}));
  EXPECT_EQ(tokenizer->Encode("a", kPlain), (std::vector<TokenId>{'a'}));
  EXPECT_TRUE(TestBpeVocabulary(PreTokenizer::kLlama3).Make()->adds_bos());
}

// The definition of BPE: look for the best pair again after every join.
std::vector<TokenId> NaiveEncode(const TestVocabulary& v, const Tokenizer& tokenizer, std::string_view word) {
  std::map<std::pair<TokenId, TokenId>, std::pair<size_t, TokenId>> merges;
  for (size_t i = 0; i < v.merges.size(); ++i) {
    const size_t space = v.merges[i].find(' ');
    const std::string left = v.merges[i].substr(0, space), right = v.merges[i].substr(space + 1);
    merges.emplace(std::pair(tokenizer.Find(left), tokenizer.Find(right)), std::pair(i, tokenizer.Find(left + right)));
  }
  std::vector<TokenId> ids;
  for (const char c : word) ids.push_back(static_cast<uint8_t>(c));
  while (true) {
    size_t best = ids.size();
    std::pair<size_t, TokenId> best_merge{SIZE_MAX, 0};
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto merge = merges.find({ids[i], ids[i + 1]});
      if (merge != merges.end() && merge->second < best_merge) best = i, best_merge = merge->second;
    }
    if (best == ids.size()) return ids;
    ids[best] = best_merge.second;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(BpeTest, AgreesWithTheDefinitionOnRandomMergesAndWords) {
  std::mt19937 random(3);
  for (int vocabulary = 0; vocabulary < 40; ++vocabulary) {
    TestVocabulary v = TestBpeVocabulary(PreTokenizer::kQwen2);
    v.merges.clear();
    std::vector<std::string> parts{"a", "b", "c"};
    for (int i = 0; i < 30; ++i) {
      const std::string left = parts[random() % parts.size()], right = parts[random() % parts.size()];
      v.merges.push_back(left + " " + right);
      if (std::find(v.tokens.begin(), v.tokens.end(), left + right) == v.tokens.end()) {
        v.Add(left + right, TokenType::kNormal);
        parts.push_back(left + right);
      }
    }
    const auto tokenizer = v.Make();
    for (int round = 0; round < 50; ++round) {
      std::string word;
      const int length = 1 + static_cast<int>(random() % 60);
      for (int i = 0; i < length; ++i) word += static_cast<char>('a' + random() % 3);
      ASSERT_EQ(tokenizer->Encode(word, kPlain), NaiveEncode(v, *tokenizer, word)) << word;
    }
  }
}

}  // namespace
}  // namespace tenfold::tokenizer
