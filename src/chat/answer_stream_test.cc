#include "chat/answer_stream.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "chat/output_testing.h"
#include "tokenizer/test_vocabulary.h"

namespace tenfold::chat {
namespace {

using tokenizer::PreTokenizer;
using tokenizer::TestBpeVocabulary;
using tokenizer::TestSpmVocabulary;
using tokenizer::TokenId;

std::string Answer(const std::string& text, const std::vector<std::string>& stops, const AnswerSyntax& syntax) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  AnswerStream stream(*tokenizer, stops, false, syntax);
  OutputEvents events;
  for (const TokenId id : tokenizer->Encode(text, {})) {
    const OutputEvents now = stream.Push(id);
    events.insert(events.end(), now.begin(), now.end());
    if (stream.stopped()) return Summary(Joined(events)) + "STOP";
  }
  const OutputEvents now = stream.Finish();
  events.insert(events.end(), now.begin(), now.end());
  return Summary(Joined(events)) + (stream.stopped() ? "STOP" : "");
}

std::string Text(const OutputEvents& events) {
  std::string text;
  for (const OutputEvent& event : events) {
    EXPECT_EQ(event.kind, OutputEvent::Kind::kContent);
    text += event.text;
  }
  return text;
}

TEST(AnswerStreamText, StopsAcrossTokenAndCharacterBorders) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  AnswerStream stream(*tokenizer, {"\u4E2D!"}, false, {});
  EXPECT_EQ(Text(stream.Push(tokenizer->Find("hello"))), "hello");
  for (const TokenId byte : {0xE4, 0xB8, 0xAD}) EXPECT_EQ(Text(stream.Push(byte)), "");
  EXPECT_EQ(Text(stream.Push(0xE4)), "");
  EXPECT_EQ(Text(stream.Push(0xB8)), "");
  EXPECT_EQ(Text(stream.Push(0xAD)), "\u4E2D");  // the first one can no longer be the stop, the second one can
  EXPECT_FALSE(stream.stopped());
  EXPECT_EQ(Text(stream.Push('!')), "");
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(Text(stream.Push('x')), "");
  EXPECT_EQ(Text(stream.Finish()), "");
}

TEST(AnswerStreamText, FinishGivesWhatWasHeld) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  AnswerStream stream(*tokenizer, {"ab"}, false, {});
  EXPECT_EQ(Text(stream.Push('x')), "x");
  EXPECT_EQ(Text(stream.Push('a')), "");
  EXPECT_EQ(Text(stream.Push(0xE2)), "");
  EXPECT_EQ(Text(stream.Finish()), "a\uFFFD");
  EXPECT_FALSE(stream.stopped());
}

TEST(AnswerStreamText, FinishGivesTheBeginningOfAStopThatNeverCame) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  AnswerStream stream(*tokenizer, {"ab"}, false, {});
  EXPECT_EQ(Text(stream.Push('a')), "");
  EXPECT_EQ(Text(stream.Finish()), "a");
  EXPECT_EQ(Text(stream.Finish()), "");
}

TEST(AnswerStreamText, TheReplacementOfAnUnfinishedCharacterCanStop) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  AnswerStream stream(*tokenizer, {"a\uFFFD"}, false, {});
  EXPECT_EQ(Text(stream.Push('a')), "");
  EXPECT_EQ(Text(stream.Push(0xE2)), "");
  EXPECT_EQ(Text(stream.Finish()), "");
  EXPECT_TRUE(stream.stopped());
}

TEST(AnswerStreamText, HidesControlTokensAndTheFirstSpaceOfAText) {
  const auto tokenizer = TestSpmVocabulary().Make();
  AnswerStream stream(*tokenizer, {}, true, {});
  EXPECT_EQ(Text(stream.Push(tokenizer->bos())), "");
  EXPECT_EQ(Text(stream.Push(tokenizer->Find("▁the"))), "the");
  EXPECT_EQ(Text(stream.Push(tokenizer->Find("▁world"))), " world");
  EXPECT_EQ(Text(stream.Push(tokenizer->eos())), "");
}

const AnswerSyntax kAll{.reasoning = true, .tool_format = ToolFormat::kHermes, .tools = {{"f"}}};

TEST(AnswerStream, ReasoningThenTextThenCall) {
  EXPECT_EQ(
      Answer("<think>hm</think>\nhello\n<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":1}}</tool_call>", {}, kAll),
      "think(hm)[hello]f0({\"a\":1})");
  EXPECT_EQ(Answer("<think>hm", {}, {}), "[<think>hm]");
  AnswerSyntax no_tools = kAll;
  no_tools.tools.clear();
  EXPECT_EQ(Answer("a <tool_call>{\"name\":\"f\"}</tool_call>", {}, no_tools),
            "[a <tool_call>{\"name\":\"f\"}</tool_call>]");
  AnswerSyntax opened = kAll;
  opened.starts_in_reasoning = true;
  EXPECT_EQ(Answer("hm</think>hello", {}, opened), "think(hm)[hello]");
}

