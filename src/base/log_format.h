// A line of the log as text, for people or for machines. Whatever bytes a client got into it, the result is one line of
// valid UTF-8 without control characters, and in JSON one valid object.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/log.h"

namespace tenfold {

std::string_view NameOf(LogLevel level);  // "debug" "info" "warning" "error"

// 2026-11-24T05:30:42.123 info request id=req-1 status=200. A value with blanks or quotes is quoted. `colour`: the
// level in a terminal's colour. Without the newline.
std::string HumanLogLine(LogLevel level, std::string_view time, std::string_view line, std::span<const LogField> fields,
                         bool colour);

// {"time":...,"level":"info","message":...,"status":200}. Without the newline.
std::string JsonLogLine(LogLevel level, std::string_view time, std::string_view line, std::span<const LogField> fields);

}  // namespace tenfold
