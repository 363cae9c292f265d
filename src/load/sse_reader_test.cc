#include "load/sse_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tenfold::load {
namespace {

using testing::ElementsAre;

std::vector<std::string> Events(const std::vector<std::string>& pieces) {
  SseReader reader;
  std::vector<std::string> events;
  for (const std::string& piece : pieces) EXPECT_TRUE(reader.Feed(piece, &events));
  return events;
}

TEST(SseReader, SplitsEvents) {
  EXPECT_THAT(Events({"data: {\"a\":1}\n\ndata: [DONE]\n\n"}), ElementsAre("{\"a\":1}", "[DONE]"));
}

TEST(SseReader, AnyPiecesGiveTheSameEvents) {
  const std::string stream = ": ping\r\n\r\ndata: one\r\n\r\nevent: x\ndata: two\ndata: lines\n\ndata:\n\n";
  const std::vector<std::string> whole = Events({stream});
  EXPECT_THAT(whole, ElementsAre("one", "two\nlines", ""));
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    EXPECT_EQ(Events({stream.substr(0, cut), stream.substr(cut)}), whole) << "cut at " << cut;
  }
  std::vector<std::string> bytes;
  for (const char c : stream) bytes.emplace_back(1, c);
  EXPECT_EQ(Events(bytes), whole);
}

TEST(SseReader, UnfinishedEventIsNone) { EXPECT_TRUE(Events({"data: one\n"}).empty()); }

TEST(SseReader, CountsLinesOfOtherFormats) {
  SseReader reader;
  std::vector<std::string> events;
  EXPECT_TRUE(reader.Feed("<html>\nid: 1\nretry: 5\n: comment\n\n", &events));
  EXPECT_EQ(reader.unknown_lines(), 1u);
  EXPECT_TRUE(events.empty());
}

TEST(SseReader, JudgesALastLineWithoutItsEnd) {
  const std::pair<const char*, bool> cases[] = {
      {"", false},         {"dat", false},   {"data: {\"a", false}, {": x", false},        {"event", false},
      {"retry: 5", false}, {"<html>", true}, {"{\"a\":1}", true},   {"datadata: 1", true}, {"done\n", false}};
  for (const auto& [bytes, unknown] : cases) {
    SseReader reader;
    std::vector<std::string> events;
    EXPECT_TRUE(reader.Feed(bytes, &events));
    EXPECT_EQ(reader.rest_is_unknown(), unknown) << bytes;
  }
}

TEST(SseReader, EndlessEventBreaksTheStream) {
  SseReader reader;
  std::vector<std::string> events;
  const std::string megabyte(SseReader::kMaxEventBytes, 'x');
  EXPECT_FALSE(reader.Feed("data: " + megabyte, &events));
}

}  // namespace
}  // namespace tenfold::load
