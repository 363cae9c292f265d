#include "load/answer_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tenfold::load {
namespace {

using testing::ElementsAre;

std::string Delta(const std::string& delta) { return "data: {\"choices\":[{\"delta\":" + delta + "}]}\n\n"; }

TEST(AnswerReader, TimesTokensNotRoleOrFinish) {
  AnswerReader reader;
  reader.OnBytes(Delta(R"({"role":"assistant","content":""})"), 10);
  reader.OnBytes(Delta(R"({"content":"Hel"})"), 20);
  reader.OnBytes(Delta(R"({"reasoning_content":"lo"})"), 35);
  reader.OnBytes(Delta(R"({"tool_calls":[{"index":0}]})"), 40);
  reader.OnBytes(Delta("{}"), 50);
  EXPECT_FALSE(reader.done());
  reader.OnBytes("data: [DONE]\n\n", 60);
  EXPECT_TRUE(reader.done());
  EXPECT_EQ(reader.done_us(), 60);
  EXPECT_THAT(reader.token_times_us(), ElementsAre(20, 35, 40));
  EXPECT_FALSE(reader.has_usage());
  EXPECT_EQ(reader.completion_tokens(), 3);
}

TEST(AnswerReader, UsageCountsTokens) {
  AnswerReader reader;
  reader.OnBytes(Delta(R"({"content":"two tokens"})"), 20);
  reader.OnBytes("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":88,\"completion_tokens\":64}}\n\n", 30);
  EXPECT_TRUE(reader.has_usage());
  EXPECT_EQ(reader.completion_tokens(), 64);
  EXPECT_EQ(reader.prompt_tokens(), 88);
}

TEST(AnswerReader, NullUsageIsNone) {
  AnswerReader reader;
  reader.OnBytes("data: {\"choices\":[],\"usage\":null}\n\n", 30);
  EXPECT_FALSE(reader.has_usage());
}

TEST(AnswerReader, ErrorEvent) {
  AnswerReader reader;
  reader.OnBytes("data: {\"error\":{\"message\":\"out of pages\",\"code\":500}}\n\n", 30);
  EXPECT_EQ(reader.error(), "out of pages");
  EXPECT_TRUE(reader.error_is_from_server());
}

TEST(AnswerReader, WrongBytes) {
  for (const char* bytes : {"data: {not json\n\n", "data: 42\n\n", "<html>hello</html>\n", "\x13\xff\n"}) {
    AnswerReader reader;
    reader.OnBytes(bytes, 1);
    EXPECT_NE(reader.error(), "") << bytes;
    EXPECT_FALSE(reader.error_is_from_server());
    EXPECT_FALSE(reader.done());
  }
}

TEST(AnswerReader, NothingCountsAfterDone) {
  AnswerReader reader;
  reader.OnBytes("data: [DONE]\n\ndata: {not json\n\n", 5);
  reader.OnBytes(Delta(R"({"content":"late"})"), 20);
  EXPECT_TRUE(reader.done());
  EXPECT_EQ(reader.error(), "");
  EXPECT_TRUE(reader.token_times_us().empty());
}

TEST(AnswerReader, KeepsContentAndTimings) {
  AnswerReader reader;
  reader.OnBytes(Delta(R"({"content":"Hel"})") + Delta(R"({"reasoning":"hm"})") + Delta(R"({"content":"lo"})"), 20);
  EXPECT_EQ(reader.prompt_ms(), -1);
  reader.OnBytes("data: {\"choices\":[],\"timings\":{\"prompt_ms\":40.5,\"queue_ms\":3}}\n\n", 30);
  EXPECT_EQ(reader.content(), "Hello");
  EXPECT_EQ(reader.text_bytes(), 7u);
  EXPECT_EQ(reader.text_events(), 3);
  EXPECT_EQ(reader.prompt_ms(), 40.5);
  EXPECT_EQ(reader.queue_ms(), 3);
}

TEST(ErrorMessageOf, Bodies) {
  EXPECT_EQ(ErrorMessageOf(R"({"error":{"message":"Loading model"}})"), "Loading model");
  EXPECT_EQ(ErrorMessageOf("Bad gateway\r\nmore"), "Bad gateway");
  EXPECT_EQ(ErrorMessageOf("\x1b[31mred\xff"), "?[31mred?");
  EXPECT_EQ(ErrorMessageOf(""), "");
  EXPECT_LT(ErrorMessageOf(std::string(5000, 'x')).size(), 200u);
}

}  // namespace
}  // namespace tenfold::load
