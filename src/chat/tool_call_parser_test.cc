// What becomes of every kind of answer, right and odd, and that the cutting into pieces changes nothing.
#include "chat/tool_call_parser.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "chat/output_testing.h"

namespace tenfold::chat {
namespace {

const std::vector<OfferedTool> kTools = {
    {"f", R"({"properties":{"n":{"type":"integer"},"l":{"type":"array"},"s":{"type":"string"},"e":{"enum":["1"]}}})"},
    {"get_weather"}};

OutputEvents ParseAll(ToolFormat format, const std::vector<std::string>& pieces) {
  const auto parser = MakeToolCallParser(format, kTools);
  OutputEvents events;
  for (const std::string& piece : pieces) {
    OutputEvents now;
    parser->Push(piece, now);
    events.insert(events.end(), now.begin(), now.end());
  }
  OutputEvents last;
  parser->Finish(last);
  events.insert(events.end(), last.begin(), last.end());
  return Joined(events);
}

std::string Hermes(const std::string& text) { return Summary(ParseAll(ToolFormat::kHermes, {text})); }
std::string Llama(const std::string& text) { return Summary(ParseAll(ToolFormat::kLlama3, {text})); }

TEST(HermesCalls, OneCall) {
  EXPECT_EQ(Hermes("<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Ulm\"}}\n</tool_call>"),
            R"(get_weather0({"city": "Ulm"}))");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":{}}</tool_call>)"), "f0({})");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","parameters":{"a":[1,{"b":"}"}]}}</tool_call>)"),
            R"(f0({"a":[1,{"b":"}"}]}))");
}

TEST(HermesCalls, TextBeforeAndSeveralCalls) {
  EXPECT_EQ(Hermes("Let me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call>\n<tool_call>\n"
                   "{\"name\": \"get_weather\", \"arguments\": {}}\n</tool_call>\n"),
            R"([Let me see.]f0({"x": 1})get_weather1({}))");
  EXPECT_EQ(Hermes(R"(a <tool_call>{"name":"f","arguments":{}}</tool_call> b  )"), "[a]f0({})[ b  ]");
  EXPECT_EQ(Hermes(R"( a<b <tool_call>{"name":"f","arguments":{}}</tool_call>)"), "[ a<b]f0({})");
}

TEST(HermesCalls, TextWithoutCallsIsUnchanged) {
  for (const char* text : {"",
                           " ",
                           "hello",
                           " hello \n",
                           "a < b <tool <tool_call",
                           "<tool_call>",
                           "<tool_call>\n\n",
                           "<tool_call> x",
                           "<tool_call><tool_call><tool_call>",
                           "</tool_call>",
                           "{\"name\": \"f\", \"arguments\": {}}",
                           "<function=f>",
                           "</function>",
                           "<parameter=n>",
                           "<parameter=s>",
                           "</parameter>",
                           R"(<tool_call>{"name": "f")",
                           R"(<tool_call>{"name": "f"]})",
                           R"(<tool_call>{"nome": "f", "arguments": {}})",
                           R"(<tool_call>{"name": "unknown", "arguments": {}}</tool_call>)",
                           R"(<tool_call>{"name": "f", "name": "f")",
                           R"(<tool_call>{"name": 7, "arguments": {}}</tool_call>)",
                           R"(<tool_call>{"arguments": {}}</tool_call>)",
                           R"(<tool_call>{"name": "f", "arguments": }</tool_call>)",
                           R"(<tool_call>{}</tool_call>)",
                           R"(<tool_call>{"name": "f\u0066"})",
                           "<tool_call>{\"name\": \"<tool_call>\"}",
                           "\n\n<tool_call>[{\"name\": \"f\"}]</tool_call>",
                           R"(<tool_call>{"name" "f"})",
                           R"(<tool_call>{,)",
                           R"(<tool_call>{"arguments":{},"arguments":{},"name":"f"})",
                           "x<tool_call>\xE4\xB8\xAD</tool_call>"}) {
    EXPECT_EQ(Hermes(text), *text == '\0' ? "" : "[" + std::string(text) + "]");
  }
  const std::string long_name = "<tool_call>{\"name\": \"" + std::string(100, 'f') + "\"";
  EXPECT_EQ(Hermes(long_name), "[" + long_name + "]");
}

