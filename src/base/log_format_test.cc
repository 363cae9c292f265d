#include "base/log_format.h"

#include <gtest/gtest.h>

#include <limits>

namespace tenfold {
namespace {

constexpr std::string_view kTime = "2026-11-24T05:30:42.123";

TEST(LogFormat, ForPeople) {
  const LogField fields[] = {{"id", "req-1"}, {"status", int64_t{200}}, {"total_ms", 1.5}, {"empty", ""}, {"b", "a b"}};
  EXPECT_EQ(HumanLogLine(LogLevel::kInfo, kTime, "request", fields, false),
            "2026-11-24T05:30:42.123 info request id=req-1 status=200 total_ms=1.500 empty=\"\" b=\"a b\"");
  const std::string coloured = HumanLogLine(LogLevel::kWarn, kTime, "x", {}, true);
  EXPECT_NE(coloured.find("\x1b[33mwarning\x1b[0m"), std::string::npos);
}

TEST(LogFormat, ForMachines) {
  const LogField fields[] = {
      {"id", "a\"b\\c"}, {"n", int64_t{-3}}, {"x", 0.25}, {"nan", std::numeric_limits<double>::infinity()}};
  EXPECT_EQ(
      JsonLogLine(LogLevel::kError, kTime, "it", fields),
      "{\"time\":\"2026-11-24T05:30:42.123\",\"level\":\"error\",\"message\":\"it\",\"id\":\"a\\\"b\\\\c\",\"n\":-3,"
      "\"x\":0.250,\"nan\":null}");
}

TEST(LogFormat, NothingThatSteersATerminalAndNoSecondLineGetsThrough) {
  const std::string hostile("a\x1b[2J\nfake line\r\x7f\xC2\x9B\0z", 21);
  const LogField fields[] = {{"path", hostile}};
  for (const std::string& line : {HumanLogLine(LogLevel::kInfo, kTime, hostile, fields, false),
                                  JsonLogLine(LogLevel::kInfo, kTime, hostile, fields)}) {
    for (const char c : line) EXPECT_FALSE(static_cast<unsigned char>(c) < 0x20 || c == 0x7f) << line;
    EXPECT_EQ(line.find("\xC2\x9B"), std::string::npos) << line;
    EXPECT_NE(line.find("a\\u001b[2J\\u000afake line\\u000d\\u007f\\u009b\\u0000z"), std::string::npos) << line;
  }
}

TEST(LogFormat, BrokenUtf8IsReplacedAndGoodIsKept) {
  const std::string good = "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80";
  EXPECT_NE(JsonLogLine(LogLevel::kInfo, kTime, good, {}).find(good), std::string::npos);
  for (const char* bad : {"\xFF", "\xC0\x80", "\xED\xA0\x80", "\xE2\x82", "\xF5\x80\x80\x80", "\x80"}) {
    const std::string line = JsonLogLine(LogLevel::kInfo, kTime, bad, {});
    EXPECT_EQ(line.find(bad), std::string::npos);
    EXPECT_NE(line.find("\xEF\xBF\xBD"), std::string::npos);
  }
}

}  // namespace
}  // namespace tenfold
