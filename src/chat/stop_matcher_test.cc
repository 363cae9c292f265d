#include "chat/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "base/clock.h"

namespace tenfold::chat {
namespace {

using V = std::vector<std::string>;

struct Outcome {
  std::string text;
  bool stopped;
  bool operator==(const Outcome&) const = default;
};

void PrintTo(const Outcome& outcome, std::ostream* out) { *out << '"' << outcome.text << "\" " << outcome.stopped; }

Outcome Cut(const V& stops, const V& pieces) {
  StopMatcher matcher(stops);
  std::string text;
  for (const std::string& piece : pieces) text += matcher.Push(piece);
  text += matcher.Finish();
  return {text, matcher.stopped()};
}

TEST(StopMatcherTest, CutsBeforeTheStop) {
  EXPECT_EQ(Cut({"STOP"}, {"go on STOP there"}), (Outcome{"go on ", true}));
  EXPECT_EQ(Cut({"STOP"}, {"go ", "on S", "T", "", "OP", "there"}), (Outcome{"go on ", true}));
  EXPECT_EQ(Cut({"STOP"}, {"S", "T", "O", " STO"}), (Outcome{"STO STO", false}));
  EXPECT_EQ(Cut({}, {"any", "thing"}), (Outcome{"anything", false}));
  EXPECT_EQ(Cut({""}, {"any", "thing"}), (Outcome{"anything", false}));
}

TEST(StopMatcherTest, TheMatchThatEndsFirstWinsAndThenTheLongest) {
  EXPECT_EQ(Cut({"abcd", "bc"}, {"xabcd"}), (Outcome{"xa", true}));
  EXPECT_EQ(Cut({"c", "abc", "bc"}, {"xabcd"}), (Outcome{"x", true}));
  EXPECT_EQ(Cut({"late", "early"}, {"an early and a late one"}), (Outcome{"an ", true}));
}

TEST(StopMatcherTest, AMatchMayBeginInsideAFailedOne) {
  EXPECT_EQ(Cut({"aab"}, {"a", "a", "a", "b"}), (Outcome{"a", true}));
  EXPECT_EQ(Cut({"\n\nUser:"}, {"\n", "\n", "\nUser", ":"}), (Outcome{"\n", true}));
  EXPECT_EQ(Cut({"abac"}, {"abab", "ac"}), (Outcome{"ab", true}));
}

TEST(StopMatcherTest, ReleasesEverythingThatCannotBecomeAStop) {
  StopMatcher matcher({"</end>", "\n\n"});
  EXPECT_EQ(matcher.Push("one"), "one");
  EXPECT_EQ(matcher.Push("<"), "");
  EXPECT_EQ(matcher.Push("b> two\n"), "<b> two");
  EXPECT_EQ(matcher.Push("</e"), "\n");
  EXPECT_FALSE(matcher.stopped());
  EXPECT_EQ(matcher.Push("nd>x"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.Push("more"), "");
  EXPECT_EQ(matcher.Finish(), "");
}

// Against the definition, on all chunkings of random text: the same text, and nothing held that could go.
TEST(StopMatcherTest, AgreesWithTheDefinitionHoweverTextIsCut) {
  std::mt19937 random(1);
  const auto word = [&](int longest) {
    std::string out;
    const int length = 1 + static_cast<int>(random() % longest);
    for (int i = 0; i < length; ++i) out += static_cast<char>('a' + random() % 2);
    return out;
  };
  for (int round = 0; round < 20000; ++round) {
    V stops;
    for (int i = static_cast<int>(random() % 4); i > 0; --i) stops.push_back(word(7));
    StopMatcher matcher(stops);
    std::string seen, released;
    while (seen.size() < 30 && !matcher.stopped()) {
      const std::string piece = word(4);
      seen += piece;
      released += matcher.Push(piece);
      size_t end = std::string::npos, begin = 0, keep = 0;
      for (const std::string& stop : stops) {
        const size_t at = seen.find(stop);
        if (at != std::string::npos &&
            (end == std::string::npos || at + stop.size() < end || (at + stop.size() == end && at < begin))) {
          begin = at;
          end = at + stop.size();
        }
        for (size_t n = 1; n <= std::min(stop.size(), seen.size()); ++n) {
          if (seen.ends_with(stop.substr(0, n))) keep = std::max(keep, n);
        }
      }
      ASSERT_EQ(matcher.stopped(), end != std::string::npos);
      ASSERT_EQ(released, matcher.stopped() ? seen.substr(0, begin) : seen.substr(0, seen.size() - keep));
    }
    released += matcher.Finish();
    if (!matcher.stopped()) {
      ASSERT_EQ(released, seen);
    }
  }
}

// A stop string that a long text almost matches, pushed a byte at a time: quadratic for a matcher that starts again.
TEST(StopMatcherTest, LinearOnTextMadeToAlmostMatch) {
  const std::string letters(300'000, 'a');
  StopMatcher matcher({letters + "b", "aab", letters});
  const int64_t start = NowUs();
  size_t released = 0;
  for (int i = 0; i < 299'999; ++i) released += matcher.Push("a").size();
  EXPECT_EQ(released, 0u);
  EXPECT_FALSE(matcher.stopped());
  StopMatcher sliding({letters + "b"});
  for (int i = 0; i < 1'000'000; ++i) released += sliding.Push("a").size();
  EXPECT_EQ(released, 700'000u);
  EXPECT_EQ(sliding.Push("b"), "");
  EXPECT_TRUE(sliding.stopped());
  EXPECT_LT(NowUs() - start, 2'000'000);
}

}  // namespace
}  // namespace tenfold::chat
