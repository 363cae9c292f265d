#include "server/supervisor.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <utility>

#include "base/log.h"

namespace tenfold::server {
namespace {

// The whole of `text` as a number above 0; 0 otherwise.
int64_t Number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value > 0 ? value : 0;
}

}  // namespace

SupervisorAddress ParseSupervisor(std::string_view notify_socket, std::string_view watchdog_usec,
                                  std::string_view watchdog_pid, int64_t own_pid) {
  SupervisorAddress address;
  if (notify_socket.empty()) return address;
  const bool named = notify_socket.front() == '/' || (notify_socket.front() == '@' && notify_socket.size() > 1);
  if (!named || notify_socket.size() >= sizeof(sockaddr_un::sun_path)) {
    Log(LogLevel::kWarn,
        fmt::format("NOTIFY_SOCKET={} is neither a path nor an @name of fewer than {} bytes: the service "
                    "manager is told nothing",
                    notify_socket, sizeof(sockaddr_un::sun_path)));
    return address;
  }
  address.socket = notify_socket;
  if (watchdog_usec.empty() || (!watchdog_pid.empty() && Number(watchdog_pid) != own_pid)) return address;
  address.watchdog_us = Number(watchdog_usec);
  if (address.watchdog_us == 0) {
    Log(LogLevel::kWarn,
        fmt::format("WATCHDOG_USEC={} is no number of microseconds: there is no watchdog", watchdog_usec));
  }
  return address;
}

Supervisor::Supervisor(const SupervisorAddress& address) : watchdog_us_(address.watchdog_us) {
  if (address.socket.empty()) return;
  sockaddr_un peer{};
  peer.sun_family = AF_UNIX;
  const size_t bytes = std::min(address.socket.size(), sizeof peer.sun_path - 1);
  std::memcpy(peer.sun_path, address.socket.data(), bytes);
  if (peer.sun_path[0] == '@') peer.sun_path[0] = '\0';  // an abstract name
  fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + bytes);
  if (fd_ < 0 || connect(fd_, reinterpret_cast<const sockaddr*>(&peer), length) != 0) {
    Log(LogLevel::kWarn,
        fmt::format("the service manager at {} cannot be reached: {}", address.socket, std::strerror(errno)));
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
    watchdog_us_ = 0;
  }
}

Supervisor::~Supervisor() {
  if (fd_ >= 0) close(fd_);
}

void Supervisor::Ready() { Send("READY=1"); }
void Supervisor::Stopping() { Send("STOPPING=1"); }
void Supervisor::Alive() { Send("WATCHDOG=1"); }

void Supervisor::Status(std::string_view line) {
  if (!present()) return;
  std::string status(line);
  std::replace(status.begin(), status.end(), '\n', ' ');  // a newline would begin another assignment
  if (status == last_status_) return;
  last_status_ = std::move(status);
  Send("STATUS=" + last_status_);
}

// A manager too busy to take it now hears the next one.
void Supervisor::Send(std::string_view text) const {
  if (present()) send(fd_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace tenfold::server
