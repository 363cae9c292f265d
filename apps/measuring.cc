#include "apps/measuring.h"

#include <fmt/format.h>
#include <signal.h>

#include <boost/json/serialize.hpp>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <system_error>

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

Result<std::string> ReadResultText(const std::string& path) {
  std::error_code error;
  const bool regular = std::filesystem::is_regular_file(path, error);
  if (error) return Error{ErrorCode::kNotFound, fmt::format("cannot read {}: {}", path, error.message())};
  if (!regular)
    return Error{ErrorCode::kInvalidArgument, fmt::format("cannot read {}: it is not a regular file", path)};
  if (std::filesystem::file_size(path, error) > (uint64_t{1} << 30)) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("cannot read {}: it is larger than 1 GiB", path)};
  }
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.is_open() || file.bad()) return Error{ErrorCode::kIo, fmt::format("cannot read {}", path)};
  return text;
}

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
