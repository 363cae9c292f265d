// What a service manager (systemd, or what speaks its protocol) is told: ready, stopping, one line of status, alive.
//
// Each is one datagram to $NOTIFY_SOCKET, a path or an abstract name (@name). What it does not: wait for anybody,
// report failures to the caller (a manager that does not listen is no reason to serve worse), or link libsystemd, which
// would be a library for one sendto. Protocol: sd_notify(3).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenfold::server {

// Where the manager listens and how often it wants to hear that we live.
struct SupervisorAddress {
  std::string socket{};     // "" without a manager
  int64_t watchdog_us = 0;  // it acts after so long a silence; 0: never
};

// From the values of NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID ("" where unset): a watchdog meant for another
// process is none. What makes no sense is left out, and said in the log.
SupervisorAddress ParseSupervisor(std::string_view notify_socket, std::string_view watchdog_usec,
                                  std::string_view watchdog_pid, int64_t own_pid);

// I/O thread only. Every call but the constructor does nothing without a manager.
class Supervisor {
 public:
  explicit Supervisor(const SupervisorAddress& address);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  bool present() const { return fd_ >= 0; }
  int64_t watchdog_us() const { return watchdog_us_; }

  void Ready();
  void Stopping();
  void Alive();
  void Status(std::string_view line);  // sent where it differs from the last

 private:
  void Send(std::string_view text) const;

  int fd_ = -1;  // connected to the manager
  int64_t watchdog_us_ = 0;
  std::string last_status_;
};

}  // namespace tenfold::server
