// Keys and CORS without sockets.
#include "server/access.h"

#include <gtest/gtest.h>

#include "server/cors.h"

namespace tenfold::server {
namespace {

HttpRequest Asking(const std::string& method, std::vector<std::pair<std::string, std::string>> headers) {
  HttpRequest request;
  request.method = method;
  request.headers = std::move(headers);
  return request;
}

std::string Value(const CorsPolicy::Headers& headers, const std::string& name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(KeyRing, FindsEveryKeyAndNothingElse) {
  const KeyRing ring({"first", "second", ""});
  const auto first = ring.Find("first");
  const auto second = ring.Find("second");
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->size(), 8u);
  EXPECT_NE(*first, *second);
  EXPECT_EQ(ring.Find("first"), first);
  for (const char* wrong : {"firs", "firstt", "First", "first ", "second,first"})
    EXPECT_FALSE(ring.Find(wrong)) << wrong;
  EXPECT_FALSE(KeyRing({"a"}).Find(""));
  EXPECT_TRUE(KeyRing({}).empty());
}

TEST(Access, EachKeyOpensAndIsNamed) {
  const KeyRing ring({"one", "two"});
  for (const char* key : {"one", "two"}) {
    HttpRequest request = Asking("GET", {{"Authorization", std::string("Bearer ") + key}});
    EXPECT_FALSE(Refusal(Access::kKey, ring, &request));
    EXPECT_EQ(request.key_name, *ring.Find(key));
    EXPECT_FALSE(Refusal(Access::kAdmin, ring, &request));
  }
  HttpRequest wrong = Asking("GET", {{"Authorization", "Bearer three"}});
  const auto refusal = Refusal(Access::kKey, ring, &wrong);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->status, 401);
  EXPECT_EQ(refusal->message.find("three"), std::string::npos) << "what was sent is not repeated";
  EXPECT_FALSE(Refusal(Access::kOpen, ring, &wrong));
  EXPECT_EQ(wrong.key_name, "");
  HttpRequest none = Asking("GET", {});
  EXPECT_FALSE(Refusal(Access::kKey, KeyRing({}), &none));
}

TEST(Cors, OffSaysNothing) {
  const CorsPolicy off({});
  EXPECT_FALSE(off.on());
  EXPECT_TRUE(off.HeadersFor(Asking("GET", {{"Origin", "https://a.example"}})).empty());
  EXPECT_FALSE(off.IsPreflight(Asking("OPTIONS", {{"Origin", "x"}, {"Access-Control-Request-Method", "POST"}})));
}

TEST(Cors, NamedOriginsAreEchoedAndAnswersVary) {
  const CorsPolicy policy({"https://a.example", "http://localhost:3000"});
  const auto allowed = policy.HeadersFor(Asking("POST", {{"Origin", "http://localhost:3000"}}));
  EXPECT_EQ(Value(allowed, "Access-Control-Allow-Origin"), "http://localhost:3000");
  EXPECT_EQ(Value(allowed, "Vary"), "Origin");
  EXPECT_EQ(Value(allowed, "Access-Control-Allow-Credentials"), "");
  for (const char* other : {"https://b.example", "https://a.example.evil", "http://a.example", "null", ""}) {
    const auto refused = policy.HeadersFor(Asking("POST", {{"Origin", other}}));
    EXPECT_EQ(Value(refused, "Access-Control-Allow-Origin"), "") << other;
    EXPECT_EQ(Value(refused, "Vary"), "Origin") << other;
  }
}

TEST(Cors, TheWildcardNeverComesWithCredentials) {
  const CorsPolicy policy({"https://a.example", "*"});
  const auto headers = policy.HeadersFor(Asking("POST", {{"Origin", "https://b.example"}}));
  EXPECT_EQ(Value(headers, "Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(Value(headers, "Access-Control-Allow-Credentials"), "");
}

TEST(Cors, PreflightNamesMethodsAndRepeatsHeaders) {
  const CorsPolicy policy({"https://a.example"});
  HttpRequest request = Asking("OPTIONS", {{"Origin", "https://a.example"},
                                           {"Access-Control-Request-Method", "POST"},
                                           {"Access-Control-Request-Headers", "authorization, x-stainless-lang"}});
  ASSERT_TRUE(policy.IsPreflight(request));
  const auto headers = policy.PreflightHeaders(request, "POST, OPTIONS");
  EXPECT_EQ(Value(headers, "Access-Control-Allow-Methods"), "POST, OPTIONS");
  EXPECT_EQ(Value(headers, "Access-Control-Allow-Headers"), "authorization, x-stainless-lang");
  EXPECT_NE(Value(headers, "Access-Control-Max-Age"), "");
  request.headers[2].second = "a\r\nSet-Cookie: b";
  EXPECT_EQ(Value(policy.PreflightHeaders(request, "POST"), "Access-Control-Allow-Headers"), "");
  request.headers[0].second = "https://b.example";
  EXPECT_TRUE(policy.PreflightHeaders(request, "POST").empty());
}

}  // namespace
}  // namespace tenfold::server
