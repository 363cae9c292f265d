#include "tune/server_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "load/target.h"

extern char** environ;

namespace tenfold::tune {
namespace {

constexpr useconds_t kPollUs = 20'000;
constexpr size_t kLogBytes = 16384;  // of its end
constexpr std::string_view kListening = "listening on ";

// Ours without the settings that TENFOLD_ variables would bring in: a candidate has those of its flags alone. The
// forced instruction set stays, it is no setting.
std::vector<char*> EnvironmentOfChild() {
  std::vector<char*> out;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view line(*variable);
    const bool ours = line.starts_with("TENFOLD_") && !line.starts_with("TENFOLD_ISA=");
    const bool supervised = line.starts_with("NOTIFY_SOCKET=") || line.starts_with("WATCHDOG_");
    if (!ours && !supervised) out.push_back(*variable);
  }
  out.push_back(nullptr);
  return out;
}

// Between fork and exec, where only system calls are allowed. Never returns; errno goes through `pipe`.
[[noreturn]] void BecomeServer(char* const* arguments, char* const* environment, int log, int pipe, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // whatever happens to us, no server stays behind
  if (getppid() == parent) {
    setpgid(0, 0);  // Ctrl-C is for us alone: we end it when the measurement is given up
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execve(arguments[0], arguments, environment);
    const int error = errno;
    (void)!write(pipe, &error, sizeof error);
  }
  while (true) kill(getpid(), SIGKILL);
}

}  // namespace

Status ServerProcess::Spawn(const ServerCommand& command) {
  std::vector<std::string> texts = {command.binary, "serve", "--host", "127.0.0.1", "--port", "0"};
  texts.insert(texts.end(), command.arguments.begin(), command.arguments.end());
  std::vector<char*> arguments;
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  const std::vector<char*> environment = EnvironmentOfChild();
  const auto failed = [](std::string_view what, int error) {
    return Error{ErrorCode::kIo, fmt::format("a server cannot be started: {}: {}", what, std::strerror(error))};
  };
  log_ = memfd_create("tenfold-server-log", MFD_CLOEXEC);
  if (log_ < 0) return failed("memfd_create", errno);
  int pipe[2];
  if (pipe2(pipe, O_CLOEXEC) != 0) return failed("pipe", errno);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) BecomeServer(arguments.data(), environment.data(), log_, pipe[1], parent);
  const int fork_error = errno;
  close(pipe[1]);
  int error = 0;
  const ssize_t got = pid_ > 0 ? read(pipe[0], &error, sizeof error) : 0;
  close(pipe[0]);
  if (pid_ < 0) return failed("fork", fork_error);
  if (got == static_cast<ssize_t>(sizeof error)) return failed(command.binary, error);
  return {};
}

Result<ServerProcess> ServerProcess::Start(const ServerCommand& command, const std::function<bool()>& stopped) {
  ServerProcess server;
  const int64_t end_us = NowUs() + command.limit_us;
  TENFOLD_TRY_STATUS(server.Spawn(command));
  while (true) {
    if (stopped()) return Error{ErrorCode::kCancelled, "stopped"};
    if (server.Ended()) return Error{ErrorCode::kIo, "the server ended: " + server.LastWords()};
    if (server.url_.empty()) {
      const std::string log = server.Log();
      const size_t at = log.find(kListening);
      const size_t end = at == std::string::npos ? at : log.find('\n', at);
      if (end != std::string::npos) server.url_ = log.substr(at + kListening.size(), end - at - kListening.size());
    } else if (const auto health = load::AskJson(server.url_ + "/health")) {
      const boost::json::value* state = health->if_contains("status");
      if (state != nullptr && *state == "error") {
        return Error{ErrorCode::kUnavailable, "the model could not be loaded: " + server.LastWords()};
      }
      if (state != nullptr && *state == "ready") {
        if (const auto* o = health->if_contains("optimization"); o != nullptr && o->is_object()) {
          server.optimization_ = o->get_object();
        }
        return server;
      }
    }
    if (NowUs() > end_us) {
      return Error{ErrorCode::kUnavailable,
                   fmt::format("not ready within {:.1f} s", static_cast<double>(command.limit_us) / 1e6)};
    }
    usleep(kPollUs);
  }
}

std::string ServerProcess::Log() const {
  const off_t size = lseek(log_, 0, SEEK_CUR);  // the offset is shared with the child, which only appends
  const off_t from = std::max<off_t>(0, size - static_cast<off_t>(kLogBytes));
  std::string text(static_cast<size_t>(std::max<off_t>(0, size - from)), '\0');
  const ssize_t got = text.empty() ? 0 : pread(log_, text.data(), text.size(), from);
  text.resize(static_cast<size_t>(std::max<ssize_t>(0, got)));
  return text;
}

// The last line that tells of an error, else the last one.
std::string ServerProcess::LastWords() const {
  const std::string log = Log();
  std::string words = "it said nothing";
  for (size_t begin = 0; begin < log.size();) {
    const size_t end = std::min(log.find('\n', begin), log.size());
    const std::string line = log.substr(begin, end - begin);
    begin = end + 1;
    const size_t failed = line.find("load failed: ");
    if (failed != std::string::npos) return line.substr(failed + std::strlen("load failed: "));
    if (!line.empty()) words = line;
  }
  return words;
}

bool ServerProcess::Ended() {
  if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
  return pid_ < 0;
}

void ServerProcess::Kill() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  if (log_ >= 0) close(log_);
  pid_ = -1;
  log_ = -1;
}

ServerProcess::ServerProcess(ServerProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      log_(std::exchange(other.log_, -1)),
      url_(std::move(other.url_)),
      optimization_(std::move(other.optimization_)) {}

ServerProcess& ServerProcess::operator=(ServerProcess&& other) noexcept {
  ServerProcess taken(std::move(other));
  std::swap(pid_, taken.pid_);
  std::swap(log_, taken.log_);
  std::swap(url_, taken.url_);
  std::swap(optimization_, taken.optimization_);
  return *this;
}

ServerProcess::~ServerProcess() { Kill(); }

}  // namespace tenfold::tune
