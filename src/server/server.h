// The server: sockets and routes over one engine, from bind to drained.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"
#include "engine/engine.h"
#include "server/config.h"

namespace tenfold::server {

// Bind → construct the engine with StepObserver() → Attach → Run. Must outlive the engine.
class Server {
 public:
  explicit Server(Config config);
  ~Server();

  // Takes the port: from now on clients can connect and are answered once Run begins. Milliseconds.
  Status Bind();
  uint16_t port() const;

  // For the engine's constructor; may be called on its loop thread at any time.
  std::function<void(const engine::StepStats&)> StepObserver();
  void Attach(engine::Engine& engine);

  // Serves on the calling thread until drained after SIGINT, SIGTERM or Shutdown(). False: requests were cut short, and
  // the engine may still be computing a step of theirs.
  bool Run();

  // As SIGTERM: refuse new work; let what runs, waits, or is held for the load finish for Config::drain_us, then end
  // it. A second call ends it at once. Any thread.
  void Shutdown();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tenfold::server
