#include "api/response_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/generation_request.h"

namespace tenfold::api {
namespace {

using ::testing::HasSubstr;
using Kind = OutputFormat::Kind;

Parsed<ChatRequest> Ask(const std::string& fields) {
  return ParseChatRequest(R"({"messages":[{"role":"user","content":"hi"}])" + fields + "}");
}

OutputFormat FormatOf(const std::string& fields) {
  const Parsed<ChatRequest> parsed = Ask(fields);
  EXPECT_TRUE(parsed.ok()) << parsed.error().message;
  return parsed.ok() ? parsed->options.format : OutputFormat{};
}

ApiError ErrorOf(const std::string& fields) {
  const Parsed<ChatRequest> parsed = Ask(fields);
  EXPECT_FALSE(parsed.ok()) << fields;
  return parsed.error();
}

TEST(ResponseFormat, EveryShape) {
  EXPECT_EQ(FormatOf("").kind, Kind::kText);
  EXPECT_EQ(FormatOf(R"(,"response_format":null,"grammar":"")").kind, Kind::kText);
  EXPECT_EQ(FormatOf(R"(,"response_format":{"type":"text"})").kind, Kind::kText);
  EXPECT_EQ(FormatOf(R"(,"response_format":{"type":"json_object"})").kind, Kind::kJsonObject);
  for (
      const char* fields :
      {R"(,"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","strict":true,"schema":{"type":"null"}}})",
       R"(,"response_format":{"type":"json_schema","schema":{"type":"null"}})",
       R"(,"response_format":{"type":"json_object","schema":{"type":"null"}})"}) {
    const OutputFormat format = FormatOf(fields);
    EXPECT_EQ(format.kind, Kind::kJsonSchema) << fields;
    EXPECT_EQ(format.text, R"({"type":"null"})");
    EXPECT_EQ(format.field, "response_format");
  }
  EXPECT_EQ(FormatOf(R"(,"json_schema":{})").text, "{}");
  EXPECT_EQ(FormatOf(R"(,"json_schema":{})").field, "json_schema");
  const OutputFormat grammar = FormatOf(R"(,"grammar":"root ::= \"a\"","response_format":{"type":"text"})");
  EXPECT_EQ(grammar.kind, Kind::kGrammar);
  EXPECT_EQ(grammar.text, "root ::= \"a\"");
  EXPECT_EQ(grammar.field, "grammar");
}

TEST(ResponseFormat, TheOrderOfPropertiesIsKept) {
  const std::string schema = R"({"properties":{"z":{},"a":{}},"required":["z"]})";
  EXPECT_EQ(FormatOf(R"(,"json_schema":)" + schema).text, schema);
}

TEST(ResponseFormat, OneOfThem) {
  EXPECT_EQ(ErrorOf(R"(,"grammar":"root ::= \"a\"","response_format":{"type":"json_object"})").param, "grammar");
  EXPECT_THAT(ErrorOf(R"(,"grammar":"root ::= \"a\"","json_schema":{})").message,
              HasSubstr("'json_schema' and 'grammar' cannot be combined"));
  EXPECT_EQ(ErrorOf(R"(,"json_schema":{},"response_format":{"type":"json_object"})").param, "json_schema");
  EXPECT_EQ(ErrorOf(R"(,"response_format":{"type":"json_schema","schema":{},"json_schema":{"schema":{}}})").param,
            "response_format.schema");
}

TEST(ResponseFormat, WrongOnesAreNamed) {
  EXPECT_EQ(ErrorOf(R"(,"response_format":"json")").param, "response_format");
  EXPECT_EQ(ErrorOf(R"(,"response_format":{})").param, "response_format.type");
  EXPECT_EQ(ErrorOf(R"(,"response_format":{"type":"xml"})").param, "response_format.type");
  EXPECT_EQ(ErrorOf(R"(,"response_format":{"type":"text","schema":{}})").param, "response_format.schema");
  EXPECT_EQ(ErrorOf(R"(,"response_format":{"type":"json_schema"})").param, "response_format.json_schema");
  EXPECT_EQ(ErrorOf(R"(,"response_format":{"type":"json_schema","json_schema":{"name":"n"}})").param,
            "response_format.json_schema.schema");
  EXPECT_EQ(ErrorOf(R"(,"response_format":{"type":"json_schema","json_schema":{"schema":3}})").param,
            "response_format.json_schema.schema");
  EXPECT_EQ(ErrorOf(R"(,"response_format":{"type":"json_schema","json_schema":{"schema":{},"x":1}})").param,
            "response_format.json_schema.x");
  EXPECT_EQ(ErrorOf(R"(,"response_format":{"type":"json_object","x":1})").param, "response_format.x");
  EXPECT_EQ(ErrorOf(R"(,"json_schema":[])").param, "json_schema");
  EXPECT_EQ(ErrorOf(R"(,"grammar":{})").param, "grammar");
}

}  // namespace
}  // namespace tenfold::api
