// Which answers a request's tools allow: right ones pass, wrong ones stop at the first wrong byte, and random ones that
// pass are calls that the parser understands and whose arguments are JSON of the schema.
#include "server/tool_grammar.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <random>
#include <string>
#include <vector>

#include "chat/output_testing.h"
#include "chat/tool_call_parser.h"

namespace tenfold::server {
namespace {

constexpr int32_t kEnd = 256;

std::shared_ptr<const grammar::Vocabulary> Bytes() {
  std::vector<std::string> bytes;
  for (int i = 0; i < 256; ++i) bytes.emplace_back(1, static_cast<char>(i));
  bytes.emplace_back("");
  return std::make_shared<const grammar::Vocabulary>(bytes, std::vector<int32_t>{kEnd});
}

class ToolGrammarTest : public ::testing::Test {
 protected:
  api::ToolOptions tools_{
      .tools = {{.name = "f",
                 .parameters_json = R"({"type":"object","properties":{"n":{"type":"integer","minimum":1,"maximum":3},)"
                                    R"("s":{"enum":["a","b"]}},"required":["n","s"],"additionalProperties":false})"},
                {.name = "now"}}};

  grammar::Matcher Make(chat::ToolFormat format, bool in_reasoning = false) {
    grammar::Syntax syntax;
    std::string field;
    const Result<grammar::ExprId> root =
        AddToolGrammar(syntax, {.format = format, .tools = &tools_, .in_reasoning = in_reasoning}, &field);
    EXPECT_TRUE(root.ok()) << field << root.error().message;
    auto compiled = grammar::Grammar::Compile(syntax, *root, Bytes());
    EXPECT_TRUE(compiled.ok()) << compiled.error().message;
    return grammar::Matcher(*compiled);
  }

  static bool Allows(grammar::Matcher& matcher, int32_t token) {
    const auto mask = matcher.Mask();
    return mask.ok() && (((*mask)[static_cast<size_t>(token) / 64] >> (token % 64)) & 1) != 0;
  }

  // How much of the text is allowed; all of it and the end: its size + 1.
  static size_t Follow(grammar::Matcher matcher, const std::string& text) {
    for (size_t i = 0; i < text.size(); ++i) {
      const int32_t token = static_cast<unsigned char>(text[i]);
      if (!Allows(matcher, token) || !matcher.Accept(token).ok()) return i;
    }
    return text.size() + (matcher.CanEnd() ? 1 : 0);
  }
  static bool Passes(const grammar::Matcher& matcher, const std::string& text) {
    return Follow(matcher, text) == text.size() + 1;
  }

  // An answer drawn byte by byte from what is allowed.
  static std::string Draw(grammar::Matcher matcher, std::mt19937& random, size_t most_bytes) {
    std::string text;
    while (text.size() < most_bytes && !matcher.MustEnd()) {
      std::vector<int32_t> allowed;
      for (int32_t token = 0; token <= kEnd; ++token) {
        if (Allows(matcher, token)) allowed.push_back(token);
      }
      if (allowed.empty()) break;
      const int32_t token = allowed[random() % allowed.size()];
      if (token == kEnd) break;
      text += static_cast<char>(token);
      EXPECT_TRUE(matcher.Accept(token).ok());
    }
    return text;
  }

