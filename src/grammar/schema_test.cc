#include "grammar/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "grammar/grammar.h"

namespace tenfold::grammar {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

std::shared_ptr<const Vocabulary> Bytes() {
  static const auto vocabulary = [] {
    std::vector<std::string> tokens;
    for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
    tokens.emplace_back();
    return std::make_shared<const Vocabulary>(tokens, std::vector<int32_t>{256});
  }();
  return vocabulary;
}

Result<std::shared_ptr<const Grammar>> TryCompile(std::string_view schema) {
  Syntax syntax;
  TENFOLD_TRY(const ExprId root, AddSchema(syntax, json::parse(schema)));
  return Grammar::Compile(syntax, root, Bytes());
}

std::shared_ptr<const Grammar> Compile(std::string_view schema) {
  auto grammar = TryCompile(schema);
  if (grammar.ok()) return *grammar;
  ADD_FAILURE() << schema << ": " << grammar.error().message;
  return nullptr;
}

bool Allows(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  Matcher matcher(grammar);
  for (const char byte : text) {
    if (!matcher.Accept(static_cast<uint8_t>(byte)).ok()) return false;
  }
  return matcher.CanEnd();
}

void Check(std::string_view schema, const std::vector<std::string>& valid, const std::vector<std::string>& invalid) {
  const auto grammar = Compile(schema);
  ASSERT_NE(grammar, nullptr);
  for (const std::string& text : valid) EXPECT_TRUE(Allows(grammar, text)) << schema << " must allow " << text;
  for (const std::string& text : invalid) EXPECT_FALSE(Allows(grammar, text)) << schema << " must not allow " << text;
}

std::string Refusal(std::string_view schema) {
  const auto grammar = TryCompile(schema);
  return grammar.ok() ? "" : grammar.error().message;
}

// A text of the grammar, byte by byte at random, ended as soon as it may end.
std::string RandomText(const std::shared_ptr<const Grammar>& grammar, std::mt19937& random, size_t longest) {
  Matcher matcher(grammar);
  std::string text;
  while (!matcher.MustEnd() && text.size() < longest) {
    const auto mask = matcher.Mask();
    if (!mask.ok()) return mask.error().message;
    std::vector<int32_t> allowed;
    for (int32_t token = 0; token <= 256; ++token) {
      if ((*mask)[static_cast<size_t>(token) / 64] >> (token % 64) & 1) allowed.push_back(token);
    }
    const int32_t token = allowed[random() % allowed.size()];
    if (token == 256) break;
    EXPECT_TRUE(matcher.Accept(token).ok());
    text += static_cast<char>(token);
  }
  return text;
}

TEST(Schema, TypesAndWhiteSpace) {
  Check(R"({"type":"null"})", {"null"}, {"nul", "0", " null"});
  Check(R"({"type":"boolean"})", {"true", "false"}, {"True", "1"});
  Check(R"({"type":["null","boolean"]})", {"null", "true"}, {"\"a\"", "3"});
  Check(R"({"type":"array","items":{"type":"null"}})",
        {"[]", "[ ]", "[null]", "[null,null]", "[\n  null,\n  null\n]", "[null, null]"},
        {"[null,]", "[,null]", "[null null]", "[  ]", "[\n\n]", "[null]]"});
  Check("true", {"{}", "[1,{\"a\":null}]", "-1.5e3", "\"x\""}, {"{a:1}", "01", "[1", "\"\n\"", "nan"});
  Check(R"({"title":"t","description":"d","default":1,"examples":[1],"$schema":"s","$id":"i","$comment":"c"})", {"7"},
        {});
}

TEST(Schema, Numbers) {
  Check(R"({"type":"integer"})", {"0", "-7", "123456789012345"}, {"00", "1.0", "1234567890123456", "+1", "-", "1e3"});
  Check(R"({"type":"number"})", {"0", "-0.5", "1.25e-7", "3E8", "10"}, {".5", "1.", "1e", "1e100", "--1", "0x1"});
  Check(R"({"type":"integer","minimum":-5,"maximum":12})", {"-5", "-1", "0", "9", "12"},
        {"-6", "13", "-0", "100", "012"});
  Check(R"({"type":"integer","exclusiveMinimum":3,"exclusiveMaximum":6})", {"4", "5"}, {"3", "6"});
  Check(R"({"type":"integer","minimum":2.5,"maximum":4.5})", {"3", "4"}, {"2", "5"});
  Check(R"({"type":"integer","maximum":9007199254740991})", {"-999999999999999", "999999999999999"},
        {"9007199254740992"});
  Check(R"({"type":"number","minimum":0,"maximum":1})", {"0", "1", "0.25", "1.00", "0.0"},
        {"1.01", "2", "-0.1", "-0", "1e0"});
  Check(R"({"type":"number","exclusiveMinimum":0})", {"0.001", "1", "20.5"}, {"0", "0.0", "-1"});
  EXPECT_THAT(Refusal(R"({"type":"integer","minimum":4,"maximum":3})"), HasSubstr("no number lies between"));
  EXPECT_THAT(Refusal(R"({"type":"integer","multipleOf":3})"), HasSubstr("'multipleOf' is not supported"));
  EXPECT_THAT(Refusal(R"({"type":"number","minimum":1e-14})"), HasSubstr("too many digits"));
  EXPECT_THAT(Refusal(R"({"type":"number","minimum":"1"})"), HasSubstr("'minimum' must be a number"));
}

// Every integer, and every number of few digits, against comparing it.
TEST(Schema, NumberBoundsAreExact) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; ++round) {
    const bool whole = round % 3 == 0;
    const double scale = whole ? 1 : round % 3 == 1 ? 10 : 100;
    const auto draw = [&] { return static_cast<double>(static_cast<int>(random() % 4001) - 2000) / scale; };
    double low = draw();
    double high = draw();
    if (low > high) std::swap(low, high);
    const bool open_low = random() % 2 == 0;
    const bool open_high = random() % 2 == 0;
    const bool has_low = random() % 8 != 0;
    const bool has_high = random() % 8 != 0;
    json::object schema{{"type", whole ? "integer" : "number"}};
    if (has_low) schema[open_low ? "exclusiveMinimum" : "minimum"] = low;
    if (has_high) schema[open_high ? "exclusiveMaximum" : "maximum"] = high;
    const std::string text = json::serialize(schema);
    const auto grammar = TryCompile(text);
    if (!grammar.ok()) continue;  // empty
    for (int i = 0; i < 200; ++i) {
      // Near a bound as often as not.
      const double base = i % 3 == 0 ? low : i % 3 == 1 ? high : draw();
      const double value = std::round((base + (static_cast<double>(random() % 5) - 2) / scale) * scale) / scale;
      const bool inside = (!has_low || (open_low ? value > low : value >= low)) &&
                          (!has_high || (open_high ? value < high : value <= high));
      std::string shown = json::serialize(json::value(static_cast<int64_t>(std::lround(std::abs(value) * scale))));
      if (!whole) {
        const size_t digits = scale == 10 ? 1 : 2;
        shown.insert(0, std::string(shown.size() <= digits ? digits + 1 - shown.size() : 0, '0'));
        shown.insert(shown.size() - digits, ".");
        while (random() % 2 == 0 && (shown.back() == '0' || shown.back() == '.')) {
          const bool point = shown.back() == '.';
          shown.pop_back();
          if (point) break;
        }
        if (shown.back() == '.') shown += "0";
      }
      if (value < 0) shown.insert(0, "-");
      ASSERT_EQ(Allows(*grammar, shown), inside) << text << " and " << shown;
    }
  }
}

