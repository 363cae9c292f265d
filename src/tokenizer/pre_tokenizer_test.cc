#include "tokenizer/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <gtest/gtest.h>
#include <pcre2.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"

namespace tenfold::tokenizer {
namespace {

constexpr PreTokenizer kAll[] = {PreTokenizer::kGpt2,  PreTokenizer::kLlama3, PreTokenizer::kSmaug,
                                 PreTokenizer::kQwen2, PreTokenizer::kSmolLm, PreTokenizer::kDefault};

std::vector<std::string> Words(PreTokenizer kind, std::string_view text) {
  std::vector<std::string> words;
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = NextWord(kind, text, pos);
    if (end <= pos || end > text.size()) {
      ADD_FAILURE() << "word at " << pos << " ends at " << end;
      break;
    }
    words.emplace_back(text.substr(pos, end - pos));
    pos = end;
  }
  return words;
}

// The published expressions, run by PCRE2: the truth on text that is short and valid.
class Oracle {
 public:
  explicit Oracle(PreTokenizer kind) : Oracle(PatternOf(kind)) {}

  explicit Oracle(const char* pattern) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                              &error, &offset, nullptr));
    EXPECT_NE(code_, nullptr) << error << " at " << offset;
    match_.reset(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
  }

  bool Matches(const std::string& text) const {
    return pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0, match_.get(),
                       nullptr) > 0;
  }

  // Appends the matches and what lies between them.
  void Split(const std::string& text, std::vector<std::string>& pieces) const {
    size_t pos = 0;
    while (pos < text.size() && pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), pos, 0,
                                            match_.get(), nullptr) > 0) {
      const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match_.get());
      if (range[0] > pos) pieces.push_back(text.substr(pos, range[0] - pos));
      pieces.push_back(text.substr(range[0], range[1] - range[0]));
      pos = range[1];
    }
    if (pos < text.size()) pieces.push_back(text.substr(pos));
  }

  std::vector<std::string> Words(const std::string& text) const {
    std::vector<std::string> words;
    for (size_t pos = 0; pos < text.size();) {
      const int found = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), pos, 0,
                                    match_.get(), nullptr);
      const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match_.get());
      if (found < 1 || range[0] != pos) {
        ADD_FAILURE() << "PCRE2 gives " << found << " at " << pos;
        break;
      }
      words.emplace_back(text.substr(pos, range[1] - pos));
      pos = range[1];
    }
    return words;
  }

 private:
  struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
  };
  std::unique_ptr<pcre2_code, Free> code_;
  std::unique_ptr<pcre2_match_data, Free> match_;
};

TEST(PreTokenizerTest, Names) {
  EXPECT_EQ(PreTokenizerByName("qwen2"), PreTokenizer::kQwen2);
  EXPECT_EQ(PreTokenizerByName("llama-bpe"), PreTokenizer::kLlama3);
  EXPECT_EQ(PreTokenizerByName("gpt-2"), PreTokenizer::kGpt2);
  EXPECT_EQ(PreTokenizerByName("llama-v3"), PreTokenizer::kLlama3);
  EXPECT_EQ(PreTokenizerByName("smaug-bpe"), PreTokenizer::kSmaug);
  EXPECT_EQ(PreTokenizerByName("deepseek-r1-qwen"), PreTokenizer::kQwen2);
  EXPECT_EQ(PreTokenizerByName("default"), PreTokenizer::kDefault);
  EXPECT_EQ(PreTokenizerByName("tekken"), std::nullopt);
  EXPECT_EQ(PreTokenizerByName(""), std::nullopt);
}

TEST(PreTokenizerTest, Qwen2ByHand) {
  using V = std::vector<std::string>;
  const auto words = [](std::string_view text) { return Words(PreTokenizer::kQwen2, text); };
  EXPECT_EQ(words("Hello world"), (V{"Hello", " world"}));
  EXPECT_EQ(words("I'VE we're'll 'tis"), (V{"I", "'VE", " we", "'re", "'ll", " '", "tis"}));
  EXPECT_EQ(words("x=123"), (V{"x", "=", "1", "2", "3"}));
  EXPECT_EQ(words("a   b"), (V{"a", "  ", " b"}));
  EXPECT_EQ(words("a \n \n  b"), (V{"a", " \n \n", " ", " b"}));
  EXPECT_EQ(words("!!\n\n x"), (V{"!!\n\n", " x"}));
  EXPECT_EQ(words("a  "), (V{"a", "  "}));
  EXPECT_EQ(words("\tx\t1"), (V{"\tx", "\t", "1"}));
  EXPECT_EQ(words("\xFFxy \xC3("), (V{"\xFFxy", " \xC3("}));
}

TEST(PreTokenizerTest, Llama3TakesThreeDigitsAndGpt2All) {
  using V = std::vector<std::string>;
  EXPECT_EQ(Words(PreTokenizer::kLlama3, "x 12345"), (V{"x", " ", "123", "45"}));
  EXPECT_EQ(Words(PreTokenizer::kGpt2, "x 12345 'S"), (V{"x", " 12345", " '", "S"}));
}

TEST(PreTokenizerTest, SmolLmAndDefaultByHand) {
  using V = std::vector<std::string>;
  EXPECT_EQ(Words(PreTokenizer::kSmolLm, "It's  12 x 3"), (V{"It", "'s", "  ", "1", "2", " x", " ", "3"}));
  EXPECT_EQ(Words(PreTokenizer::kDefault, "It's  12345 x  !! y"),
            (V{"It", "'", "s", " ", " ", "123", "45", " x", "  ", "!!", " y"}));
}

