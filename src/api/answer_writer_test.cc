// The exact bytes of answers, and that they stay JSON whatever the tokens are.
#include "api/answer_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "api/json_body.h"
#include "api/text_request.h"

namespace tenfold::api {
namespace {

AnswerHead Head(Shape shape, bool logprobs = false, bool usage = false) {
  AnswerHead head;
  head.shape = shape;
  head.id = "x-1";
  head.created_unix_s = 17;
  head.model = "m";
  head.fingerprint = "fp";
  head.with_logprobs = logprobs;
  head.include_usage = usage;
  return head;
}

const Timings kTimings{.cached_tokens = 1,
                       .prompt_tokens = 4,
                       .prompt_us = 2000,
                       .predicted_tokens = 2,
                       .predicted_us = 1000,
                       .queue_us = 500,
                       .load_us = 0};
constexpr char kTimingsJson[] =
    R"("timings":{"cache_n":1,"prompt_n":4,"prompt_ms":2,"prompt_per_token_ms":0.5,"prompt_per_second":2000,)"
    R"("predicted_n":2,"predicted_ms":1,"predicted_per_token_ms":0.5,"predicted_per_second":2000,"queue_ms":0.5,)"
    R"("load_ms":0})";
constexpr char kUsageJson[] =
    R"("usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":1}})";

std::string Whole(AnswerWriter& writer, const std::vector<ChoiceAnswer>& choices) {
  std::vector<const ChoiceAnswer*> pointers;
  for (const ChoiceAnswer& choice : choices) pointers.push_back(&choice);
  return writer.Whole(pointers, {5, 2, 1}, kTimings);
}

TEST(AnswerWriter, WholeChat) {
  AnswerWriter writer(Head(Shape::kChat));
  EXPECT_EQ(Whole(writer, {{.message = {"a\"\n"}, .tokens = {}, .finish_reason = "stop"}}),
            std::string(R"({"id":"x-1","object":"chat.completion","created":17,"model":"m","system_fingerprint":"fp",)"
                        R"("choices":[{"index":0,"message":{"role":"assistant","content":"a\"\n","refusal":null},)"
                        R"("logprobs":null,"finish_reason":"stop"}],)") +
                kUsageJson + "," + kTimingsJson + "}");
}

TEST(AnswerWriter, StreamedChat) {
  AnswerWriter writer(Head(Shape::kChat, false, true));
  const std::string head = R"({"id":"x-1","object":"chat.completion.chunk","created":17,"model":"m",)"
                           R"("system_fingerprint":"fp","choices":[)";
  EXPECT_EQ(writer.RoleChunk(0), head + R"({"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,)"
                                        R"("finish_reason":null}],"usage":null})");
  EXPECT_EQ(writer.DeltaChunk(0, {"hé"}, {}), head + R"({"index":0,"delta":{"content":"hé"},"logprobs":null,)"
                                                     R"("finish_reason":null}],"usage":null})");
  EXPECT_EQ(writer.FinishChunk(0, "length", nullptr),
            head + R"({"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}],"usage":null})");
  EXPECT_EQ(writer.UsageChunk({5, 2, 1}, kTimings), head + "]," + kUsageJson + "," + kTimingsJson + "}");
}

TEST(AnswerWriter, WholeChatWithCallsAndReasoning) {
  AnswerWriter writer(Head(Shape::kChat));
  ChoiceAnswer answer;
  answer.message.Append({.reasoning = "hm"});
  answer.message.Append({.tool_calls = {{.index = 0, .id = "call_1", .name = "f"}}});
  answer.message.Append({.tool_calls = {{.index = 0, .arguments = "{\"a\""}}});
  answer.message.Append({.tool_calls = {{.index = 0, .arguments = ":1}"}}});
  answer.message.Append({.tool_calls = {{.index = 1, .id = "call_2", .name = "g"}}});
  answer.finish_reason = "tool_calls";
  const std::string json = writer.Whole({&answer}, {5, 2, 1}, kTimings);
  EXPECT_NE(json.find(R"("message":{"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[)"
                      R"({"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},)"
                      R"({"id":"call_2","type":"function","function":{"name":"g","arguments":""}}],"refusal":null},)"
                      R"("logprobs":null,"finish_reason":"tool_calls")"),
            std::string::npos)
      << json;
  answer.message.Append({.content = "x"});
  EXPECT_NE(writer.Whole({&answer}, {5, 2, 1}, kTimings).find(R"("content":"x","reasoning_content")"),
            std::string::npos);
}

