// One `tenfold serve` as a child process: started on a free port, waited for until it is ready, ended at once.
//
// Why a process and not an engine in ours: it is what users will meet, settings and all; one that hangs can be killed;
// and what it leaves behind (huge pages, memory) is gone with it. Its log goes into memory, for the reason when it
// fails.
#pragma once

#include <sys/types.h>

#include <boost/json/object.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace tenfold::tune {

struct ServerCommand {
  std::string binary;                  // of tenfold
  std::vector<std::string> arguments;  // behind "serve"; the port is added
  int64_t limit_us = 60'000'000;       // to be ready
};

class ServerProcess {
 public:
  // Blocks until the model is loaded. Errors, with the process gone: it cannot be started, it ends (with the last lines
  // of its log), it is not ready in time (kUnavailable), `stopped` became true (kCancelled).
  static Result<ServerProcess> Start(const ServerCommand& command, const std::function<bool()>& stopped);
  ServerProcess(ServerProcess&& other) noexcept;
  ServerProcess& operator=(ServerProcess&& other) noexcept;
  ~ServerProcess();  // kills it and waits

  const std::string& url() const { return url_; }
  // /health's "optimization", as it was when the server got ready.
  const boost::json::object& optimization() const { return optimization_; }

 private:
  ServerProcess() = default;
  Status Spawn(const ServerCommand& command);
  std::string Log() const;
  std::string LastWords() const;
  bool Ended();
  void Kill();

  pid_t pid_ = -1;
  int log_ = -1;
  std::string url_;
  boost::json::object optimization_;
};

}  // namespace tenfold::tune
