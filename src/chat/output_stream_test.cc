#include "chat/output_stream.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tokenizer/test_vocabulary.h"

namespace tenfold::chat {
namespace {

using tokenizer::PreTokenizer;
using tokenizer::TestBpeVocabulary;
using tokenizer::TestSpmVocabulary;
using tokenizer::TokenId;

TEST(OutputStreamTest, StopsAcrossTokenAndCharacterBorders) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  OutputStream stream(*tokenizer, {"\u4E2D!"}, false);
  EXPECT_EQ(stream.Push(tokenizer->Find("hello")), "hello");
  for (const TokenId byte : {0xE4, 0xB8, 0xAD}) EXPECT_EQ(stream.Push(byte), "");
  EXPECT_EQ(stream.Push(0xE4), "");
  EXPECT_EQ(stream.Push(0xB8), "");
  EXPECT_EQ(stream.Push(0xAD), "\u4E2D");  // the first one can no longer be the stop, the second one can
  EXPECT_FALSE(stream.stopped());
  EXPECT_EQ(stream.Push('!'), "");
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(stream.Push('x'), "");
  EXPECT_EQ(stream.Finish(), "");
}

TEST(OutputStreamTest, FinishGivesWhatWasHeld) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  OutputStream stream(*tokenizer, {"ab"}, false);
  EXPECT_EQ(stream.Push('x'), "x");
  EXPECT_EQ(stream.Push('a'), "");
  EXPECT_EQ(stream.Push(0xE2), "");
  EXPECT_EQ(stream.Finish(), "a\uFFFD");
  EXPECT_FALSE(stream.stopped());
}

TEST(OutputStreamTest, FinishGivesTheBeginningOfAStopThatNeverCame) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  OutputStream stream(*tokenizer, {"ab"}, false);
  EXPECT_EQ(stream.Push('a'), "");
  EXPECT_EQ(stream.Finish(), "a");
  EXPECT_EQ(stream.Finish(), "");
}

TEST(OutputStreamTest, TheReplacementOfAnUnfinishedCharacterCanStop) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  OutputStream stream(*tokenizer, {"a\uFFFD"}, false);
  EXPECT_EQ(stream.Push('a'), "");
  EXPECT_EQ(stream.Push(0xE2), "");
  EXPECT_EQ(stream.Finish(), "");
  EXPECT_TRUE(stream.stopped());
}

TEST(OutputStreamTest, HidesControlTokensAndTheFirstSpaceOfAText) {
  const auto tokenizer = TestSpmVocabulary().Make();
  OutputStream stream(*tokenizer, {}, true);
  EXPECT_EQ(stream.Push(tokenizer->bos()), "");
  EXPECT_EQ(stream.Push(tokenizer->Find("▁the")), "the");
  EXPECT_EQ(stream.Push(tokenizer->Find("▁world")), " world");
  EXPECT_EQ(stream.Push(tokenizer->eos()), "");
}

}  // namespace
}  // namespace tenfold::chat