TEST(AnswerWriter, StreamedCallsAndReasoning) {
  AnswerWriter writer(Head(Shape::kChat));
  const auto delta = [&](const Delta& d) {
    const std::string json = writer.DeltaChunk(0, d, {});
    const size_t begin = json.find("\"delta\":");
    return json.substr(begin, json.find(",\"logprobs\"") - begin);
  };
  EXPECT_EQ(delta({.reasoning = "hm"}), R"("delta":{"reasoning_content":"hm"})");
  EXPECT_EQ(
      delta({.tool_calls = {{.index = 1, .id = "call_1", .name = "f"}}}),
      R"("delta":{"tool_calls":[{"index":1,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]})");
  EXPECT_EQ(delta({.tool_calls = {{.index = 1, .arguments = "{\""}}}),
            R"("delta":{"tool_calls":[{"index":1,"function":{"arguments":"{\""}}]})");
  EXPECT_EQ(delta({}), R"("delta":{"content":""})");
}

TEST(AnswerWriter, ChatLogprobs) {
  AnswerWriter writer(Head(Shape::kChat, true));
  const std::vector<TokenInfo> tokens = {{7, "h", -0.5f, 1, {{7, "h", -0.5f}, {9, "\xC3", -1.5f}}}};
  const std::string json = writer.DeltaChunk(0, {"h"}, tokens);
  EXPECT_NE(json.find(R"("logprobs":{"content":[{"id":7,"token":"h","bytes":[104],"logprob":-0.5,"top_logprobs":[)"
                      R"({"id":7,"token":"h","bytes":[104],"logprob":-0.5},)"
                      "{\"id\":9,\"token\":\"\xEF\xBF\xBD\",\"bytes\":[195],\"logprob\":-1.5}]}],\"refusal\":null}"),
            std::string::npos)
      << json;
}

TEST(AnswerWriter, CompletionLogprobsKeepLegacyArraysAndOffsets) {
  AnswerWriter writer(Head(Shape::kCompletion, true));
  const float none = -std::numeric_limits<float>::infinity();
  const std::vector<TokenInfo> first = {{1, "ab", -0.25f, 2, {{1, "ab", -0.25f}, {2, "ab", -0.75f}}},
                                        {3, "\xC3", -1, 0, {}}};
  const std::string one = writer.DeltaChunk(0, {"ab"}, first);
  EXPECT_NE(one.find(R"("logprobs":{"tokens":["ab","bytes:\\xc3"],"token_logprobs":[-0.25,-1],)"
                     R"("top_logprobs":[{"ab":-0.25},{}],"text_offset":[0,2],"content":[)"),
            std::string::npos)
      << one;
  const std::string two = writer.DeltaChunk(0, {"é"}, {{4, "\xA9", none, 1, {}}, {5, "z", -2, 1, {}}});
  EXPECT_NE(two.find(R"("token_logprobs":[-9999,-2],"top_logprobs":[{},{}],"text_offset":[2,3])"), std::string::npos)
      << two;
  EXPECT_TRUE(ParseObject(one).ok());
  EXPECT_TRUE(ParseObject(two).ok());
}

TEST(AnswerWriter, EveryChoiceCountsItsOwnOffsets) {
  AnswerWriter writer(Head(Shape::kCompletion, true));
  const std::vector<TokenInfo> tokens = {{1, "<s>", -1, 0, {}}, {2, "abc", -1, 3, {}}};
  EXPECT_NE(writer.DeltaChunk(1, {"abc"}, tokens).find("\"text_offset\":[0,0]"), std::string::npos);
  EXPECT_NE(writer.DeltaChunk(0, {"abc"}, tokens).find("\"text_offset\":[0,0]"), std::string::npos);
  EXPECT_NE(writer.DeltaChunk(1, {"abc"}, tokens).find("\"text_offset\":[3,3]"), std::string::npos);
}

TEST(AnswerWriter, ChoicesInTheirOrder) {
  AnswerWriter writer(Head(Shape::kChat));
  const std::string json = Whole(writer, {{.message = {"a"}, .tokens = {}, .finish_reason = "stop"},
                                          {.message = {"b"}, .tokens = {}, .finish_reason = "length"}});
  EXPECT_NE(json.find(R"("choices":[{"index":0,"message":{"role":"assistant","content":"a","refusal":null},)"
                      R"("logprobs":null,"finish_reason":"stop"},)"
                      R"({"index":1,"message":{"role":"assistant","content":"b","refusal":null},)"
                      R"("logprobs":null,"finish_reason":"length"}],)"),
            std::string::npos)
      << json;
  EXPECT_NE(writer.DeltaChunk(2, {"c"}, {}).find(R"("choices":[{"index":2,)"), std::string::npos);
  EXPECT_NE(writer.FinishChunk(2, "stop", nullptr).find(R"("choices":[{"index":2,)"), std::string::npos);
  EXPECT_NE(writer.RoleChunk(2).find(R"("choices":[{"index":2,)"), std::string::npos);
}

TEST(AnswerWriter, WholeCompletion) {
  AnswerWriter writer(Head(Shape::kCompletion));
  EXPECT_EQ(Whole(writer, {{.message = {"t"}, .tokens = {}, .finish_reason = "length"}}),
            std::string(R"({"id":"x-1","object":"text_completion","created":17,"model":"m","system_fingerprint":"fp",)"
                        R"("choices":[{"index":0,"text":"t","logprobs":null,"finish_reason":"length"}],)") +
                kUsageJson + "," + kTimingsJson + "}");
}

