#include "server/model_gate.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

namespace tenfold::server {
namespace {

constexpr int kErrorRetryAfterS = 10;
constexpr int64_t kRecheckUs = 500'000;

}  // namespace

api::ApiError NotReadyError(const engine::Snapshot& snapshot) {
  if (snapshot.state == engine::LoadState::kError) {
    return api::Unavailable(
        fmt::format("The model could not be loaded: {}. POST /admin/load tries again.", snapshot.error),
        kErrorRetryAfterS);
  }
  return api::Unavailable("No model is loaded.", kErrorRetryAfterS);
}

ModelGate::ModelGate(IoLoop& loop, engine::Engine& engine, size_t max_held, size_t max_bytes)
    : engine_(engine), max_held_(max_held), max_bytes_(max_bytes), recheck_(loop) {}

ModelGate::Ticket ModelGate::Enter(size_t bytes, Callback callback, Impatience impatience) {
  if (closed_) {
    callback(*closed_);
    return 0;
  }
  if (ModelPtr model = engine_.model()) {
    callback(std::move(model));
    return 0;
  }
  const engine::Snapshot snapshot = engine_.snapshot();
  if (snapshot.state == engine::LoadState::kError) {
    callback(NotReadyError(snapshot));
    return 0;
  }
  if (waiters_.size() >= max_held_ || bytes_ + bytes > max_bytes_) {
    callback(api::Overloaded("Too many requests wait for the model to load.", 5));
    return 0;
  }
  if (snapshot.state == engine::LoadState::kNotLoaded) {
    if (Status started = engine_.StartLoad(); !started.ok()) {
      callback(api::Unavailable(started.error().message, kErrorRetryAfterS));
      return 0;
    }
  }
  if (waiters_.empty()) recheck_.Start(kRecheckUs, [this] { Recheck(); });
  waiters_.push_back({++last_ticket_, bytes, std::move(callback), std::move(impatience)});
  bytes_ += bytes;
  return last_ticket_;
}

void ModelGate::Leave(Ticket ticket) {
  for (auto it = waiters_.begin(); it != waiters_.end(); ++it) {
    if (it->ticket != ticket) continue;
    bytes_ -= it->bytes;
    waiters_.erase(it);
    return;
  }
}

void ModelGate::Release(const api::Parsed<ModelPtr>& answer) {
  std::list<Waiter> waiters = std::exchange(waiters_, {});
  bytes_ = 0;
  for (Waiter& waiter : waiters) waiter.callback(answer);
}

void ModelGate::OnState(engine::LoadState state) {
  if (waiters_.empty()) return;
  switch (state) {
    case engine::LoadState::kReady:
      if (ModelPtr model = engine_.model()) Release(std::move(model));
      return;  // otherwise it was unloaded in between, and that event follows
    case engine::LoadState::kError:
      return Release(NotReadyError(engine_.snapshot()));
    case engine::LoadState::kNotLoaded:
      return Release(api::Unavailable("The model was unloaded while the request waited for it.", 1));
    case engine::LoadState::kLoading:
      return;
  }
}

void ModelGate::RefuseImpatient() {
  std::vector<std::pair<Callback, api::ApiError>> refused;  // called below: they may enter or leave
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    std::optional<api::ApiError> refusal;
    if (it->impatience) refusal = it->impatience();
    if (!refusal) {
      ++it;
      continue;
    }
    refused.emplace_back(std::move(it->callback), *refusal);
    bytes_ -= it->bytes;
    it = waiters_.erase(it);
  }
  for (auto& [callback, error] : refused) callback(error);
}

// A state change that came between our look at the engine and our queueing is seen here, so that nobody waits for ever.
void ModelGate::Recheck() {
  RefuseImpatient();
  if (waiters_.empty()) return;
  if (ModelPtr model = engine_.model()) {
    Release(std::move(model));
  } else if (const engine::Snapshot snapshot = engine_.snapshot(); snapshot.state == engine::LoadState::kError) {
    Release(NotReadyError(snapshot));
  } else if (snapshot.state == engine::LoadState::kNotLoaded) {
    if (Status started = engine_.StartLoad(); !started.ok()) {
      Release(api::Unavailable(started.error().message, kErrorRetryAfterS));
    }
  }
  if (!waiters_.empty()) recheck_.Start(kRecheckUs, [this] { Recheck(); });
}

void ModelGate::Close(const api::ApiError& error) {
  closed_ = error;
  Release(error);
}

}  // namespace tenfold::server
