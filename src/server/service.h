// What all routes share: the engine, the pools, the counters, and the generations under way. I/O thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <random>
#include <unordered_map>
#include <utility>

#include "api/api_error.h"
#include "chat/chat_template.h"
#include "engine/engine.h"
#include "server/config.h"
#include "server/cors.h"
#include "server/engine_inbox.h"
#include "server/grammar_cache.h"
#include "server/io_loop.h"
#include "server/key_ring.h"
#include "server/metrics.h"
#include "server/model_gate.h"
#include "server/preparation_pool.h"

namespace tenfold::server {

class Generation;

struct Service {
  Service(const Config& config_in, const ConnectionHost& host_in, IoLoop& loop_in, engine::Engine& engine_in,
          EngineInbox& inbox_in, PreparationPool& pool_in, Metrics& metrics_in);

  const Config& config;
  const ConnectionHost& host;
  IoLoop& loop;
  engine::Engine& engine;
  EngineInbox& inbox;
  PreparationPool& pool;
  Metrics& metrics;
  ModelGate gate;
  const KeyRing keys;
  const CorsPolicy cors;
  GrammarCache grammars;
  bool draining = false;
  int64_t drain_ends_us = 0;  // while draining: when what still runs is ended
  std::unordered_map<uint64_t, std::shared_ptr<Generation>> generations;
  size_t choices = 0;  // of all generations that are with the engine
  uint64_t last_key = 0;
  std::mt19937_64 random{std::random_device{}()};

  // The chat template that serves this model, parsed when the model is first seen.
  std::shared_ptr<const chat::ChatTemplate> TemplateOf(const ModelPtr& model);

  StatusInput Status(const ModelPtr& model) const;
  // Seconds until a place is likely free, from the requests finished so far.
  int RetryAfterSeconds() const;
  // Seconds until a process started after this one likely answers: what still runs here, and the load.
  int RestartSeconds() const;
  void Answer(Exchange& exchange, const api::ApiError& error);  // also counts the refusal

  // Runs `work` on a preparation thread and `then` with its result here; false when the pool is full. A throw in `work`
  // fails this request only.
  template <class T>
  bool Prepare(size_t bytes, std::function<api::Parsed<T>()> work, std::function<void(api::Parsed<T>)> then) {
    return pool.TryPost(bytes, [&io = loop, work = std::move(work), then = std::move(then)]() mutable {
      std::shared_ptr<api::Parsed<T>> result;
      try {
        result = std::make_shared<api::Parsed<T>>(work());
      } catch (const std::exception& e) {
        result = std::make_shared<api::Parsed<T>>(api::FromError({ErrorCode::kInternal, e.what()}));
      }
      // Moved, not copied: what `then` holds must be let go on the I/O thread.
      io.Post([result, next = std::exchange(then, nullptr)] { next(std::move(*result)); });
    });
  }

 private:
  std::weak_ptr<const engine::ModelInfo> template_model_;
  std::shared_ptr<const chat::ChatTemplate> template_;
};

}  // namespace tenfold::server