TEST(Schema, Strings) {
  Check(R"({"type":"string"})", {R"("")", R"("ä\n\"\\ \u00e4 \ud83d\ude00 x/y")"},
        {"\"\t\"", R"("\x")", R"("\ud83d")", R"("\ude00")", "\"\xFF\"", "\"", "'a'"});
  Check(R"({"type":"string","minLength":2,"maxLength":3})", {R"("ab")", R"("äö")", R"("a\nb")", R"("\ud83d\ude00x")"},
        {R"("a")", R"("abcd")", R"("ä")"});
  Check(R"({"type":"string","pattern":"^[A-Z]{2,3}-\\d+$"})", {R"("AB-1")", R"("ABC-007")"},
        {R"("A-1")", R"("AB-")", R"("ab-1")"});
  Check(R"({"type":"string","pattern":"b+"})", {R"("abba")", R"("b")"}, {R"("")", R"("aca")"});
  Check(R"({"type":"string","pattern":"^(yes|no)$|^\\w{4}$"})", {R"("yes")", R"("a_1Z")"},
        {R"("yesno")", R"("maybe")"});
  Check(R"({"type":"string","pattern":"^\"\\\\[\\n ]$"})", {R"("\"\\\n")", R"("\"\\ ")"}, {R"("\"\\")", R"("x")"});
  Check(R"({"type":"string","pattern":"^.\\S?[^a-c]$"})", {R"("äz")", R"("axz")"}, {R"("\nz")", R"("ab")"});
  EXPECT_THAT(Refusal(R"j({"type":"string","pattern":"a(?=b)"})j"),
              HasSubstr("look-around or a named group at character"));
  EXPECT_THAT(Refusal(R"({"type":"string","pattern":"(a)\\1"})"), HasSubstr("the escape \\1"));
  EXPECT_THAT(Refusal(R"({"type":"string","pattern":"a\\b"})"), HasSubstr("the escape \\b"));
  EXPECT_THAT(Refusal(R"j({"type":"string","pattern":"(^a)"})j"), HasSubstr("^ or $ in the middle"));
  EXPECT_THAT(Refusal(R"({"type":"string","pattern":"(a"})"), HasSubstr("a ( without its )"));
  EXPECT_THAT(Refusal(R"({"type":"string","pattern":"[z-a]"})"), HasSubstr("not in order"));
  EXPECT_THAT(Refusal(R"({"type":"string","pattern":"a","minLength":2})"), HasSubstr("'pattern' together with"));
  EXPECT_THAT(Refusal(R"({"type":"string","minLength":3,"maxLength":2})"), HasSubstr("'minLength' is above"));
}