TEST(HermesCalls, ACallThatFailsDoesNotHideTheNext) {
  EXPECT_EQ(Hermes(R"(<tool_call><tool_call>{"name":"f","arguments":{}}</tool_call>)"), "[<tool_call>]f0({})");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"g","arguments":{}}</tool_call><tool_call>{"name":"f"}</tool_call>)"),
            R"([<tool_call>{"name":"g","arguments":{}}</tool_call>]f0({}))");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":<tool_call>{"name":"f"}</tool_call>)"), R"([<tool_call>{"name":]f0({}))");
}

TEST(HermesCalls, OddArgumentsArePassedOnAsTheyAre) {
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":{"a":1,}}</tool_call>)"), R"(f0({"a":1,}))");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":{'a': yes}}</tool_call>)"), R"(f0({'a': yes}))");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":null}</tool_call>)"), "f0(null)");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments": 12.5 }</tool_call>)"), "f0(12.5)");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":[1, 2]}</tool_call>)"), "f0([1, 2])");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f"}</tool_call>)"), "f0({})");
}

TEST(HermesCalls, AMissingBraceOrTagEndsTheCallAllTheSame) {
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":{"a":1}</tool_call> more)"), R"(f0({"a":1})[ more])");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":{"a":[1</tool_call>more)"), R"(f0({"a":[1)[more])");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":{"a":1}})"), R"(f0({"a":1}))");
  EXPECT_EQ(Hermes("<tool_call>{\"name\":\"f\",\"arguments\":{}}\n<tool_call>{\"name\":\"f\",\"arguments\":{}}"),
            "f0({})f1({})");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":{}} and then)"), "f0({})[ and then]");
}

TEST(HermesCalls, AnAnswerThatEndsInTheMiddle) {
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":{"a":"b)"), R"(f0({"a":"b))");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":{"a":1})"), R"(f0({"a":1}))");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":{"a":1}}</tool_)"), R"(f0({"a":1}))");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":{"a":1}, "id)"), R"(f0({"a":1}))");
  EXPECT_EQ(Hermes("<tool_call>{\"name\":\"f\",\"arguments\":{}}\n</tool_call>\n<tool_ca"), "f0({})[\n<tool_ca]");
}

TEST(HermesCalls, TagsInsideStringsBelongToTheString) {
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":{"t":"</tool_call><tool_call>"}}</tool_call>)"),
            R"(f0({"t":"</tool_call><tool_call>"}))");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":{"t":"\"}</tool_call>"}}</tool_call>)"),
            R"(f0({"t":"\"}</tool_call>"}))");
}

TEST(HermesCalls, OtherMembersAndOrders) {
  EXPECT_EQ(Hermes(R"(<tool_call>{"arguments":{"a":"}"}, "name":"f"}</tool_call>)"), R"(f0({"a":"}"}))");
  EXPECT_EQ(Hermes(R"(<tool_call>{"id":"x","type":"function","name":"f","arguments":{}}</tool_call>)"), "f0({})");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":{},"why \"":{"x":["}"]}}</tool_call>)"), "f0({})");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":{}, oops}</tool_call>)"), "f0({})[, oops}</tool_call>]");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":12]</tool_call>)"), "f0(12)[]</tool_call>]");
}

TEST(HermesCalls, ArgumentsInAString) {
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":"{\"a\": \"\\n\u00e9\ud83d\ude00\"}"}</tool_call>)"),
            "f0({\"a\": \"\\n\u00e9\U0001F600\"})");
  EXPECT_EQ(Hermes(R"(<tool_call>{"arguments":"{\"a\":1}","name":"f"}</tool_call>)"), R"(f0({"a":1}))");
  EXPECT_EQ(Hermes(R"(<tool_call>{"name":"f","arguments":"\x\ud83dy\udc00\u12"}</tool_call>)"),
            "f0(\\x\uFFFDy\uFFFD\\u12)");
}

