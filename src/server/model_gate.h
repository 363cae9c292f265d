// Holds requests until the model is there: those that arrive before or during the load are served after it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>

#include "api/api_error.h"
#include "engine/engine.h"
#include "server/io_loop.h"

namespace tenfold::server {

using ModelPtr = std::shared_ptr<const engine::ModelInfo>;

// I/O thread only.
class ModelGate {
 public:
  using Ticket = uint64_t;  // 0: none
  using Callback = std::function<void(api::Parsed<ModelPtr>)>;
  // Why a request would rather not be held any longer; asked about twice a second, because a load may turn out slower
  // than it seemed.
  using Impatience = std::function<std::optional<api::ApiError>()>;

  // `max_bytes`: of all request bodies held.
  ModelGate(IoLoop& loop, engine::Engine& engine, size_t max_held, size_t max_bytes);

  // Calls back at once when the model is ready, or cannot become so; else later, and a load is started if none runs.
  // The ticket, where the call is to come later, takes the request back through Leave.
  Ticket Enter(size_t bytes, Callback callback, Impatience impatience = nullptr);
  void Leave(Ticket ticket);

  void OnState(engine::LoadState state);
  // Refuses everything held and whatever comes later: the server is ending.
  void Close(const api::ApiError& error);

  size_t held() const { return waiters_.size(); }

 private:
  struct Waiter {
    Ticket ticket;
    size_t bytes;
    Callback callback;
    Impatience impatience;
  };
  void Release(const api::Parsed<ModelPtr>& answer);
  void Recheck();
  void RefuseImpatient();

  engine::Engine& engine_;
  const size_t max_held_;
  const size_t max_bytes_;
  Timer recheck_;
  std::list<Waiter> waiters_;
  size_t bytes_ = 0;
  Ticket last_ticket_ = 0;
  std::optional<api::ApiError> closed_;
};

// Why the model cannot answer, for a client: loading failed, or was never configured.
api::ApiError NotReadyError(const engine::Snapshot& snapshot);

}  // namespace tenfold::server
