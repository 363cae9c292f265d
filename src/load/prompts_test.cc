#include "load/prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace tenfold::load {
namespace {

TEST(BuiltInPrompts, AllDifferentFromTheFirstWordsOn) {
  const auto prompts = BuiltInPrompts({Length::kShort}, {Language::kEnglish});
  std::set<std::string> heads;
  for (size_t n = 0; n < 40; ++n) heads.insert(PromptAt(prompts, n).text.substr(0, 24));
  EXPECT_EQ(heads.size(), 40u);
}

TEST(BuiltInPrompts, OneKindHasAboutOneLength) {
  for (const Language language : {Language::kEnglish, Language::kKorean}) {
    for (const Length length : {Length::kShort, Length::kMedium, Length::kLong}) {
      std::vector<size_t> sizes;
      std::set<std::string> different;
      for (const Prompt& prompt : BuiltInPrompts({length}, {language})) {
        sizes.push_back(prompt.text.size());
        different.insert(prompt.text);
      }
      EXPECT_EQ(different.size(), sizes.size());
      EXPECT_GE(sizes.size(), 8u);
      const auto [least, most] = std::minmax_element(sizes.begin(), sizes.end());
      EXPECT_LT(static_cast<double>(*most), 1.35 * static_cast<double>(*least));
    }
  }
}

TEST(BuiltInPrompts, KindsTakeTurns) {
  const auto prompts = BuiltInPrompts({Length::kShort, Length::kLong}, {Language::kEnglish, Language::kKorean});
  EXPECT_LT(prompts[0].text.size(), 600u);
  EXPECT_GT(prompts[2].text.size(), 3000u);
  EXPECT_LT(prompts[0].text[0], 0x7f);
  EXPECT_GT(static_cast<unsigned char>(prompts[1].text[0]), 0x7f);
  EXPECT_FALSE(LengthFromName("huge").ok());
  EXPECT_EQ(*LanguageFromName("ko"), Language::kKorean);
}

TEST(PromptsFromText, SkipsBlankLinesAndRepeats) {
  const auto prompts = PromptsFromText("one\r\n\n  \n{\"prompt\":\"two\",\"expect\":\"2\"}");
  ASSERT_TRUE(prompts.ok());
  EXPECT_EQ(PromptAt(*prompts, 0).text, "one");
  EXPECT_EQ(PromptAt(*prompts, 1).expect, "2");
  EXPECT_EQ(PromptAt(*prompts, 2).text, "(2) one");
  EXPECT_EQ(PromptAt(*prompts, 3).text, "(2) two");
}

TEST(PromptsFromText, NamesTheLine) {
  const struct {
    const char* text;
    const char* part;
  } cases[] = {{"\n \n", "no line"},
               {"a\n{\"prompt\":1}", "line 2"},
               {"{x", "line 1"},
               {"{\"p\":\"x\"}", "\"p\""},
               {"{}", "no \"prompt\""}};
  for (const auto& c : cases) {
    const auto prompts = PromptsFromText(c.text);
    ASSERT_FALSE(prompts.ok()) << c.text;
    EXPECT_EQ(prompts.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(prompts.error().message, testing::HasSubstr(c.part));
  }
}

}  // namespace
}  // namespace tenfold::load
