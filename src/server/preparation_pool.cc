#include "server/preparation_pool.h"

namespace tenfold::server {

PreparationPool::PreparationPool(int threads, size_t max_jobs, size_t max_bytes)
    : max_jobs_(max_jobs), max_bytes_(max_bytes) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

PreparationPool::~PreparationPool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    jobs_.clear();
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool PreparationPool::TryPost(size_t bytes, std::function<void()> job) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stop_ || jobs_.size() >= max_jobs_ || bytes_ + bytes > max_bytes_) return false;
    bytes_ += bytes;
    jobs_.push_back({bytes, std::move(job)});
  }
  wake_.notify_one();
  return true;
}

void PreparationPool::Work() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (stop_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job.run();
    job.run = nullptr;
    lock.lock();
    bytes_ -= job.bytes;
  }
}

}  // namespace tenfold::server