TEST(HermesCalls, ArgumentsComeOutWhileTheyAreWritten) {
  const auto parser = MakeToolCallParser(ToolFormat::kHermes, kTools);
  OutputEvents events;
  parser->Push("<tool_call>\n{\"name\": \"f\", \"arguments\": ", events);
  EXPECT_TRUE(events.empty());
  parser->Push("{\"a\"", events);
  EXPECT_EQ(Summary(events), "f0({\"a\"");
  parser->Push(": 1", events);
  EXPECT_EQ(Summary(events), "f0({\"a\": 1");
  parser->Push("}", events);
  EXPECT_EQ(Summary(events), "f0({\"a\": 1})");
}

TEST(HermesCalls, TextComesOutAtOnceAndSpaceWithTheNextWord) {
  const auto parser = MakeToolCallParser(ToolFormat::kHermes, kTools);
  OutputEvents events;
  parser->Push("a <b ", events);
  EXPECT_EQ(Summary(events), "[a <b]");
  parser->Push("c", events);
  EXPECT_EQ(Summary(events), "[a <b c]");
}

TEST(Llama3Calls, TheAnswerIsTheCall) {
  EXPECT_EQ(Llama(R"({"name": "f", "parameters": {"a": 1}})"), R"(f0({"a": 1}))");
  EXPECT_EQ(Llama("\n {\"type\": \"function\", \"name\": \"f\", \"parameters\": {}}\n"), "f0({})");
  EXPECT_EQ(Llama(R"(<|python_tag|>{"name": "f", "parameters": {"a": 1}})"), R"(f0({"a": 1}))");
  EXPECT_EQ(Llama(R"(I look. <|python_tag|>{"name": "f", "parameters": {}})"), "[I look.]f0({})");
}

TEST(Llama3Calls, Several) {
  EXPECT_EQ(Llama(R"({"name":"f","parameters":{}}; {"name":"get_weather","parameters":{"a":";"}})"),
            R"(f0({})get_weather1({"a":";"}))");
  EXPECT_EQ(Llama("{\"name\":\"f\",\"parameters\":{}}\n{\"name\":\"f\",\"parameters\":{}}"), "f0({})f1({})");
  EXPECT_EQ(Llama("<|python_tag|>{\"name\":\"f\",\"parameters\":{}};<|python_tag|>{\"name\":\"f\"}"),
            "f0({})[;]f1({})");
  EXPECT_EQ(Llama(R"({"name":"f","parameters":{}}; )"), "f0({})");
  EXPECT_EQ(Llama(R"({"name":"f","parameters":{}}; then)"), "f0({})[; then]");
  EXPECT_EQ(Llama(R"({"name":"f","parameters":{}} done)"), "f0({})[ done]");
}

TEST(Llama3Calls, OtherTextIsUnchanged) {
  for (const char* text :
       {"hello", " {\"answer\": 42}", R"({"name": "g", "parameters": {}})", R"(Use {"name": "f", "parameters": {}})",
        R"({"name": "f")", "{", "<|python_tag|>print(1)", "<|python", R"(<|python_tag|>f.call(x="y"))"}) {
    EXPECT_EQ(Llama(text), "[" + std::string(text) + "]");
  }
}

std::string Coder(const std::string& text) { return Summary(ParseAll(ToolFormat::kQwenCoder, {text})); }

std::string CoderCall(const std::string& body) {
  return "<tool_call>\n<function=f>\n" + body + "</function>\n</tool_call>";
}

