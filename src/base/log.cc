#include "base/log.h"

#include <atomic>

namespace tenfold {
namespace {
std::atomic<LogSink> g_sink{nullptr};
}

void SetLogSink(LogSink sink) { g_sink.store(sink); }

void Log(LogLevel level, std::string_view line, std::initializer_list<LogField> fields) {
  if (LogSink sink = g_sink.load()) sink(level, line, {fields.begin(), fields.size()});
}

}  // namespace tenfold
