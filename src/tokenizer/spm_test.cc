#include "tokenizer/spm.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "tokenizer/test_vocabulary.h"

namespace tenfold::tokenizer {
namespace {

constexpr EncodeOptions kPlain{};
constexpr EncodeOptions kSpecial{.parse_special = true};
using V = std::vector<std::string>;

std::vector<std::string> Pieces(const Tokenizer& tokenizer, std::string_view text, EncodeOptions options = kPlain) {
  std::vector<std::string> pieces;
  for (const TokenId id : tokenizer.Encode(text, options)) pieces.push_back(tokenizer.TokenBytes(id, true));
  return pieces;
}

TEST(SpmTest, JoinsByScore) {
  const auto tokenizer = TestSpmVocabulary().Make();
  EXPECT_EQ(Pieces(*tokenizer, "the world"), (V{" the", " world"}));
  EXPECT_EQ(Pieces(*tokenizer, "hello"), (V{" ", "hello"}));
  EXPECT_EQ(Pieces(*tokenizer, ""), V{});
  EXPECT_EQ(Pieces(*tokenizer, "   a"), (V{"  ", " ", " a"}));  // the leftmost of equals; " a" beats "  "
}

TEST(SpmTest, FallsBackToBytes) {
  const auto tokenizer = TestSpmVocabulary().Make();
  const std::string text = "t\u4E2D\xFF\n";
  EXPECT_EQ(tokenizer->Encode(text, kPlain),
            (std::vector<TokenId>{tokenizer->Find("▁t"), 3 + 0xE4, 3 + 0xB8, 3 + 0xAD, 3 + 0xFF, 3 + '\n'}));
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text, kPlain), false), text);
}

TEST(SpmTest, UnknownTokenWhereBytesAreMissing) {
  TestVocabulary v = TestSpmVocabulary();
  for (int byte = 0; byte < 256; ++byte) {
    v.tokens[3 + byte] = "unused" + std::to_string(byte);
    v.rest.types[3 + byte] = static_cast<int64_t>(TokenType::kUnused);
  }
  const auto tokenizer = v.Make();
  EXPECT_EQ(tokenizer->Encode("t\u4E2D", kPlain), (std::vector<TokenId>{tokenizer->Find("▁t"), 0}));
  EXPECT_EQ(tokenizer->Decode({0}, false), "");
}

TEST(SpmTest, DecodeDropsTheOneSpaceInFront) {
  const auto tokenizer = TestSpmVocabulary().Make();
  for (const char* text : {"the", " the", "  the ", "", " ", "<tool> x"}) {
    EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text, {.add_special = true}), false), text);
  }
  EXPECT_EQ(tokenizer->Decode({1, tokenizer->Find("▁the")}, true), "<s>the");
  EXPECT_EQ(tokenizer->Decode({tokenizer->Find("he"), tokenizer->Find("▁the")}, false), "he the");
}

// As SentencePiece does: a user-defined token is part of the text, a control token begins a new one.
TEST(SpmTest, SpacePrefixAfterControlTokensButNotAfterUserDefinedOnes) {
  const auto tokenizer = TestSpmVocabulary().Make();
  EXPECT_EQ(Pieces(*tokenizer, "<s>the", kSpecial), (V{"<s>", " the"}));
  EXPECT_EQ(Pieces(*tokenizer, "<tool>the", kSpecial), (V{"<tool>", "t", "he"}));
}

TEST(SpmTest, SpacePrefixIsTheFilesChoice) {
  TestVocabulary v = TestSpmVocabulary();
  v.rest.add_space_prefix = false;
  const auto tokenizer = v.Make();
  EXPECT_EQ(Pieces(*tokenizer, "the the"), (V{"t", "he", " the"}));
  EXPECT_EQ(tokenizer->Decode({tokenizer->Find("▁the")}, false), " the");
}

// SentencePiece keeps control pieces out of joins; "</" and "s>" are pieces here and must stay two.
TEST(SpmTest, NoTextMakesAControlToken) {
  const auto tokenizer = TestSpmVocabulary().Make();
  EXPECT_EQ(Pieces(*tokenizer, "</s>"), (V{" ", "</", "s>"}));
  EXPECT_EQ(tokenizer->Encode("</s>", kSpecial), std::vector<TokenId>{2});
  for (const char* text : {"<s>", "<unk>", "<0x41>", "a<s></s>"}) {
    for (const TokenId id : tokenizer->Encode(text, kPlain)) {
      EXPECT_FALSE(tokenizer->IsControl(id) || id == 0 || id == 3 + 0x41) << text << " gives " << id;
    }
  }
}

TEST(SpmTest, BosByDefault) {
  const auto tokenizer = TestSpmVocabulary().Make();
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->Encode("", {.add_special = true}), std::vector<TokenId>{1});
  TestVocabulary v = TestSpmVocabulary();
  v.rest.add_bos = false;
  EXPECT_FALSE(v.Make()->adds_bos());
}

TEST(SpmTest, UnusedPiecesAreTakenApartAgain) {
  TestVocabulary v = TestSpmVocabulary();
  v.rest.add_space_prefix = false;
  for (size_t i = 0; i < v.tokens.size(); ++i) {
    if (v.tokens[i] == "hell") v.rest.types[i] = static_cast<int64_t>(TokenType::kUnused);
  }
  const auto tokenizer = v.Make();
  EXPECT_EQ(Pieces(*tokenizer, "hell"), (V{"he", "ll"}));
  EXPECT_EQ(Pieces(*tokenizer, "hello"), (V{"hello"}));  // the way there leads through the unused piece
}

// The definition: join the pair with the best score, leftmost of equals, until none is left.
std::vector<std::string> NaivePieces(const std::map<std::string, float>& scores, const std::string& text) {
  std::vector<std::string> parts;
  for (const char c : text) parts.emplace_back(1, c);
  while (true) {
    size_t best = parts.size();
    float best_score = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto piece = scores.find(parts[i] + parts[i + 1]);
      if (piece != scores.end() && (best == parts.size() || piece->second > best_score)) {
        best = i;
        best_score = piece->second;
      }
    }
    if (best == parts.size()) return parts;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

// Few different scores, so that ties and stale heap entries of equal score are common.
TEST(SpmTest, AgreesWithTheDefinitionOnRandomPiecesAndText) {
  std::mt19937 random(5);
  for (int vocabulary = 0; vocabulary < 60; ++vocabulary) {
    TestVocabulary v = TestSpmVocabulary();
    v.tokens.resize(259), v.rest.types.resize(259), v.rest.scores.resize(259);
    v.rest.add_space_prefix = false;
    std::map<std::string, float> scores;
    for (int i = 0; i < 40; ++i) {
      std::string piece;
      const int length = 1 + static_cast<int>(random() % 5);
      for (int j = 0; j < length; ++j) piece += static_cast<char>('a' + random() % 3);
      const auto score = -static_cast<float>(random() % 4);
      if (scores.emplace(piece, score).second) v.Add(piece, TokenType::kNormal, score);
    }
    const auto tokenizer = v.Make();
    for (int round = 0; round < 50; ++round) {
      std::string text;
      const int length = 1 + static_cast<int>(random() % 60);
      for (int i = 0; i < length; ++i) text += static_cast<char>('a' + random() % 3);
      ASSERT_EQ(Pieces(*tokenizer, text), NaivePieces(scores, text)) << text;
    }
  }
}

}  // namespace
}  // namespace tenfold::tokenizer