TEST(Schema, Formats) {
  Check(R"({"type":"string","format":"date"})", {R"("2024-02-29")", R"("2000-02-29")", R"("1999-12-31")"},
        {R"("2023-02-29")", R"("1900-02-29")", R"("2024-04-31")", R"("2024-13-01")", R"("24-01-01")"});
  Check(R"({"type":"string","format":"time"})", {R"("23:59:59Z")", R"("00:00:00.5+01:30")"},
        {R"("24:00:00Z")", R"("12:00:00")"});
  Check(R"({"type":"string","format":"date-time"})", {R"("2026-11-24T05:30:00Z")"}, {R"("2026-11-24 05:30:00Z")"});
  Check(R"({"type":"string","format":"uuid"})", {R"("123e4567-e89b-12d3-a456-426614174000")"},
        {R"("123e4567e89b12d3a456426614174000")"});
  Check(R"({"type":"string","format":"ipv4"})", {R"("0.10.255.99")"},
        {R"("256.1.1.1")", R"("1.1.1")", R"("01.1.1.1")"});
  Check(R"({"type":"string","format":"email"})", {R"("a.b@example.org")"}, {R"("a@b")", R"("@example.org")"});
  Check(R"({"type":"string","format":"hostname"})", {R"("my-host.example.org")"}, {R"("-a")", R"("a..b")"});
  EXPECT_THAT(Refusal(R"({"type":"string","format":"iri"})"), HasSubstr("'format' \"iri\" is not supported"));
}

