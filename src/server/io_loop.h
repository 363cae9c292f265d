// The I/O thread's loop as the rest of the room sees it: run this there, run that later. Asio stays in io_loop.cc,
// connection.cc and server.cc, which keeps everything else quick to compile and testable without sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace tenfold::server {

class IoLoop {
 public:
  IoLoop();
  ~IoLoop();
  IoLoop(const IoLoop&) = delete;
  IoLoop& operator=(const IoLoop&) = delete;

  // Runs posted work and sockets on the calling thread until Stop() or nothing is left to wait for. What a handler
  // throws (memory, mostly) ends that handler and is logged.
  void Run();
  void Stop();                            // any thread
  void Post(std::function<void()> work);  // any thread
  // Calls back on the I/O thread at each SIGINT or SIGTERM from now on.
  void OnTermination(std::function<void()> callback);
  boost::asio::io_context& context();

 private:
  struct Signals;
  std::unique_ptr<boost::asio::io_context> context_;
  std::unique_ptr<Signals> signals_;
};

// Calls back once on the I/O thread after a delay; starting again or destroying it forgets the earlier call.
class Timer {
 public:
  explicit Timer(IoLoop& loop);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  void Start(int64_t delay_us, std::function<void()> callback);
  void Stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace tenfold::server
