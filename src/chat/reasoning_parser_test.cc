#include "chat/reasoning_parser.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "chat/output_testing.h"

namespace tenfold::chat {
namespace {

std::string Split(const std::vector<std::string>& pieces, bool starts_in_reasoning) {
  ReasoningParser parser(starts_in_reasoning);
  OutputEvents events;
  for (const std::string& piece : pieces) {
    const std::string rest = parser.Push(piece, events);
    AddEvent(events, OutputEvent::Kind::kContent, rest);
  }
  const std::string rest = parser.Finish(events);
  AddEvent(events, OutputEvent::Kind::kContent, rest);
  return Summary(Joined(events));
}

std::string Plain(const std::string& text) { return Split({text}, false); }
std::string Opened(const std::string& text) { return Split({text}, true); }

TEST(ReasoningParser, ABlockAtTheStart) {
  EXPECT_EQ(Plain("<think>\nI see.\n\n</think>\n\nYes.\n"), "think(I see.)[Yes.\n]");
  EXPECT_EQ(Plain("\n <think>a\n b</think>c"), "think(a\n b)[c]");
  EXPECT_EQ(Plain("<think>\n\n</think>\n\nYes."), "[Yes.]");
  EXPECT_EQ(Plain("<think></think>"), "");
}

TEST(ReasoningParser, OnlyTheFirstBlockAndOnlyAtTheStart) {
  EXPECT_EQ(Plain("<think>a</think>b<think>c</think>"), "think(a)[b<think>c</think>]");
  EXPECT_EQ(Plain("Well <think>a</think>b"), "[Well <think>a</think>b]");
  EXPECT_EQ(Plain("<think>a<think>b</think>c"), "think(a<think>b)[c]");
  EXPECT_EQ(Plain("</think>a"), "[</think>a]");
}

TEST(ReasoningParser, APromptThatOpenedIt) {
  EXPECT_EQ(Opened("I see.\n</think>\nYes."), "think(I see.)[Yes.]");
  EXPECT_EQ(Opened("<think>\nI see.\n</think>\nYes."), "think(I see.)[Yes.]");
  EXPECT_EQ(Opened("\n</think>\nYes."), "[Yes.]");
  EXPECT_EQ(Opened("</think>Yes."), "[Yes.]");
  EXPECT_EQ(Opened("<thin</think>Yes."), "think(<thin)[Yes.]");
}

TEST(ReasoningParser, AnAnswerThatEndsInTheMiddle) {
  EXPECT_EQ(Plain("<think>a b \n"), "think(a b)");
  EXPECT_EQ(Plain("<think>a </thi"), "think(a </thi)");
  EXPECT_EQ(Plain(" <thi"), "[ <thi]");
  EXPECT_EQ(Plain(" \n"), "[ \n]");
  EXPECT_EQ(Plain("<think>"), "");
  EXPECT_EQ(Opened("a"), "think(a)");
  EXPECT_EQ(Opened("<"), "think(<)");
  EXPECT_EQ(Opened(" "), "");
}

TEST(ReasoningParser, PromptsThatOpenIt) {
  EXPECT_TRUE(OpensReasoning("<|im_start|>assistant\n<think>\n"));
  EXPECT_TRUE(OpensReasoning("<think>"));
  EXPECT_FALSE(OpensReasoning("<think>\n\n</think>\n\n"));
  EXPECT_FALSE(OpensReasoning("<|im_start|>assistant\n"));
  EXPECT_FALSE(OpensReasoning(""));
}

TEST(ReasoningParser, ThePiecesDoNotMatter) {
  std::mt19937 random(5);
  const std::vector<std::string> parts = {"<think>", "</think>", "<", "</",       "think>",
                                          " ",       "\n",       "a", "\xC3\xA9", "</thin"};
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (size_t n = random() % 9; n > 0; --n) text += parts[random() % parts.size()];
    const bool starts = random() % 2;
    const std::string whole = Split({text}, starts);
    for (int cut = 0; cut < 3; ++cut) ASSERT_EQ(Split(CutAtRandom(text, random), starts), whole) << text;
  }
}

}  // namespace
}  // namespace tenfold::chat