TEST(AnswerWriter, Errors) {
  EXPECT_EQ(ErrorBody(InvalidRequest("top_p", "Bad.")),
            R"({"error":{"message":"Bad.","type":"invalid_request_error","param":"top_p","code":null}})");
  EXPECT_EQ(ErrorBody(ModelNotFound("gpt")),
            R"({"error":{"message":"The model 'gpt' does not exist here; GET /v1/models lists the one that does.",)"
            R"("type":"not_found_error","param":"model","code":"model_not_found"}})");
  const ApiError context = ContextExceeded(90, 20, 100);
  EXPECT_EQ(context.status, 400);
  const std::string body = ErrorBody(context);
  EXPECT_NE(body.find("\"n_prompt_tokens\":90,\"n_ctx\":100"), std::string::npos) << body;
  EXPECT_NE(body.find("\"type\":\"exceed_context_size_error\""), std::string::npos) << body;
}

TEST(AnswerWriter, TheTableOfStatuses) {
  const auto status = [](ErrorCode code) { return FromError({code, "m"}).status; };
  EXPECT_EQ(status(ErrorCode::kInvalidArgument), 400);
  EXPECT_EQ(status(ErrorCode::kNotFound), 404);
  EXPECT_EQ(status(ErrorCode::kUnsupported), 501);
  EXPECT_EQ(status(ErrorCode::kResourceExhausted), 503);
  EXPECT_EQ(status(ErrorCode::kUnavailable), 503);
  EXPECT_EQ(status(ErrorCode::kInternal), 500);
  EXPECT_EQ(FromError({ErrorCode::kResourceExhausted, "m"}).code, "server_is_overloaded");
  EXPECT_GE(FromError({ErrorCode::kUnavailable, "m"}).retry_after_s, 1);
}

TEST(JsonWriter, EveryByteStringGivesJson) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string bytes = {static_cast<char>(a), static_cast<char>(b), 'x'};
      JsonWriter w;
      w.BeginObject().Key("k").String(bytes).EndObject();
      ASSERT_TRUE(ParseObject(std::move(w).Take()).ok()) << a << " " << b;
    }
  }
}

TEST(JsonWriter, WholeCharactersSurvive) {
  for (const char* text : {"é", "€", "😀", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"}) {
    JsonWriter w;
    w.String(text);
    EXPECT_EQ(std::move(w).Take(), "\"" + std::string(text) + "\"");
  }
  for (const char* text :
       {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE0\x80\x80", "\x80", "\xF5\x80\x80\x80"}) {
    EXPECT_EQ(Utf8Length(text), 0) << text;
    EXPECT_FALSE(IsUtf8(text));
  }
}

TEST(JsonWriter, NumbersReadBack) {
  JsonWriter w;
  w.BeginArray().Double(0.1).Double(std::nan("")).Double(1e300).Int(-5).Uint(~uint64_t{0}).Bool(true).Null().EndArray();
  EXPECT_EQ(std::move(w).Take(), "[0.1,null,1e+300,-5,18446744073709551615,true,null]");
}

TEST(TextRequest, TokenizeAndDetokenize) {
  const Parsed<TokenizeRequest> t =
      ParseTokenizeRequest(R"({"content":"a","add_special":true,"parse_special":false,"with_pieces":true})");
  ASSERT_TRUE(t.ok()) << t.error().message;
  EXPECT_TRUE(t->add_special);
  EXPECT_FALSE(t->parse_special);
  EXPECT_TRUE(t->with_pieces);
  EXPECT_TRUE(ParseTokenizeRequest(R"({"content":""})").ok());
  EXPECT_EQ(ParseTokenizeRequest(R"({})").error().param, "content");
  EXPECT_EQ(ParseTokenizeRequest(R"({"content":[1]})").error().param, "content");
  EXPECT_EQ(ParseTokenizeRequest(R"({"content":"a","x":1})").error().param, "x");
  const Parsed<DetokenizeRequest> d = ParseDetokenizeRequest(R"({"tokens":[1,2]})");
  ASSERT_TRUE(d.ok());
  EXPECT_EQ(d->tokens, (std::vector<int32_t>{1, 2}));
  for (const char* tokens : {"[-1]", "[\"a\"]", "5", "null", "[1.5]"}) {
    EXPECT_EQ(ParseDetokenizeRequest("{\"tokens\":" + std::string(tokens) + "}").error().param, "tokens") << tokens;
  }
  const std::vector<std::string> pieces = {"a", "\xC3"};
  EXPECT_EQ(TokenizeAnswer({1, 2}, nullptr), R"({"tokens":[1,2]})");
  EXPECT_EQ(TokenizeAnswer({1, 2}, &pieces), R"({"tokens":[{"id":1,"piece":"a"},{"id":2,"piece":[195]}]})");
}

}  // namespace
}  // namespace tenfold::api
