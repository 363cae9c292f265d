// The log as the rooms see it: a level, one line, and fields for machines. apps/ connects it to a real log; until then
// lines are dropped, so that library rooms never print.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <variant>

namespace tenfold {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

// What a line says about one thing, under a name that does not change: {"status", 200}.
struct LogField {
  std::string_view key;
  std::variant<std::string_view, int64_t, double> value;
};

using LogSink = void (*)(LogLevel, std::string_view line, std::span<const LogField> fields);

// Sets where lines go; call before other threads start.
void SetLogSink(LogSink sink);
// Hands one line (without newline) to the sink, which makes whatever text is in it harmless. Any thread.
void Log(LogLevel level, std::string_view line, std::initializer_list<LogField> fields = {});

}  // namespace tenfold