TEST(QwenCoderCalls, ValuesByTheirSchema) {
  EXPECT_EQ(Coder(CoderCall("<parameter=n>\n12\n</parameter>\n<parameter=s>\n12\n</parameter>\n")),
            R"(f0({"n": 12, "s": "12"}))");
  EXPECT_EQ(Coder(CoderCall("<parameter=l>\n[1, \"a\"]\n</parameter>\n<parameter=e>\n1\n</parameter>\n")),
            R"(f0({"l": [1, "a"], "e": "1"}))");
  EXPECT_EQ(Coder(CoderCall("<parameter=l>\n[1, \n</parameter>\n<parameter=other>\n1\n</parameter>\n")),
            R"(f0({"l": "[1, ", "other": "1"}))");
  EXPECT_EQ(Coder(CoderCall("<parameter=s>\n\n a \"b\"\n<c>\\ \u00e9\n\n</parameter>\n")),
            "f0({\"s\": \"\\n a \\\"b\\\"\\n<c>\\\\ \u00e9\\n\"})");
  EXPECT_EQ(Coder(CoderCall("")), "f0({})");
}

TEST(QwenCoderCalls, TextAndSeveralCalls) {
  EXPECT_EQ(Coder("I look.\n" + CoderCall("<parameter=n>1</parameter>") + "\n" + CoderCall("") + "\n"),
            R"([I look.]f0({"n": 1})f1({}))");
  EXPECT_EQ(Coder(CoderCall("") + " done"), "f0({})[ done]");
  EXPECT_EQ(Coder("<tool_call><function=f></function> <b>"), "f0({})[ <b>]");
  EXPECT_EQ(Coder("<tool_call><function=f></tool_call>x"), "f0({})[x]");
}

TEST(QwenCoderCalls, OddOnes) {
  for (const char* text :
       {"<tool_call>", "<tool_call>\n<function=g>", "<tool_call>\n<function=f", "<function=f>\n</function>",
        "<tool_call>{\"name\": \"f\"}</tool_call>", "a <tool_call>\n<func", "<tool_call><function=>x"}) {
    EXPECT_EQ(Coder(text), "[" + std::string(text) + "]");
  }
  EXPECT_EQ(Coder("<tool_call><tool_call><function=f></function>"), "[<tool_call>]f0({})");
  EXPECT_EQ(Coder(CoderCall("<parameter=n>\n1\n</parameter>\noops")),
            "f0({\"n\": 1})[\noops</function>\n</tool_call>]");
  EXPECT_EQ(Coder(CoderCall("<parameter=n\n>")), "f0({})[<parameter=n\n></function>\n</tool_call>]");
  EXPECT_EQ(Coder("<tool_call><function=f>\n<parameter=s>\nab</par"), "f0({\"s\": \"ab</par)");
  EXPECT_EQ(Coder("<tool_call><function=f>\n<parameter=n>\n1\n</parameter>\n</fun"), "f0({\"n\": 1})");
}

// Random strings of what the parsers look for: most are nearly calls.
std::string RandomAnswer(std::mt19937& random) {
  static const std::vector<std::string> kParts = {"<tool_call>",
                                                  "</tool_call>",
                                                  "<|python_tag|>",
                                                  "{",
                                                  "}",
                                                  "[",
                                                  "]",
                                                  "\"",
                                                  "\\",
                                                  ",",
                                                  ":",
                                                  ";",
                                                  "\n",
                                                  " ",
                                                  "<",
                                                  "</",
                                                  "\"name\"",
                                                  "\"f\"",
                                                  "\"arguments\"",
                                                  "\"parameters\"",
                                                  "{}",
                                                  "{\"a\": 1}",
                                                  "\"type\"",
                                                  "\\u00e9",
                                                  "\xC3\xA9",
                                                  "{\"name\": \"f\", \"arguments\": ",
                                                  "{\"name\": \"get_weather\", \"parameters\": {\"x\": [1, \"",
                                                  "word",
                                                  "<think>",
                                                  "{\"name\": \"f\", \"arguments\": {}}",
                                                  "<function=f>",
                                                  "</function>",
                                                  "<parameter=n>",
                                                  "<parameter=s>",
                                                  "</parameter>",
                                                  "12",
                                                  "\"{\\\"a\\\":1}\"",
                                                  "{\"arguments\": {}, \"name\": \"f\"}"};
  std::string text;
  for (size_t n = 1 + random() % 14; n > 0; --n) text += kParts[random() % kParts.size()];
  return text;
}

TEST(ToolCallProperty, ThePiecesDoNotMatter) {
  std::mt19937 random(7);
  int calls = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string text = RandomAnswer(random);
    for (const ToolFormat format : {ToolFormat::kHermes, ToolFormat::kLlama3, ToolFormat::kQwenCoder}) {
      const OutputEvents whole = ParseAll(format, {text});
      for (int cut = 0; cut < 3; ++cut) ASSERT_EQ(ParseAll(format, CutAtRandom(text, random)), whole) << text;
      calls += whole.size() > 1;
    }
  }
  EXPECT_GT(calls, 1000);  // otherwise the texts try nothing
}

