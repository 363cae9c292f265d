#include "tokenizer/stream_decoder.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tokenizer/test_vocabulary.h"
#include "tokenizer/unicode.h"

namespace tenfold::tokenizer {
namespace {

bool IsValidUtf8(const std::string& text) {
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = DecodeUtf8(text, pos);
    if (c.kind != Utf8Kind::kValid) return false;
    pos += c.length;
  }
  return true;
}

TEST(StreamDecoderTest, HoldsHalfACharacter) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  StreamDecoder decoder(*tokenizer, false, false);
  EXPECT_EQ(decoder.Push('a'), "a");
  for (const TokenId byte : {0xF0, 0x9F, 0x98}) EXPECT_EQ(decoder.Push(byte), "");
  EXPECT_EQ(decoder.Push(0x80), "\U0001F600");
  EXPECT_EQ(decoder.Finish(), "");
}

TEST(StreamDecoderTest, BrokenCharactersComeOutAsSoonAsTheyAre) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  StreamDecoder decoder(*tokenizer, false, false);
  EXPECT_EQ(decoder.Push(0xFF), "\uFFFD");
  EXPECT_EQ(decoder.Push(0xE2), "");
  EXPECT_EQ(decoder.Push('x'), "\uFFFDx");
  EXPECT_EQ(decoder.Push(0xC3), "");
  EXPECT_EQ(decoder.Finish(), "\uFFFD");
  EXPECT_EQ(decoder.Finish(), "");
}

TEST(StreamDecoderTest, ControlTokensAreHiddenUnlessAsked) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  const TokenId end = tokenizer->Find("<|im_end|>");
  EXPECT_EQ(StreamDecoder(*tokenizer, false, false).Push(end), "");
  EXPECT_EQ(StreamDecoder(*tokenizer, true, false).Push(end), "<|im_end|>");
}

TEST(StreamDecoderTest, SpmDropsTheFirstSpaceOnlyAtTheStartOfText) {
  const auto tokenizer = TestSpmVocabulary().Make();
  const TokenId the = tokenizer->Find("▁the");
  StreamDecoder start(*tokenizer, false, true);
  EXPECT_EQ(start.Push(tokenizer->bos()), "");
  EXPECT_EQ(start.Push(the), "the");
  EXPECT_EQ(start.Push(the), " the");
  EXPECT_EQ(StreamDecoder(*tokenizer, false, false).Push(the), " the");
}

TEST(StreamDecoderTest, AnyTokensGiveTheLossyTextInValidPieces) {
  std::mt19937 random(9);
  const std::unique_ptr<Tokenizer> tokenizers[] = {TestBpeVocabulary(PreTokenizer::kQwen2).Make(),
                                                   TestSpmVocabulary().Make()};
  for (const auto& tokenizer : tokenizers) {
    for (int round = 0; round < 5000; ++round) {
      const bool special = random() % 2 == 0;
      std::vector<TokenId> ids;
      const int length = static_cast<int>(random() % 20);
      for (int i = 0; i < length; ++i) {
        // Mostly lead and continuation bytes, so that characters form and break.
        const TokenId byte0 = tokenizer->vocab_size() > 300 && tokenizer->adds_space_prefix() ? 3 : 0;
        ids.push_back(random() % 3 == 0 ? static_cast<TokenId>(random() % tokenizer->vocab_size())
                                        : byte0 + 0x80 + static_cast<TokenId>(random() % 0x80));
      }
      StreamDecoder decoder(*tokenizer, special, true);
      std::string streamed;
      for (const TokenId id : ids) {
        const std::string piece = decoder.Push(id);
        ASSERT_TRUE(IsValidUtf8(piece));
        streamed += piece;
      }
      streamed += decoder.Finish();
      std::string wanted;
      AppendLossyUtf8(tokenizer->Decode(ids, special), false, wanted);
      ASSERT_EQ(streamed, wanted);
    }
  }
}

}  // namespace
}  // namespace tenfold::tokenizer