TEST(Schema, Objects) {
  Check(
      R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"null"},"c":{"type":"null"}},"required":["b"]})",
      {R"({"b":null})", R"({"a": 1,"b":null})", R"({"a":1, "b": null, "c": null})", R"({"b":null,"c":null})",
       "{\n  \"b\": null\n}"},
      {"{}", R"({"a":1})", R"({"b":null,"a":1})", R"({"b":null,"d":1})", R"({"b":null,})", R"({,"b":null})",
       R"({"b":null "c":null})"});
  Check(R"({"properties":{"a":{"type":"null"},"b":{"type":"null"}}})",
        {"{}", "{ }", R"({"b":null})", R"({"a":null,"b":null})"}, {R"({"b":null,"a":null})", R"({"a":null,"a":null})"});
  Check(R"({"type":"object"})", {"{}", R"({"x":[1,{}]})"}, {"[]"});
  Check(R"({"type":"object","additionalProperties":false})", {"{}"}, {R"({"a":1})"});
  Check(R"({"type":"object","additionalProperties":{"type":"integer"}})", {R"({"a":1, "b":2})"}, {R"({"a":null})"});
  Check(R"({"type":"object","additionalProperties":true,"maxProperties":2,"minProperties":1})",
        {R"({"a":1})", R"({"a":1,"b":2})"}, {"{}", R"({"a":1,"b":2,"c":3})"});
  Check(
      R"({"type":"object","properties":{"ab":{"type":"null"},"a":{"type":"null"}},"additionalProperties":{"type":"integer"}})",
      {R"({"ab":null,"abc":1})", R"({"":1})", R"({"ab":null,"a":null,"b":2,"ac":3})", R"({"aä":3})"},
      {R"({"ab":1})", R"({"a":1})", R"({"x":null})", R"({"\u0061":1})", R"({"b":1,"ab":null})"});
  Check(R"({"type":"object","required":["x"],"additionalProperties":{"type":"integer"}})",
        {R"({"x":1})", R"({"x":1,"y":2})"}, {"{}", R"({"y":1})"});
  Check(R"({"type":"object","properties":{"a\"b/c":{"type":"null"}},"required":["a\"b/c"]})", {R"({"a\"b/c":null})"},
        {"{}"});
  EXPECT_THAT(Refusal(R"({"type":"object","properties":{},"required":["x"],"additionalProperties":false})"),
              HasSubstr("#: 'required' names 'x'"));
  EXPECT_THAT(Refusal(R"({"type":"object","properties":{"a":{}},"minProperties":1})"), HasSubstr("'minProperties'"));
  EXPECT_THAT(Refusal(R"({"type":"object","properties":{"a":{},"b":{}},"maxProperties":1})"),
              HasSubstr("'maxProperties'"));
}

TEST(Schema, Arrays) {
  Check(R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})", {"[1]", "[1, 2,3]"},
        {"[]", "[1,2,3,4]"});
  Check(R"({"type":"array","items":{"type":"null"},"minItems":20,"maxItems":1000})",
        {"[null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null]"},
        {"[null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null]"});
  Check(R"({"type":"array","maxItems":0})", {"[]"}, {"[1]"});
  Check(R"({"type":"array","items":false})", {"[]"}, {"[1]"});
  Check(
      R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"null"}],"items":{"type":"boolean"},"minItems":1})",
      {"[1]", "[1,null]", "[1,null,true,false]"}, {"[]", "[null]", "[1,true]", "[1,null,3]"});
  Check(R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"null"}]})", {"[]", "[1]", "[1,null]"},
        {"[1,null,2]"});
  Check(R"({"type":"array","prefixItems":[{"type":"integer"}],"items":{"type":"null"},"minItems":3,"maxItems":3})",
        {"[1,null,null]"}, {"[1,null]", "[1,null,null,null]"});
  EXPECT_THAT(Refusal(R"({"type":"array","items":{},"uniqueItems":true})"), HasSubstr("'uniqueItems'"));
  EXPECT_THAT(Refusal(R"({"type":"array","items":[{}]})"), HasSubstr("'prefixItems'"));
  EXPECT_THAT(Refusal(R"({"type":"array","contains":{}})"), HasSubstr("'contains' is not supported"));
  EXPECT_THAT(Refusal(R"({"type":"array","prefixItems":[{}],"items":false,"minItems":2})"), HasSubstr("'minItems'"));
}

