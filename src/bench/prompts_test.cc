#include "bench/prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace tenfold::bench {
namespace {

using testing::ElementsAre;

TEST(BuiltInPrompts, AllDifferentFromTheFirstWordsOn) {
  std::set<std::string> heads;
  for (const std::string& prompt : BuiltInPrompts(40)) heads.insert(prompt.substr(0, 24));
  EXPECT_EQ(heads.size(), 40u);
}

TEST(BuiltInPrompts, AboutOneLength) {
  for (const std::string& prompt : BuiltInPrompts(16)) {
    const auto words = std::count(prompt.begin(), prompt.end(), ' ') + 1;
    EXPECT_GE(words, 64) << prompt;
    EXPECT_LE(words, 76) << prompt;
  }
}

TEST(PromptsFromLines, SkipsBlankLinesAndRepeats) {
  const auto prompts = PromptsFromLines("one\r\n\n  \ntwo", 3);
  ASSERT_TRUE(prompts.ok());
  EXPECT_THAT(*prompts, ElementsAre("one", "two", "(2) one"));
}

TEST(PromptsFromLines, NothingInIt) {
  const auto prompts = PromptsFromLines("\n \n", 3);
  ASSERT_FALSE(prompts.ok());
  EXPECT_EQ(prompts.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tenfold::bench
