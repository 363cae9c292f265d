#include "api/repeated_key.h"

#include <gtest/gtest.h>

#include "api/json_body.h"

namespace tenfold::api {
namespace {

std::string Find(std::string_view json) { return FindRepeatedKey(json, 8).value_or("-"); }

TEST(RepeatedKey, IsFoundAtAnyDepthAndNamedByItsPath) {
  EXPECT_EQ(Find(R"({"a":1,"b":2,"a":1})"), "a");
  EXPECT_EQ(Find(R"({"a":{"x":1},"m":[1,{"k":[]},{"r":0,"c":"","r":0}]})"), "m[2].r");
  EXPECT_EQ(Find(R"([[],[0,{"p":{"q":null,"q":null}}]])"), "[1][1].p.q");
  EXPECT_EQ(Find(R"({"name":1,"n\u0061me":2})"), "name") << "an escape is what it stands for";
  EXPECT_EQ(Find(R"({"":1,"":2})"), "");
  const std::string longer(5000, 'k');  // longer than the parser's pieces
  EXPECT_EQ(Find("{\"" + longer + "\":1,\"" + longer + "\":2}"), longer);
}

TEST(RepeatedKey, IsNoneWhereObjectsOnlyLookAlike) {
  EXPECT_EQ(Find(R"({"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}],"A":"a"})"), "-");
  EXPECT_EQ(Find(R"({"text":"{\"a\":1,\"a\":2}"})"), "-") << "a string holds text, not keys";
  EXPECT_EQ(Find(R"({"aa":1,"a":2,"":3})"), "-");
  EXPECT_EQ(Find("{"), "-");
  EXPECT_EQ(Find(""), "-");
  EXPECT_EQ(Find(std::string(9, '[')), "-") << "too deep is somebody else's refusal";
}

TEST(RepeatedKey, OfABodyIsRefusedByName) {
  const Parsed<boost::json::object> twice = ParseObject(R"({"model":"a","max_tokens":1,"max_tokens":9})");
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error().status, 400);
  EXPECT_EQ(twice.error().param, "max_tokens");
  EXPECT_NE(twice.error().message.find("'max_tokens' twice"), std::string::npos) << twice.error().message;
  const Parsed<boost::json::object> nested = ParseObject(R"({"messages":[{"role":"user","role":"system"}]})");
  ASSERT_FALSE(nested.ok());
  EXPECT_EQ(nested.error().param, "messages[0].role");
  const Parsed<boost::json::object> longer =
      ParseObject("{\"" + std::string(9000, 'x') + "\":1,\"" + std::string(9000, 'x') + "\":2}");
  ASSERT_FALSE(longer.ok());
  EXPECT_LT(longer.error().message.size(), 400u) << "a stranger's key does not make a long answer";
  EXPECT_TRUE(ParseObject(R"({"messages":[{"role":"user"},{"role":"user"}]})").ok());
}

}  // namespace
}  // namespace tenfold::api
