#include "apps/measuring.h"

#include <fmt/format.h>
#include <signal.h>

#include <boost/json/serialize.hpp>
#include <csignal>

namespace tenfold::apps {
namespace {

volatile std::sig_atomic_t interrupted = 0;

}  // namespace

void StopOnInterrupt() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
}

bool Interrupted() { return interrupted != 0; }

Result<JsonLines> JsonLines::Open(std::string_view flag, const std::string& path) {
  JsonLines lines;
  lines.flag_ = flag;
  lines.path_ = path;
  if (path.empty()) return lines;
  lines.file_.open(path, std::ios::trunc);
  if (!lines.file_) return Error{ErrorCode::kIo, fmt::format("{}: {} cannot be written", flag, path)};
  return lines;
}

void JsonLines::Write(const boost::json::object& object) {
  if (!path_.empty()) file_ << boost::json::serialize(object) << '\n' << std::flush;
}

Status JsonLines::Close() {
  if (!path_.empty() && !file_) return Error{ErrorCode::kIo, fmt::format("{}: writing {} failed", flag_, path_)};
  return {};
}

}  // namespace tenfold::apps
