#include "grammar/gbnf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "grammar/automaton.h"
#include "grammar/reference_matcher.h"

namespace tenfold::grammar {
namespace {

using ::testing::HasSubstr;

bool Matches(std::string_view gbnf, std::string_view text) {
  Syntax syntax;
  const Result<ExprId> root = ParseGbnf(gbnf, syntax);
  EXPECT_TRUE(root.ok()) << gbnf << ": " << root.error().message;
  return root.ok() && ReferenceMatcher(syntax, *root).Matches(text);
}

std::string Refusal(std::string_view gbnf) {
  Syntax syntax;
  const Result<ExprId> root = ParseGbnf(gbnf, syntax);
  if (!root.ok()) return root.error().message;
  const Result<Automaton> automaton = Automaton::Compile(syntax, *root);
  return automaton.ok() ? "" : automaton.error().message;
}

TEST(Gbnf, ReadsEveryConstruct) {
  EXPECT_TRUE(Matches("root ::= \"a\" \"b\" | \"c\"", "ab"));
  EXPECT_TRUE(Matches("root ::= \"a\" \"b\" | \"c\"", "c"));
  EXPECT_FALSE(Matches("root ::= \"a\" \"b\" | \"c\"", "ac"));
  EXPECT_TRUE(Matches("root ::= (\"a\" | \"b\")+ \"!\"?", "abba!"));
  EXPECT_FALSE(Matches("root ::= (\"a\" | \"b\")+", ""));
  EXPECT_TRUE(Matches("root ::= [a-cx]*", "abcx"));
  EXPECT_FALSE(Matches("root ::= [^a-c]", "b"));
  EXPECT_TRUE(Matches("root ::= [^a-c]", "d"));
  EXPECT_TRUE(Matches("root ::= [a-]", "-"));
  EXPECT_TRUE(Matches("root ::= . .", "\xC3\xA4x"));
  EXPECT_TRUE(Matches("root ::= \"ab\"*", "abab")) << "a repetition takes the whole literal";
  EXPECT_TRUE(Matches("root ::= word-1\nword-1 ::= \"x\"", "x"));
  EXPECT_TRUE(Matches("root ::= \"\"", ""));
}

TEST(Gbnf, ReadsCounts) {
  EXPECT_FALSE(Matches("root ::= \"a\"{2}", "a"));
  EXPECT_TRUE(Matches("root ::= \"a\"{2}", "aa"));
  EXPECT_FALSE(Matches("root ::= \"a\"{2}", "aaa"));
  EXPECT_TRUE(Matches("root ::= \"a\"{ 2 , }", "aaaa"));
  EXPECT_FALSE(Matches("root ::= \"a\"{2,3}", "aaaa"));
  EXPECT_TRUE(Matches("root ::= \"a\"{,3}", ""));
  EXPECT_FALSE(Matches("root ::= \"a\"{0}", "a"));
}

TEST(Gbnf, EscapesAreCharacters) {
  EXPECT_TRUE(Matches(R"(root ::= "\n\r\t\\\"\[\]")", "\n\r\t\\\"[]"));
  EXPECT_TRUE(Matches(R"(root ::= "\x41\u00e4\U0001F600")", "A\xC3\xA4\xF0\x9F\x98\x80"));
  EXPECT_TRUE(Matches(R"(root ::= "\xff")", "\xC3\xBF"));
  EXPECT_TRUE(Matches(R"(root ::= [\x30-\x39\]\\]+)", "07]\\"));
  EXPECT_TRUE(Matches("root ::= [\xC3\xA4-\xC3\xBC]", "\xC3\xB6"));
}

TEST(Gbnf, LinesAndComments) {
  EXPECT_TRUE(Matches("# first\r\nroot ::= a # behind\r\n\r\na ::= \"x\"", "x"));
  EXPECT_TRUE(Matches("root ::=\n  \"a\"\n  | \"b\"\n", "b"));
  EXPECT_TRUE(Matches("root ::= (\n  \"a\"\n  \"b\" # inside\n)\n", "ab"));
  EXPECT_TRUE(Matches("root ::= \"#\"", "#"));
}

TEST(Gbnf, ErrorsSayWhere) {
  EXPECT_THAT(Refusal("root ::= \"a\"\nx = 3"), HasSubstr("line 2, column 3: expected ::= behind 'x'"));
  EXPECT_THAT(Refusal("root ::= \"a"), HasSubstr("line 1, column 12: the grammar ends where \""));
  EXPECT_THAT(Refusal("root ::= [a-"), HasSubstr("the grammar ends where ]"));
  EXPECT_THAT(Refusal("root ::= [z-a]"), HasSubstr("behind its last"));
  EXPECT_THAT(Refusal("root ::= (\"a\""), HasSubstr("expected )"));
  EXPECT_THAT(Refusal("root ::= \"a\")"), HasSubstr("')' does not fit here"));
  EXPECT_THAT(Refusal("root ::= \xC3\xA4"), HasSubstr("the byte 0xC3"));
  EXPECT_THAT(Refusal("root ::= \"\xC3\""), HasSubstr("not valid UTF-8"));
  EXPECT_THAT(Refusal("root ::= \"\\q\""), HasSubstr("line 1, column 12: unknown escape"));
  EXPECT_THAT(Refusal("root ::= \"\\ud800\""), HasSubstr("U+D800 is no character"));
  EXPECT_THAT(Refusal("root ::= <think>"), HasSubstr("token literals"));
  EXPECT_THAT(Refusal("\xC3\xA4 root ::= \"a\""), HasSubstr("line 1, column 1"));
  EXPECT_THAT(Refusal("root ::= \"a\"{3,2}"), HasSubstr("lower bound"));
  EXPECT_THAT(Refusal("root ::= \"a\"{}"), HasSubstr("expected a number"));
  EXPECT_THAT(Refusal("root ::= []"), HasSubstr("empty character class"));
}

TEST(Gbnf, RulesAreDefinedOnce) {
  EXPECT_THAT(Refusal("root ::= other"), HasSubstr("line 1, column 10: rule 'other' is used but not defined"));
  EXPECT_THAT(Refusal("root ::= \"a\"\nroot ::= \"b\""), HasSubstr("line 2, column 1: rule 'root' is defined twice"));
  EXPECT_THAT(Refusal("start ::= \"a\""), HasSubstr("no rule named root"));
  EXPECT_THAT(Refusal(""), HasSubstr("no rule named root"));
}

TEST(Gbnf, LeftRecursionIsRefused) {
  EXPECT_THAT(Refusal("root ::= root \"a\" | \"b\""), HasSubstr("left recursion: root -> root"));
  EXPECT_THAT(Refusal("root ::= a \"x\"\na ::= b?  c\nb ::= \"b\"\nc ::= a \"c\" | \"d\""),
              HasSubstr("left recursion: a -> c -> a"));
  EXPECT_THAT(Refusal("root ::= (root)* \"a\""), HasSubstr("left recursion"));
  EXPECT_THAT(Refusal("root ::= (root \"a\"){3,9}"), HasSubstr("left recursion"));
  EXPECT_EQ(Refusal("root ::= \"a\" root | \"b\""), "");
}

TEST(Gbnf, WhatNeverEndsIsRefused) {
  EXPECT_THAT(Refusal("root ::= \"a\" root"), HasSubstr("no finite text"));
  EXPECT_THAT(Refusal("root ::= \"a\" x\nx ::= \"b\" root \"c\""), HasSubstr("no finite text"));
}

TEST(Gbnf, SizesHaveLimits) {
  EXPECT_THAT(Refusal("root ::= \"a\"{1048577}"), HasSubstr("above 1048576"));
  EXPECT_THAT(Refusal("root ::= \"a\"{99999999999999999999}"), HasSubstr("above 1048576"));
  EXPECT_THAT(Refusal(std::string("root ::= ") + std::string(101, '(') + "\"a\"" + std::string(101, ')')),
              HasSubstr("nested deeper than 100"));
  EXPECT_EQ(Refusal(std::string("root ::= ") + std::string(100, '(') + "\"a\"" + std::string(100, ')')), "");
  EXPECT_THAT(Refusal(std::string(kMaxGbnfBytes + 1, ' ')), HasSubstr("262145 bytes"));
  std::string wide = "root ::= \"a\"";
  while (wide.size() + 10 < kMaxGbnfBytes) wide += "|\"a\"";
  EXPECT_EQ(Refusal(wide), "");
  std::string large = "root ::= ";
  while (large.size() + 10 < kMaxGbnfBytes) large += "[^a]";
  EXPECT_THAT(Refusal(large), HasSubstr("too large"));
}

}  // namespace
}  // namespace tenfold::grammar