TEST(Schema, Choices) {
  Check(R"({"enum":["a",1,null,{"k":[1.5,true]},"ä\"\n"]})",
        {R"("a")", "1", "null", R"({"k":[1.5,true]})", R"("ä\"\n")"}, {R"("b")", "2"});
  Check(R"({"type":"string","enum":["a",1,"b"]})", {R"("a")", R"("b")"}, {"1"});
  Check(R"({"const":"x"})", {R"("x")"}, {R"("y")"});
  Check(R"({"anyOf":[{"type":"integer"},{"type":"null"}]})", {"1", "null"}, {"true"});
  Check(
      R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"anyOf":[{"required":["a"]},{"required":["b"]}]})",
      {R"({"a":1})", R"({"b":1})"}, {"{}"});
  Check(R"({"oneOf":[{"type":"integer"},{"type":"string"}]})", {"1", R"("a")"}, {"null"});
  Check(R"({"oneOf":[{"type":"object","properties":{"k":{"const":"a"}},"required":["k"]},
                     {"type":"object","properties":{"k":{"const":"b"},"v":{"type":"null"}},"required":["k"]}]})",
        {R"({"k":"a"})", R"({"k":"b","v":null})"}, {R"({"k":"a","v":null})", R"({"k":"c"})"});
  EXPECT_THAT(Refusal(R"({"oneOf":[{"type":"integer"},{"type":"number"}]})"),
              HasSubstr("alternatives 0 and 1 of 'oneOf'"));
  EXPECT_THAT(Refusal(R"({"oneOf":[{"minimum":1},{"type":"string"}]})"), HasSubstr("'oneOf'"));
  EXPECT_THAT(Refusal(R"({"enum":["a"],"minLength":3})"), HasSubstr("'minLength' beside 'enum'"));
  EXPECT_THAT(Refusal(R"({"enum":["a"],"type":"integer"})"), HasSubstr("no value of 'enum'"));
  EXPECT_THAT(Refusal(R"({"type":"strin"})"), HasSubstr("'type' must be"));
}

