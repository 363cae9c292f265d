#include "base/log.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tenfold {
namespace {

std::vector<std::pair<LogLevel, std::string>> g_lines;

TEST(Log, LinesGoToTheSinkAndNowhereWithoutOne) {
  SetLogSink(nullptr);
  Log(LogLevel::kError, "lost");
  SetLogSink(
      [](LogLevel level, std::string_view line, std::span<const LogField>) { g_lines.emplace_back(level, line); });
  Log(LogLevel::kWarn, "kept");
  SetLogSink(nullptr);
  Log(LogLevel::kInfo, "lost again");
  ASSERT_EQ(g_lines.size(), 1u);
  EXPECT_EQ(g_lines[0], std::make_pair(LogLevel::kWarn, std::string("kept")));
}

}  // namespace
}  // namespace tenfold
