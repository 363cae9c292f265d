#include "grammar/grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <thread>

#include "grammar/gbnf.h"
#include "grammar/reference_matcher.h"

namespace tenfold::grammar {
namespace {

using ::testing::HasSubstr;

// Every byte is a token, then these, then two tokens that end an answer and one that nothing allows.
std::vector<std::string> TokensWith(const std::vector<std::string>& more) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  tokens.insert(tokens.end(), more.begin(), more.end());
  tokens.insert(tokens.end(), {"", "", ""});
  return tokens;
}

std::shared_ptr<const Vocabulary> VocabularyOf(const std::vector<std::string>& tokens) {
  const auto size = static_cast<int32_t>(tokens.size());
  return std::make_shared<const Vocabulary>(tokens, std::vector<int32_t>{size - 3, size - 2});
}

std::shared_ptr<const Vocabulary> Bytes() {
  static const auto vocabulary = VocabularyOf(TokensWith({}));
  return vocabulary;
}

std::shared_ptr<const Grammar> Gbnf(std::string_view text, std::shared_ptr<const Vocabulary> vocabulary = Bytes()) {
  Syntax syntax;
  Result<ExprId> root = ParseGbnf(text, syntax);
  if (!root.ok()) {
    ADD_FAILURE() << root.error().message;
    return nullptr;
  }
  auto grammar = Grammar::Compile(syntax, *root, std::move(vocabulary));
  if (!grammar.ok()) {
    ADD_FAILURE() << grammar.error().message;
    return nullptr;
  }
  return *grammar;
}

// How far a text may go: 0 not at all, 1 as a beginning, 2 as a whole.
int Judge(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  Matcher matcher(grammar);
  for (const char byte : text) {
    if (!matcher.Accept(static_cast<uint8_t>(byte)).ok()) return 0;
  }
  return matcher.CanEnd() ? 2 : 1;
}

bool Matches(const std::shared_ptr<const Grammar>& grammar, std::string_view text) { return Judge(grammar, text) == 2; }

bool Has(std::span<const uint64_t> mask, size_t token) { return (mask[token / 64] >> (token % 64) & 1) != 0; }

// The mask against each token's bytes, one by one, on a matcher that has taken `text`.
void ExpectMaskIsRight(const std::shared_ptr<const Grammar>& grammar, Matcher& matcher, std::string_view text) {
  const Vocabulary& vocabulary = grammar->vocabulary();
  Result<std::span<const uint64_t>> mask = matcher.Mask();
  ASSERT_TRUE(mask.ok()) << mask.error().message;
  const int whole = Judge(grammar, text);
  for (int32_t token = 0; token < vocabulary.size(); ++token) {
    const std::string_view bytes = vocabulary.bytes(token);
    bool allowed = whole == 2 && vocabulary.IsEnd(token);
    if (!bytes.empty()) allowed = Judge(grammar, std::string(text) + std::string(bytes)) > 0;
    ASSERT_EQ(Has(*mask, static_cast<size_t>(token)), allowed)
        << "token " << token << " '" << bytes << "' after '" << text << "'";
  }
}

// A random expression over few characters, some of two bytes.
ExprId RandomExpr(Syntax& s, std::mt19937& random, const std::vector<RuleId>& rules, int depth) {
  const auto pick = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  const uint32_t kind = depth == 0 ? pick(3) : pick(8);
  const auto child = [&] { return RandomExpr(s, random, rules, depth - 1); };
  switch (kind) {
    case 0: {
      static const char* const kTexts[] = {"a", "b", "ab", "ba", "\xC3\xA4", "", "aa"};
      return s.Literal(kTexts[pick(7)]);
    }
    case 1:
      return s.Chars(CharSet({{'a', 'a' + pick(2)}}));
    case 2:
      return pick(4) == 0 ? s.Chars(CharSet({{0xE4, 0xE4 + pick(3)}, {'b', 'b'}}))
                          : s.Reference(rules[pick(rules.size())]);
    case 3:
    case 4:
      return s.Sequence({child(), child()});
    case 5:
      return s.Choice({child(), child()});
    case 6: {
      const uint32_t min = pick(3);
      return s.Repeat(child(), min, pick(2) == 0 ? kNoLimit : min + pick(3));
    }
    default:
      return pick(6) == 0 ? s.TextUntil(pick(2) == 0 ? "aab" : "abab") : s.Repeat(child(), pick(2), 10 + pick(3));
  }
}

TEST(Matcher, AgreesWithTheReferenceOnRandomGrammars) {
  std::mt19937 random(20261124);
  int compared = 0;
  int wholes = 0;
  int refused = 0;
  for (int round = 0; round < 1500; ++round) {
    Syntax s;
    std::vector<RuleId> rules;
    for (int i = 0; i < 3; ++i) rules.push_back(s.DeclareRule("r" + std::to_string(i)));
    for (const RuleId rule : rules) s.DefineRule(rule, RandomExpr(s, random, rules, 3));
    const ExprId root = s.Reference(rules[0]);
    auto grammar = Grammar::Compile(s, root, Bytes());
    if (!grammar.ok()) {
      EXPECT_THAT(grammar.error().message, ::testing::ContainsRegex("left recursion|no finite text"));
      ++refused;
      continue;
    }
    ReferenceMatcher reference(s, root);
    for (int i = 0; i < 40; ++i) {
      static const char* const kPieces[] = {"a", "b", "\xC3", "\xA4", "\xC3\xA4", "ab"};
      std::string text;
      for (uint32_t length = random() % 9; length > 0; --length) text += kPieces[random() % 6];
      const int expected = reference.Matches(text) ? 2 : reference.MayBegin(text) ? 1 : 0;
      ASSERT_EQ(Judge(*grammar, text), expected) << "round " << round << ", text '" << text << "'";
      wholes += expected == 2 ? 1 : 0;
      ++compared;
    }
  }
  EXPECT_GT(compared, 20000);
  EXPECT_GT(wholes, 1500);
  EXPECT_GT(refused, 50);
}

TEST(Matcher, MasksAreWhatEveryTokensBytesSay) {
  std::mt19937 random(7);
  const auto vocabulary =
      VocabularyOf(TokensWith({"aa", "ab", "ba", "aba", "abab", "\xC3\xA4", "b\xC3",
                               "\xA4"
                               "a",
                               "aaaaa", "aaaaaaaaaa", "hello", "hello world, this is long", "\"", "a\"b"}));
  for (int round = 0; round < 150; ++round) {
    Syntax s;
    std::vector<RuleId> rules;
    for (int i = 0; i < 3; ++i) rules.push_back(s.DeclareRule("r"));
    for (const RuleId rule : rules) s.DefineRule(rule, RandomExpr(s, random, rules, 3));
    // A small bound on memory, so that states are forgotten and made again on the way.
    auto grammar = Grammar::Compile(s, s.Reference(rules[0]), vocabulary, /*max_space_bytes=*/20000);
    if (!grammar.ok()) continue;
    Matcher matcher(*grammar);
    std::string text;
    for (int step = 0; step < 8; ++step) {
      ExpectMaskIsRight(*grammar, matcher, text);
      if (HasFatalFailure()) return;
      std::vector<int32_t> allowed;
      const auto mask = *matcher.Mask();
      for (int32_t token = 0; token < vocabulary->size(); ++token) {
        if (Has(mask, static_cast<size_t>(token)) && !vocabulary->IsEnd(token)) allowed.push_back(token);
      }
      if (allowed.empty()) break;
      const int32_t token = allowed[random() % allowed.size()];
      ASSERT_TRUE(matcher.Accept(token).ok());
      text += vocabulary->bytes(token);
    }
  }
}

TEST(Matcher, MasksOfPlainTextRunsAreRight) {
  const auto vocabulary =
      VocabularyOf(TokensWith({"hello", "hello world", "quite a long token of text", "\xC3\xA4hm", "a\"", "\\n",
                               "end\"", "one token that is longer than thirty-two characters", "\xE2\x82", "\xAC!"}));
  const auto check = [&](std::string_view gbnf, const std::vector<std::string>& texts) {
    const auto grammar = Gbnf(gbnf, vocabulary);
    for (const std::string& text : texts) {
      Matcher matcher(grammar);
      for (const char byte : text) ASSERT_TRUE(matcher.Accept(static_cast<uint8_t>(byte)).ok());
      ExpectMaskIsRight(grammar, matcher, text);
    }
  };
  const std::string any = "root ::= \"\\\"\" char* \"\\\"\"\nchar ::= [^\"\\\\\\x00-\\x1F] | \"\\\\\" [nt]\n";
  check(any, {"", "\"", "\"abc", "\"abc\\", "\"\xE2\x82"});
  check("root ::= \"\\\"\" [^\"\\\\\\x00-\\x1F]{0,12} \"\\\"\"",
        {"\"", "\"abcde", "\"abcdefgh", "\"abcdefghijk", "\"abcdefghijkl"});
  check("root ::= \"\\\"\" [^\"\\\\\\x00-\\x1F]{20,} \"\\\"\"",
        {"\"", "\"abcdefghijklmnopqrs", "\"abcdefghijklmnopqrst"});
  check("root ::= ([^\"\\\\\\x00-\\x1F]{0,9} \"!\"){0,40}", {"", "abcdef", "abc!abcd"});
}

// Every mask begins in an empty space: what the matcher carries over must hold its whole stack.
TEST(Matcher, ForgottenStatesAreMadeAgainWithTheirStacks) {
  const char* const text = "root ::= \"(\" root \")\" | \"[\" root \"]\" | \"{\" (root \";\"){2,4} \"}\" | \"a\"";
  Syntax syntax;
  const ExprId root = *ParseGbnf(text, syntax);
  const auto forgetful = Grammar::Compile(syntax, root, Bytes(), /*max_space_bytes=*/1);
  ASSERT_TRUE(forgetful.ok());
  const auto steady = Gbnf(text);
  Matcher matcher(*forgetful);
  Matcher expected(steady);
  for (const char byte : std::string("([({(a);[{a;a;}];a;})])")) {
    const auto mask = matcher.Mask();
    const auto right = expected.Mask();
    ASSERT_TRUE(mask.ok() && right.ok());
    ASSERT_TRUE(std::equal(mask->begin(), mask->end(), right->begin(), right->end())) << "before " << byte;
    ASSERT_TRUE(matcher.Accept(static_cast<uint8_t>(byte)).ok()) << byte;
    ASSERT_TRUE(expected.Accept(static_cast<uint8_t>(byte)).ok()) << byte;
  }
  EXPECT_TRUE(matcher.MustEnd());
}

TEST(Matcher, EndsExactlyWhereTheGrammarDoes) {
  const auto grammar = Gbnf("root ::= \"ab\" \"c\"?");
  const int32_t end = grammar->vocabulary().end_tokens()[0];
  Matcher matcher(grammar);
  EXPECT_FALSE(matcher.CanEnd());
  EXPECT_FALSE(Has(*matcher.Mask(), static_cast<size_t>(end)));
  ASSERT_TRUE(matcher.Accept('a').ok());
  ASSERT_TRUE(matcher.Accept('b').ok());
  EXPECT_TRUE(matcher.CanEnd());
  EXPECT_FALSE(matcher.MustEnd());
  EXPECT_TRUE(Has(*matcher.Mask(), static_cast<size_t>(end)));
  EXPECT_TRUE(Has(*matcher.Mask(), static_cast<size_t>(end) + 1));
  EXPECT_FALSE(Has(*matcher.Mask(), static_cast<size_t>(end) + 2)) << "a control token";
  ASSERT_TRUE(matcher.Accept('c').ok());
  EXPECT_TRUE(matcher.MustEnd());
  EXPECT_FALSE(matcher.Accept('c').ok());
}

TEST(Matcher, WaitsForATriggerToken) {
  const auto grammar = Gbnf("root ::= \"yes\"");
  const int32_t trigger = grammar->vocabulary().size() - 1;
  Matcher matcher(grammar, {trigger});
  EXPECT_TRUE(matcher.Mask()->empty());
  ASSERT_TRUE(matcher.Accept('n').ok());
  EXPECT_TRUE(matcher.CanEnd());
  EXPECT_FALSE(matcher.MustEnd());
  ASSERT_TRUE(matcher.Accept(trigger).ok());
  EXPECT_FALSE(matcher.CanEnd());
  EXPECT_TRUE(Has(*matcher.Mask(), 'y'));
  EXPECT_FALSE(Has(*matcher.Mask(), 'n'));
}

TEST(Matcher, IsFreeUntilATriggerTextThenBound) {
  Syntax s;
  const ExprId call = s.Sequence({s.TextUntil("<call>"), s.Literal("yes</call>")});
  const ExprId root = s.Sequence({s.Repeat(call, 0, kNoLimit), s.AnyBytes()});
  auto lazy = Grammar::Compile(s, s.Sequence({call, s.Literal("!")}), Bytes());
  ASSERT_TRUE(lazy.ok());
  EXPECT_TRUE(Matches(*lazy, "I think < <ca <<call>yes</call>!"));
  EXPECT_EQ(Judge(*lazy, "anything \xFF\xFE at all"), 1);
  EXPECT_EQ(Judge(*lazy, "so <call>no"), 0);
  // AnyBytes beside the trigger leaves everything possible: the trigger binds only where nothing else is on offer.
  EXPECT_TRUE(Matches(*Grammar::Compile(s, root, Bytes()), "so <call>no"));
}

TEST(Matcher, HugeCountsCostNothing) {
  const auto grammar = Gbnf("root ::= (\"a\" | \"bc\"){3,1000000} \"!\"");
  EXPECT_LT(grammar->automaton().positions.size(), 30U);
  EXPECT_FALSE(Matches(grammar, "aa!"));
  EXPECT_TRUE(Matches(grammar, "abca!"));
  EXPECT_TRUE(Matches(grammar, std::string(5000, 'a') + "!"));
}

TEST(Matcher, RightRecursionStaysInFewStates) {
  const auto grammar = Gbnf("root ::= [a-c] root | \"!\"");
  EXPECT_TRUE(Matches(grammar, std::string(5000, 'b') + "!"));
  EXPECT_LT(grammar->space()->memory_bytes(), 20000U);
}

TEST(Matcher, DepthHasALimit) {
  const auto grammar = Gbnf("root ::= \"(\" root? \")\"");
  EXPECT_TRUE(Matches(grammar, std::string(200, '(') + std::string(200, ')')));
  EXPECT_EQ(Judge(grammar, std::string(300, '(')), 0);
}

TEST(Matcher, HostileAmbiguityIsCheapOrFails) {
  // Exponentially many readings, and 2^20 states of a deterministic automaton.
  for (const char* text :
       {"root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"a\"", "root ::= \"a\" root root | \"a\"",
        "root ::= (\"a\" | \"b\")* \"a\" (\"a\" | \"b\"){20}", "root ::= (\"a\" | \"aa\"){0,1000000}",
        "root ::= x x x x x x x x x x\nx ::= (\"a\"? \"a\"?){0,1000}"}) {
    const auto grammar =
        Gbnf(text, VocabularyOf(TokensWith({"aaaaaaaa", "abababab", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})));
    Matcher matcher(grammar);
    std::mt19937 random(3);
    Status status;
    for (int i = 0; i < 400 && status.ok(); ++i) {
      const auto mask = matcher.Mask();
      if (!mask.ok()) {
        status = mask.error();
        break;
      }
      const size_t token = Has(*mask, 'b') && random() % 2 == 0 ? 'b' : 'a';
      if (!Has(*mask, token)) break;
      status = matcher.Accept(static_cast<int32_t>(token));
    }
    if (!status.ok()) {
      EXPECT_THAT(status.error().message, HasSubstr("too ambiguous")) << text;
    }
  }
}

TEST(Matcher, ManyThreadsShareOneGrammar) {
  const auto vocabulary = VocabularyOf(TokensWith({"12", "345", "[1,", "]]"}));
  const auto grammar = Gbnf("root ::= \"[\" (item (\",\" item)*)? \"]\"\nitem ::= [0-9]{1,9} | root", vocabulary);
  std::vector<std::string> texts(8);
  const auto run = [&](size_t seed) {
    std::mt19937 random(static_cast<uint32_t>(seed));
    Matcher matcher(grammar);
    while (!matcher.MustEnd() && texts[seed].size() < 300) {
      const auto mask = matcher.Mask();
      if (!mask.ok()) return;
      int32_t token = 0;
      do token = static_cast<int32_t>(random() % static_cast<uint32_t>(vocabulary->size()));
      while (!Has(*mask, static_cast<size_t>(token)) || vocabulary->IsEnd(token));
      if (!matcher.Accept(token).ok()) return;
      texts[seed] += vocabulary->bytes(token);
    }
  };
  std::vector<std::thread> threads;
  for (size_t seed = 0; seed < texts.size(); ++seed) threads.emplace_back(run, seed);
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : texts) EXPECT_GT(Judge(grammar, text), text.size() < 300 ? 1 : 0) << text;
}

}  // namespace
}  // namespace tenfold::grammar
