// No logging library: what it would do here is one write to stderr, and it knows nothing of the bar that must be taken
// away before a line and drawn again after it.
#include "apps/log_output.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <mutex>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_format.h"

namespace tenfold::apps {
namespace {

constexpr int64_t kLineEveryUs = 5'000'000;  // progress without a terminal
constexpr std::string_view kEraseLine = "\r\x1b[K";

struct Output {
  std::mutex mutex;
  LogLevel least = LogLevel::kInfo;
  bool json = false;
  bool terminal = false;
  bool colour = false;
  std::string bar;            // what stands below the lines, "" when nothing does
  int64_t next_line_us = -1;  // of progress, without a terminal
};

Output& Out() {
  static Output output;
  return output;
}

// The log is the last thing to fail over: what cannot be written is lost.
void WriteAll(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(STDERR_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

std::string TimeText() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t seconds = ms / 1000;
  std::tm local{};
  localtime_r(&seconds, &local);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}", local, ms % 1000);
}

void WriteLine(LogLevel level, std::string_view line, std::span<const LogField> fields) {
  Output& out = Out();
  if (level < out.least) return;
  const std::string time = TimeText();
  const std::string text =
      out.json ? JsonLogLine(level, time, line, fields) : HumanLogLine(level, time, line, fields, out.colour);
  const std::lock_guard lock(out.mutex);
  const std::string_view erase = out.bar.empty() ? std::string_view() : kEraseLine;
  WriteAll(fmt::format("{}{}\n{}", erase, text, out.bar));
}

int Columns() {
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

// "loading [#####.....]  52 %  packing weights  about 3 s left", never as wide as the terminal: it would wrap.
std::string BarText(std::string_view stage, double progress, double eta_s, int columns) {
  const std::string eta = eta_s < 0 ? "" : fmt::format(", about {:.0f} s left", eta_s);
  const std::string tail = fmt::format("] {:3.0f} % {}{}", progress * 100, stage, eta);
  const int room = columns - 1 - static_cast<int>(tail.size()) - 9;
  const int width = std::clamp(room, 0, 40);
  const int full = static_cast<int>(progress * width);
  const std::string text = fmt::format("loading [{}{}{}", std::string(static_cast<size_t>(full), '#'),
                                       std::string(static_cast<size_t>(width - full), '.'), tail);
  return text.substr(0, static_cast<size_t>(std::max(1, columns - 1)));
}

}  // namespace

void StartLog(const LogChoice& choice) {
  Output& out = Out();
  for (const LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (NameOf(level) == choice.level) out.least = level;
  }
  out.json = choice.format == "json";
  const char* terminal = std::getenv("TERM");
  const char* no_colour = std::getenv("NO_COLOR");  // no-color.org
  out.terminal = !out.json && isatty(STDERR_FILENO) != 0 && terminal != nullptr && std::string_view(terminal) != "dumb";
  out.colour = out.terminal && (no_colour == nullptr || *no_colour == '\0');
  SetLogSink(WriteLine);
}

void ShowProgress(std::string_view stage, double progress, double eta_s) {
  Output& out = Out();
  progress = std::clamp(progress, 0.0, 1.0);
  if (!out.terminal) {
    const int64_t now_us = NowUs();
    if (out.next_line_us < 0) out.next_line_us = now_us + kLineEveryUs;
    if (now_us < out.next_line_us) return;
    out.next_line_us = now_us + kLineEveryUs;
    Log(LogLevel::kInfo, "loading", {{"stage", stage}, {"percent", progress * 100}, {"eta_s", eta_s}});
    return;
  }
  if (out.least > LogLevel::kInfo) return;
  const std::lock_guard lock(out.mutex);
  out.bar = BarText(stage, progress, eta_s, Columns());
  WriteAll(fmt::format("{}{}", kEraseLine, out.bar));
}

void EndProgress() {
  Output& out = Out();
  const std::lock_guard lock(out.mutex);
  out.next_line_us = -1;
  if (out.bar.empty()) return;
  out.bar.clear();
  WriteAll(kEraseLine);
}

}  // namespace tenfold::apps
