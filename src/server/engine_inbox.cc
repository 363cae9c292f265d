#include "server/engine_inbox.h"

namespace tenfold::server {

EngineInbox::EngineInbox(IoLoop& loop, std::function<void(std::vector<EngineEvent>&&)> handler)
    : loop_(loop), handler_(std::move(handler)) {}

void EngineInbox::Push(EngineEvent event) {
  bool first;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    first = events_.empty();
    events_.push_back(std::move(event));
  }
  if (first) loop_.Post([this] { Flush(); });
}

void EngineInbox::Flush() {
  std::vector<EngineEvent> events;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    events.swap(events_);
  }
  taken_.notify_all();
  if (!events.empty()) handler_(std::move(events));
}

void EngineInbox::WaitForRoom(size_t most) {
  std::unique_lock<std::mutex> lock(mutex_);
  taken_.wait(lock, [&] { return open_ || events_.size() <= most; });
}

void EngineInbox::Open() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
  }
  taken_.notify_all();
}

}  // namespace tenfold::server
