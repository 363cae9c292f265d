// Two threads for what is too slow for the I/O thread and too small for the engine: JSON bodies, prompts, tokenisation.
//
// Bounded by jobs and by bytes: when work arrives faster than it is done, the newest is refused, not queued for ever.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tenfold::server {

class PreparationPool {
 public:
  PreparationPool(int threads, size_t max_jobs, size_t max_bytes);
  ~PreparationPool();  // finishes the jobs that run, drops those that wait

  // Queues a job that keeps `bytes` of input alive; false when full. Jobs must not throw. Any thread.
  bool TryPost(size_t bytes, std::function<void()> job);

 private:
  struct Job {
    size_t bytes;
    std::function<void()> run;
  };
  void Work();

  const size_t max_jobs_;
  const size_t max_bytes_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  size_t bytes_ = 0;  // of jobs that wait or run
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tenfold::server