// Everything that comes out stands in the text in the same order, and a text without a call comes out whole.
TEST(ToolCallProperty, NothingIsInventedAndNoTextIsLost) {
  std::mt19937 random(11);
  for (int i = 0; i < 20000; ++i) {
    const std::string text = RandomAnswer(random);
    if (text.find("\"{") != std::string::npos) continue;  // arguments in a string come out without their escapes
    for (const ToolFormat format : {ToolFormat::kHermes, ToolFormat::kLlama3, ToolFormat::kQwenCoder}) {
      const OutputEvents events = ParseAll(format, {text});
      size_t at = 0;
      int depth = 0, call = 0;
      for (const OutputEvent& event : events) {
        if (event.kind == OutputEvent::Kind::kCallBegin) {
          ASSERT_EQ(depth++, 0) << text;
          ASSERT_EQ(event.call, call) << text;
        }
        if (event.kind == OutputEvent::Kind::kCallArguments) {
          ASSERT_EQ(depth, 1) << text;
        }
        if (event.kind == OutputEvent::Kind::kCallEnd) {
          ASSERT_EQ(--depth, 0) << text;
          ++call;
        }
        // The name may come after the arguments, and {} may stand for absent ones.
        if (event.kind != OutputEvent::Kind::kContent) continue;
        const size_t found = text.find(event.text, at);
        ASSERT_NE(found, std::string::npos) << text << "\n" << Summary(events);
        at = found + event.text.size();
      }
      ASSERT_EQ(depth, 0) << text;
      if (call == 0) {
        ASSERT_EQ(Summary(events), "[" + text + "]");
      }
    }
  }
}

// Calls written right between words come out exactly, wherever they are.
TEST(ToolCallProperty, CallsAmongText) {
  std::mt19937 random(13);
  const std::vector<std::string> words = {"one",    "two < three", "<tool", "{\"name\"",
                                          "\u00e9", "</tool_call", "\"",    "x;y"};
  for (int i = 0; i < 3000; ++i) {
    std::string text, want;
    const size_t calls = random() % 6;
    for (size_t call = 0; call < calls; ++call) {
      const std::string& word = words[random() % words.size()];
      const std::string arguments = "{\"k\": \"" + std::to_string(random() % 1000) + "</tool_call>\", \"l\": [[], {}]}";
      text += word + " \n<tool_call>\n{\"name\": \"f\", \"arguments\": " + arguments + "}\n</tool_call>";
      want += "[" + word + "]f" + std::to_string(call) + "(" + arguments + ")";
    }
    ASSERT_EQ(Summary(ParseAll(ToolFormat::kHermes, CutAtRandom(text, random))), want);
  }
}

TEST(ToolCallProperty, TimeIsLinear) {
  for (const std::string& part : {std::string("<tool_call>"), std::string("<tool_call>{\"name\":\"f\",\"arguments\":{"),
                                  std::string(" "), std::string("<tool_call>{\"arguments\":\""), std::string("[")}) {
    std::string text;
    while (text.size() < (size_t{2} << 20)) text += part;
    const int64_t begin_us = NowUs();
    ParseAll(ToolFormat::kHermes, {text});
    ParseAll(ToolFormat::kLlama3, {"{\"name\":\"f\",\"parameters\":" + text});
    EXPECT_LT(NowUs() - begin_us, 5'000'000) << part;
  }
}

}  // namespace
}  // namespace tenfold::chat