  chat::OutputEvents Parse(chat::ToolFormat format, const std::string& text) {
    std::vector<chat::OfferedTool> offered;
    for (const api::ToolSpec& tool : tools_.tools) offered.push_back({tool.name});
    const auto parser = chat::MakeToolCallParser(format, offered);
    chat::OutputEvents events;
    parser->Push(text, events);
    parser->Finish(events);
    return chat::Joined(events);
  }
};

const std::string kF = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"n\": 2, \"s\": \"a\"}}\n</tool_call>";
const std::string kNow = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";

TEST_F(ToolGrammarTest, RequiredHermes) {
  tools_.choice = api::ToolChoice::kRequired;
  const grammar::Matcher matcher = Make(chat::ToolFormat::kHermes);
  EXPECT_TRUE(Passes(matcher, kF));
  EXPECT_TRUE(Passes(matcher, kNow));
  EXPECT_TRUE(Passes(matcher, kF + "\n" + kNow));
  EXPECT_FALSE(Passes(matcher, ""));
  EXPECT_EQ(Follow(matcher, "Well"), 0u);
  EXPECT_EQ(Follow(matcher, kF + " x"), kF.size());
  EXPECT_LT(Follow(matcher, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"n\": 4"), 46u);
  EXPECT_LT(Follow(matcher, "<tool_call>\n{\"name\": \"g"), 24u);
  tools_.parallel = false;
  EXPECT_TRUE(Passes(Make(chat::ToolFormat::kHermes), kF));
  EXPECT_EQ(Follow(Make(chat::ToolFormat::kHermes), kF + "\n" + kNow), kF.size() + 0u);
}

TEST_F(ToolGrammarTest, Named) {
  tools_.choice = api::ToolChoice::kNamed;
  tools_.named = "now";
  EXPECT_TRUE(Passes(Make(chat::ToolFormat::kHermes), kNow));
  EXPECT_FALSE(Passes(Make(chat::ToolFormat::kHermes), kF));
  EXPECT_FALSE(Passes(Make(chat::ToolFormat::kHermes), kNow + "\n" + kNow));
  EXPECT_TRUE(Passes(Make(chat::ToolFormat::kLlama3), R"({"name": "now", "parameters": {}})"));
}

TEST_F(ToolGrammarTest, RequiredLlama) {
  tools_.choice = api::ToolChoice::kRequired;
  const grammar::Matcher matcher = Make(chat::ToolFormat::kLlama3);
  const std::string one = R"({"name": "f", "parameters": {"n": 2, "s": "a"}})";
  EXPECT_TRUE(Passes(matcher, one));
  EXPECT_TRUE(Passes(matcher, one + "; " + one));
  EXPECT_FALSE(Passes(matcher, "x"));
}

TEST_F(ToolGrammarTest, BehindReasoning) {
  tools_.choice = api::ToolChoice::kRequired;
  const grammar::Matcher matcher = Make(chat::ToolFormat::kHermes, /*in_reasoning=*/true);
  EXPECT_TRUE(Passes(matcher, "Let me <b>see</b>.\n</think>\n\n" + kF));
  EXPECT_FALSE(Passes(matcher, kF));
}

// Free text, but a call that is opened is held to its shape, and to the schema where the function is strict.
TEST_F(ToolGrammarTest, StrictUnderAuto) {
  tools_.tools[0].strict = true;
  tools_.tools.push_back({.name = "loose", .parameters_json = R"({"type":"object","properties":{"x":{}}})"});
  const grammar::Matcher hermes = Make(chat::ToolFormat::kHermes);
  for (const std::string& text :
       {std::string(), std::string("Hello."), std::string("a < b <tool <tool_cal"), "Let me see.\n" + kF,
        kF + "\n" + kNow + " and text", std::string("<<tool_call_"), std::string("\xC3\xA9 <t\xC3\xA9"),
        std::string("<tool_call>\n{\"name\": \"loose\", \"arguments\": {\"y\": [1, null]}}\n</tool_call>")}) {
    EXPECT_TRUE(Passes(hermes, text)) << text;
  }
  EXPECT_EQ(Follow(hermes, "a <tool_call> x"), 13u);
  EXPECT_EQ(Follow(hermes, "<<tool_call>\n{\"name\": \"f\", \"arguments\": {\"n\": 9"), 46u);
  const grammar::Matcher llama = Make(chat::ToolFormat::kLlama3);
  for (const char* text : {"", " ", "Hello {x}", " <b>", R"({"name": "f", "parameters": {"n": 1, "s": "b"}})"}) {
    EXPECT_TRUE(Passes(llama, text)) << text;
  }
  EXPECT_FALSE(Passes(llama, R"( {"name": "f", "parameters": {"n": 7}})"));
  EXPECT_FALSE(Passes(llama, R"({"type": "function", "name": "f", "parameters": {}})"));
  EXPECT_FALSE(Passes(llama, R"(I look <|python_tag|>{"name": "f", "parameters": {"n": 7}})"));
  EXPECT_FALSE(Passes(llama, R"(<|python_tag|>{"name": "f", "parameters": {"n": 7}})"));
}

TEST_F(ToolGrammarTest, WhatIsDrawnIsUnderstood) {
  std::mt19937 random(3);
  tools_.choice = api::ToolChoice::kRequired;
  for (const chat::ToolFormat format : {chat::ToolFormat::kHermes, chat::ToolFormat::kLlama3}) {
    const grammar::Matcher matcher = Make(format);
    for (int i = 0; i < 60; ++i) {
      const std::string text = Draw(matcher, random, 4000);
      int calls = 0;
      for (const chat::OutputEvent& event : Parse(format, text)) {
        ASSERT_NE(event.kind, chat::OutputEvent::Kind::kContent) << text;
        calls += event.kind == chat::OutputEvent::Kind::kCallEnd;
        if (event.kind != chat::OutputEvent::Kind::kCallArguments) continue;
        const boost::json::value value = boost::json::parse(event.text);
        ASSERT_TRUE(value.as_object().empty() || value.as_object().size() == 2) << text;
        if (!value.as_object().empty()) {
          ASSERT_LE(value.at("n").as_int64(), 3);
        }
      }
      ASSERT_GE(calls, 1) << text;
    }
  }
}

// Nothing that the parser takes for a call of a strict function gets past the grammar with other arguments.
TEST_F(ToolGrammarTest, NoCallGetsPastAStrictFunction) {
  tools_.tools[0].strict = true;
  std::mt19937 random(4);
  const std::vector<std::string> parts = {"<tool_call>",
                                          "<tool_call>\n{\"name\": \"f\", \"arguments\": ",
                                          "{\"name\": \"f\", \"parameters\": ",
                                          "<|python_tag|>",
                                          "{\"n\": 2, \"s\": \"a\"}",
                                          "{\"n\": 2, \"s\": \"a\"}}\n</tool_call>",
                                          "{\"n\": 2, \"s\": \"a\"}}",
                                          kF,
                                          "{\"n\": 9}",
                                          "{}",
                                          "}",
                                          "\n</tool_call>",
                                          " ",
                                          "<",
                                          "{",
                                          "x",
                                          "\"name\"",
                                          "; ",
                                          "\n"};
  int passed = 0;
  for (const chat::ToolFormat format : {chat::ToolFormat::kHermes, chat::ToolFormat::kLlama3}) {
    const grammar::Matcher matcher = Make(format);
    for (int i = 0; i < 20000; ++i) {
      std::string text;
      for (size_t n = random() % 6; n > 0; --n) text += parts[random() % parts.size()];
      if (!Passes(matcher, text)) continue;
      for (const chat::OutputEvent& event : Parse(format, text)) {
        if (event.kind != chat::OutputEvent::Kind::kCallArguments) continue;
        ++passed;
        ASSERT_EQ(event.text, "{\"n\": 2, \"s\": \"a\"}") << text;
      }
    }
  }
  EXPECT_GT(passed, 100);
}

TEST_F(ToolGrammarTest, UnsupportedKeywordsAreNamed) {
  tools_.tools[1].parameters_json = R"({"type":"object","properties":{"a":{"type":"array","uniqueItems":true}}})";
  tools_.choice = api::ToolChoice::kRequired;
  grammar::Syntax syntax;
  std::string field;
  const auto made = AddToolGrammar(syntax, {.format = chat::ToolFormat::kHermes, .tools = &tools_}, &field);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(field, "tools[1].function.parameters");
  EXPECT_NE(made.error().message.find("uniqueItems"), std::string::npos) << made.error().message;
}

}  // namespace
}  // namespace tenfold::server