TEST(AnswerStream, ACallInsideReasoningIsReasoning) {
  EXPECT_EQ(Answer("<think><tool_call>{\"name\":\"f\"}</tool_call></think>x", {}, kAll),
            "think(<tool_call>{\"name\":\"f\"}</tool_call>)[x]");
}

TEST(AnswerStream, StopStringsCutContentOnly) {
  EXPECT_EQ(Answer("<think>a!b</think>c!d", {"!"}, kAll), "think(a!b)[c]STOP");
  EXPECT_EQ(Answer("c<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":\"!\"}}</tool_call>", {"!"}, kAll),
            "[c]f0({\"a\":\"!\"})");
  // "c!" is no stop string when a call stands between its parts, and what was held back for it comes out before the
  // call.
  EXPECT_EQ(Answer("xc<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>!y", {"c!"}, kAll), "[xc]f0({})[!y]");
  EXPECT_EQ(Answer("xc", {"c!"}, kAll), "[xc]");
  EXPECT_EQ(Answer("x<tool_call>no!", {"no"}, kAll), "[x<tool_call>]STOP");
}

TEST(AnswerStream, OneCallOnly) {
  const std::string two =
      "a<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>b<tool_call>{\"name\":\"f\"}</tool_call>";
  EXPECT_EQ(Answer(two, {}, kAll), "[a]f0({})[b]f1({})");
  AnswerSyntax one = kAll;
  one.one_call = true;
  EXPECT_EQ(Answer(two, {}, one), "[a]f0({})STOP");
}

TEST(AnswerStream, HalfACharacterAtTheEndIsContent) {
  const auto tokenizer = TestBpeVocabulary(PreTokenizer::kQwen2).Make();
  AnswerStream stream(*tokenizer, {}, false, kAll);
  EXPECT_EQ(Summary(stream.Push('a')), "[a]");
  EXPECT_EQ(Summary(stream.Push(0xE4)), "");
  EXPECT_EQ(Summary(stream.Finish()), "[\uFFFD]");
}

// Files differ in the type they give to these tokens; a control token is shown to the parsers, and to nobody else.
TEST(AnswerStream, TagsThatAreControlTokens) {
  for (const auto type : {tokenizer::TokenType::kControl, tokenizer::TokenType::kUserDefined}) {
    auto v = TestBpeVocabulary(PreTokenizer::kQwen2);
    for (const char* tag : {"<tool_call>", "</tool_call>", "<|other|>"}) v.Add(tag, type);
    for (size_t i = 0; i < v.tokens.size(); ++i) {
      if (v.tokens[i].ends_with("think>")) v.rest.types[i] = static_cast<int64_t>(type);
    }
    const auto tokenizer = v.Make();
    const auto tag = [&](const char* text) { return tokenizer->Find(text); };
    std::vector<TokenId> ids = {tag("<think>"), 'h', 'm', tag("</think>"), 'y', tag("<tool_call>")};
    for (const TokenId id : tokenizer->Encode("{\"name\":\"f\",\"arguments\":{}}", {})) ids.push_back(id);
    ids.insert(ids.end(), {tag("</tool_call>"), 'z', tag("<|other|>")});
    const auto run = [&](const AnswerSyntax& syntax) {
      AnswerStream stream(*tokenizer, {}, false, syntax);
      OutputEvents events;
      for (const TokenId id : ids) {
        for (const OutputEvent& event : stream.Push(id)) events.push_back(event);
      }
      for (const OutputEvent& event : stream.Finish()) events.push_back(event);
      return Summary(Joined(events));
    };
    const bool control = type == tokenizer::TokenType::kControl;
    EXPECT_EQ(run(kAll), control ? "think(hm)[y]f0({})[z]" : "think(hm)[y]f0({})[z<|other|>]");
    EXPECT_EQ(run({}), control
                           ? "[hmy{\"name\":\"f\",\"arguments\":{}}z]"
                           : "[<think>hm</think>y<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>z<|other|>]");
    if (control) {
      EXPECT_EQ(run({.show_markup = true}), "[<think>hm</think>y{\"name\":\"f\",\"arguments\":{}}z]");
    }
  }
}

}  // namespace
}  // namespace tenfold::chat
