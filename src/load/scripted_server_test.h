// A server for tests of the load generator: each connection follows a script, however rude.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tenfold::load {

class ScriptedServer {
 public:
  // One accepted connection whose request has been read; `fd` is closed when the script returns.
  struct Peer {
    int fd = -1;
    std::string request;  // head and body
    const std::atomic<bool>* stopping = nullptr;

    void Send(const std::string& bytes) const;
    void SleepMs(int ms) const;
    void HangUntilStopped() const;
  };
  using Script = std::function<void(const Peer&)>;

  // The n-th POST follows scripts[n % size]; GET /v1/models lists "scripted", any other GET is a 404.
  explicit ScriptedServer(std::vector<Script> scripts);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<std::string> requests();

 private:
  void Accept();
  void Serve(int fd);

  std::vector<Script> scripts_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<size_t> posts_ = 0;
  std::mutex mutex_;  // guards the two below
  std::vector<std::string> requests_;
  std::vector<std::thread> peers_;
  std::thread acceptor_;
};

}  // namespace tenfold::load