TEST(Schema, AllOf) {
  Check(R"({"allOf":[{"type":"object","properties":{"a":{"type":"integer","minimum":1}},"required":["a"]},
                     {"properties":{"a":{"maximum":3},"b":{"type":"null"}},"required":["b"]}]})",
        {R"({"a":3,"b":null})"}, {R"({"a":4,"b":null})", R"({"a":0,"b":null})", R"({"a":1})", R"({"b":null})"});
  Check(R"({"allOf":[{"type":["integer","null"]},{"type":"number"}]})", {"1"}, {"null", "1.5"});
  Check(R"({"allOf":[{"enum":[1,2,3]},{"enum":[2,3,4]}]})", {"2", "3"}, {"1", "4"});
  Check(R"({"$defs":{"s":{"type":"string","minLength":1}},"$ref":"#/$defs/s","maxLength":2})", {R"("a")"},
        {R"("")", R"("abc")"});
  EXPECT_THAT(Refusal(R"({"allOf":[{"pattern":"^a"},{"pattern":"b$"}]})"), HasSubstr("two different 'pattern'"));
  EXPECT_THAT(
      Refusal(
          R"({"allOf":[{"type":"object","properties":{"a":{}},"additionalProperties":false},{"properties":{"b":{}}}]})"),
      HasSubstr("excludes property 'b'"));
  EXPECT_THAT(Refusal(R"({"$defs":{"a":{"allOf":[{"$ref":"#/$defs/a"}]}},"$ref":"#/$defs/a"})"), HasSubstr("circle"));
}

TEST(Schema, References) {
  Check(
      R"({"$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},
            "required":["v","next"]}},"$ref":"#/$defs/node"})",
      {R"({"v":1,"next":null})", R"({"v":1,"next":{"v":2,"next":{"v":3,"next":null}}})"},
      {R"({"v":1})", R"({"v":1,"next":{}})"});
  Check(R"({"type":"array","items":{"$ref":"#"}})", {"[]", "[[],[[]]]"}, {"[1]"});
  Check(
      R"({"definitions":{"a/b":{"type":"null"},"c d":{"type":"integer"}},"anyOf":[{"$ref":"#/definitions/a~1b"},{"$ref":"#/definitions/c%20d"}]})",
      {"null", "3"}, {"true"});
  EXPECT_THAT(Refusal(R"({"properties":{"x":{"$ref":"#/$defs/none"}}})"),
              HasSubstr("#/properties/x: $ref '#/$defs/none' leads nowhere"));
  EXPECT_THAT(Refusal(R"({"$ref":"https://example.org/s.json"})"), HasSubstr("leaves the schema"));
  EXPECT_THAT(Refusal(R"({"$ref":"#"})"), HasSubstr("left recursion"));
  EXPECT_THAT(Refusal(R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})"),
              HasSubstr("no finite text"));
}

TEST(Schema, RefusalsNameKeywordAndPlace) {
  EXPECT_THAT(Refusal(R"({"type":"object","properties":{"a/b":{"type":"array","items":{"if":{}}}}})"),
              HasSubstr("#/properties/a~1b/items: the schema keyword 'if' is not supported"));
  for (const char* keyword : {"not", "then", "patternProperties", "propertyNames", "dependentRequired",
                              "contentEncoding", "unevaluatedProperties", "nullable", "x-custom"}) {
    EXPECT_THAT(Refusal("{\"" + std::string(keyword) + "\":{}}"), HasSubstr("'" + std::string(keyword) + "'"));
  }
  EXPECT_THAT(Refusal("false"), HasSubstr("'false' allows nothing"));
  EXPECT_THAT(Refusal("3"), HasSubstr("a schema must be an object or true"));
}

TEST(Schema, RandomTextsAreJson) {
  std::mt19937 random(5);
  const auto any = Compile("true");
  const auto record =
      Compile(R"({"type":"object","properties":{"name":{"type":"string","maxLength":8},"tags":{"type":"array",
      "items":{"enum":["x","y"]},"maxItems":4},"n":{"type":"number"}},"required":["name","tags","n"]})");
  for (int round = 0; round < 300; ++round) {
    for (const auto& grammar : {any, record}) {
      const std::string text = RandomText(grammar, random, 4000);
      json::error_code error;
      if (text.size() < 4000) json::parse(text, error);
      EXPECT_FALSE(error) << text;
    }
  }
}

TEST(Schema, SizesHaveLimits) {
  std::string deep = "true";
  for (int i = 0; i < 20; ++i) deep = R"({"type":"array","items":)" + deep + "}";
  EXPECT_EQ(Refusal(deep), "");
  // Every $ref doubles what must be merged.
  std::string doubling = R"({"$defs":{"d0":{"type":"object"})";
  for (int i = 1; i < 25; ++i) {
    const std::string below = "{\"$ref\":\"#/$defs/d" + std::to_string(i - 1) + "\"}";
    doubling += ",\"d" + std::to_string(i) + "\":{\"allOf\":[" + below + "," + below + "]}";
  }
  EXPECT_THAT(Refusal(doubling + "},\"$ref\":\"#/$defs/d24\"}"), HasSubstr("too large"));
  EXPECT_THAT(Refusal(R"({"type":"string","maxLength":2000000})"), HasSubstr("at most 1048576"));
}

}  // namespace
}  // namespace tenfold::grammar