// Pieces of `text` and of what lies between them, each cut again by the next expression: how the published rules with
// several expressions are meant.
std::vector<std::string> OneAfterTheOther(const std::vector<std::unique_ptr<Oracle>>& expressions,
                                          const std::string& text) {
  std::vector<std::string> pieces = {text};
  for (const auto& expression : expressions) {
    std::vector<std::string> finer;
    for (const std::string& piece : pieces) expression->Split(piece, finer);
    pieces = std::move(finer);
  }
  if (text.empty()) pieces.clear();
  return pieces;
}

// U+180E is left out: PCRE2's \s holds it for Perl's sake, though Unicode no longer counts it as white space.
const std::vector<std::string>& Alphabet() {
  static const std::vector<std::string> kAlphabet = {" ",
                                                     " ",
                                                     "  ",
                                                     "\n",
                                                     "\r",
                                                     "\t",
                                                     "\v",
                                                     "\u0085",
                                                     "\u00A0",
                                                     "\u3000",
                                                     "\u2028",
                                                     "'",
                                                     "'",
                                                     "s",
                                                     "S",
                                                     "t",
                                                     "re",
                                                     "rE",
                                                     "ve",
                                                     "V",
                                                     "m",
                                                     "ll",
                                                     "lL",
                                                     "d",
                                                     "\u017F",
                                                     "\u212A",
                                                     "a",
                                                     "Z",
                                                     "\u00E9",
                                                     "\u4E2D",
                                                     "\u05D0",
                                                     "\u02B0",
                                                     "1",
                                                     "2",
                                                     "\u0663",
                                                     "\u00BD",
                                                     "\u2163",
                                                     ".",
                                                     "!",
                                                     "-",
                                                     "_",
                                                     "\u0301",
                                                     "\u0903",
                                                     "\u20DD",
                                                     "\u200D",
                                                     "\u200B",
                                                     "\uFE0F",
                                                     "\xF0\x9F\x98\x80",
                                                     "\xF0\x9F\xA6\x99",
                                                     "\uFFFD",
                                                     "\u0378",
                                                     "\uE000",
                                                     "\x01",
                                                     "\x1C"};
  return kAlphabet;
}

TEST(PreTokenizerTest, RulesOfSeveralExpressionsAgreeWithPcre2) {
  constexpr const char* kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))";
  const struct {
    PreTokenizer kind;
    std::vector<const char*> expressions;
  } rules[] = {{PreTokenizer::kSmolLm, {R"(\p{N})", kGpt2}},
               {PreTokenizer::kDefault, {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}}};
  std::mt19937 random(12);
  for (const auto& rule : rules) {
    std::vector<std::unique_ptr<Oracle>> oracles;
    for (const char* expression : rule.expressions) oracles.push_back(std::make_unique<Oracle>(expression));
    for (int round = 0; round < 30000; ++round) {
      std::string text;
      const int length = static_cast<int>(random() % 14);
      for (int i = 0; i < length; ++i) text += Alphabet()[random() % Alphabet().size()];
      ASSERT_EQ(Words(rule.kind, text), OneAfterTheOther(oracles, text)) << testing::PrintToString(text);
    }
  }
}

TEST(PreTokenizerTest, AgreesWithPcre2OnRandomText) {
  const std::vector<std::string>& alphabet = Alphabet();
  std::mt19937 random(11);
  for (const PreTokenizer kind : kAll) {
    const Oracle oracle(kind);
    for (int round = 0; round < 30000; ++round) {
      std::string text;
      const int length = static_cast<int>(random() % 14);
      for (int i = 0; i < length; ++i) text += alphabet[random() % alphabet.size()];
      ASSERT_EQ(Words(kind, text), oracle.Words(text)) << PatternOf(kind) << " on: " << testing::PrintToString(text);
    }
  }
}

TEST(PreTokenizerTest, EveryCharacterFallsInTheClassThatPcre2Sees) {
  const Oracle unassigned(R"(^a\p{Cn})");  // to PCRE2, whose Unicode version may be older than utf8proc's
  for (const PreTokenizer kind : kAll) {
    const Oracle oracle(kind);
    for (uint32_t c = 1; c < 0x30000; ++c) {
      if ((c >= 0xD800 && c < 0xE000) || c == 0x180E) continue;
      std::string text = "a";
      if (c < 0x80) {
        text += static_cast<char>(c);
      } else if (c < 0x800) {
        text += {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
      } else if (c < 0x10000) {
        text += {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)),
                 static_cast<char>(0x80 | (c & 63))};
      } else {
        text += {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
                 static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
      }
      if (unassigned.Matches(text)) continue;
      text += "1 ";
      ASSERT_EQ(Words(kind, text), oracle.Words(text)) << std::hex << c;
    }
  }
}

TEST(PreTokenizerTest, LinearOnHostileText) {
  const auto repeated = [](std::string_view unit) {
    std::string text;
    while (text.size() < 1 << 20) text += unit;
    return text;
  };
  const std::string spaces = repeated(" ");
  for (const PreTokenizer kind : kAll) {
    for (const std::string& text :
         {repeated("a"), spaces, repeated("\n"), repeated("1"), repeated("\u0301"), repeated("\n "),
          "\n" + spaces + "x", repeated("'"), repeated("\xC3"), repeated("\xF0\x9F"), repeated(" '")}) {
      const int64_t start = NowUs();
      size_t pos = 0;
      while (pos < text.size()) pos = NextWord(kind, text, pos);
      EXPECT_LT(NowUs() - start, 1'000'000) << testing::PrintToString(text.substr(0, 8));
    }
  }
}

}  // namespace
}  // namespace tenfold::tokenizer
