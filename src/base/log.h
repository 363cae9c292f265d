// The log as the rooms see it: a level and one line. apps/ connects it to a real logger; until then lines are dropped,
// so that library rooms never print.
#pragma once

#include <string_view>

namespace tenfold {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
using LogSink = void (*)(LogLevel, std::string_view line);

// Sets where lines go; call before other threads start.
void SetLogSink(LogSink sink);
// Hands one line (without newline) to the sink. Any thread.
void Log(LogLevel level, std::string_view line);

}  // namespace tenfold
