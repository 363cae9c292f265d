#include "server/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/connection.h"
#include "server/generation.h"
#include "server/listener.h"
#include "server/routes.h"
#include "server/service.h"

namespace tenfold::server {
namespace {

constexpr int kPreparationThreads = 2;
constexpr int64_t kProgressUs = 100'000;
constexpr int64_t kFlushUs = 250'000;  // for last answers to reach the kernel, which then delivers them without us
constexpr int64_t kDrainLookUs = 10'000;
constexpr int64_t kStatusUs = 1'000'000;

}  // namespace

struct Server::Impl {
  explicit Impl(Config c)
      : config(std::move(c)),
        listener(loop, host),
        inbox(loop, [this](std::vector<EngineEvent>&& events) { OnEvents(std::move(events)); }),
        metrics(config.model.name),
        pool(kPreparationThreads, 2 * config.max_requests, config.max_held_bytes),
        supervisor(config.supervisor),
        progress_timer(loop),
        drain_timer(loop),
        heartbeat(loop) {
    host.limits = config.connection;
    host.process_salt = std::random_device{}();
    host.on_turned_away = [this] { metrics.CountRejected("connections"); };
    host.handle = [this](std::shared_ptr<Exchange> exchange) { Dispatch(*service, std::move(exchange)); };
  }

  void OnEvents(std::vector<EngineEvent>&& events);
  void OnState(engine::LoadState state);
  void ReportProgress();
  void BeginDrain();
  void EndWork();
  void LookAtDrain();
  void Beat();

  // Declared in this order so that the loop, whose end destroys connections that are still open, goes before what they
  // point to, and everything that has a timer in the loop goes before the loop.
  Config config;
  ConnectionHost host;
  IoLoop loop;
  Listener listener;
  EngineInbox inbox;
  Metrics metrics;
  std::optional<Service> service;
  PreparationPool pool;
  Supervisor supervisor;
  Timer progress_timer;
  Timer drain_timer;
  Timer heartbeat;
  int64_t flush_ends_us = 0;
  bool cut_short = false;
};

Server::Server(Config config) : impl_(std::make_unique<Impl>(std::move(config))) {}
Server::~Server() = default;

Status Server::Bind() {
  if (impl_->config.tls.wanted()) {
    TENFOLD_TRY(TlsContext context, LoadTls(impl_->config.tls));
    impl_->listener.UseTls(std::move(context));
  }
  return impl_->listener.Bind(impl_->config.host, impl_->config.port);
}
uint16_t Server::port() const { return impl_->listener.port(); }

std::function<void(const engine::StepStats&)> Server::StepObserver() {
  return [inbox = &impl_->inbox](const engine::StepStats& step) {
    inbox->Push(step);
    inbox->WaitForRoom();
  };
}

void Server::Attach(engine::Engine& engine) {
  Impl& s = *impl_;
  s.service.emplace(s.config, s.host, s.loop, engine, s.inbox, s.pool, s.metrics);
  engine.OnStateChange([inbox = &s.inbox](engine::LoadState state) { inbox->Push(state); });
}

bool Server::Run() {
  Impl& s = *impl_;
  TENFOLD_CHECK(s.service.has_value(), "Run before Attach");
  if (s.config.handle_signals) s.loop.OnTermination([&s] { s.BeginDrain(); });
  s.listener.Start();
  if (s.config.load_in_background && !s.config.model.path.empty()) {
    if (Status started = s.service->engine.StartLoad(); !started.ok()) Log(LogLevel::kError, started.error().message);
  }
  if (s.supervisor.present()) {
    s.supervisor.Ready();  // requests that come before the model is there are held: clients need not wait
    s.Beat();
  }
  s.loop.Run();
  s.inbox.Open();                                            // nobody takes what the engine says any more
  if (s.config.on_progress_end) s.config.on_progress_end();  // a load that still ran
  return !s.cut_short;
}

void Server::Shutdown() {
  impl_->loop.Post([this] { impl_->BeginDrain(); });
}

void Server::Impl::OnEvents(std::vector<EngineEvent>&& events) {
  for (EngineEvent& event : events) {
    if (auto* prompt = std::get_if<PromptEvent>(&event)) {
      const auto it = service->generations.find(prompt->key);
      if (it == service->generations.end()) continue;
      const std::shared_ptr<Generation> generation = it->second;
      generation->OnScores(prompt->choice, std::move(prompt->tokens));
    } else if (auto* token = std::get_if<TokenEvent>(&event)) {
      const auto it = service->generations.find(token->key);
      if (it == service->generations.end()) continue;
      const std::shared_ptr<Generation> generation = it->second;
      generation->OnToken(token->choice, std::move(token->token));
    } else if (auto* finish = std::get_if<FinishEvent>(&event)) {
      const auto it = service->generations.find(finish->key);
      if (it == service->generations.end()) continue;
      const std::shared_ptr<Generation> generation = it->second;
      generation->OnFinish(finish->choice, finish->finish);
    } else if (auto* step = std::get_if<engine::StepStats>(&event)) {
      metrics.ObserveStep(*step);
    } else {
      OnState(std::get<engine::LoadState>(event));
    }
  }
}

void Server::Impl::OnState(engine::LoadState state) {
  if (state == engine::LoadState::kLoading) {
    ReportProgress();
  } else if (config.on_progress_end) {
    config.on_progress_end();
  }
  if (state == engine::LoadState::kReady) {
    if (const ModelPtr model = service->engine.model()) service->TemplateOf(model);  // says in the log what is wrong
  }
  service->gate.OnState(state);
}

void Server::Impl::ReportProgress() {
  const engine::Snapshot s = service->engine.snapshot();
  if (s.state != engine::LoadState::kLoading || !config.on_progress) return;
  config.on_progress(s.stage, s.progress, s.load_eta_s);
  progress_timer.Start(kProgressUs, [this] { ReportProgress(); });
}

void Server::Impl::BeginDrain() {
  if (service->draining) {
    Log(LogLevel::kInfo, "ending at once");
    return EndWork();
  }
  service->draining = true;
  service->drain_ends_us = NowUs() + config.drain_us;
  host.draining = true;
  Log(LogLevel::kInfo, fmt::format("shutting down: {} requests may finish within {} s", service->generations.size(),
                                   config.drain_us / 1'000'000));
  supervisor.Stopping();
  for (Connection* connection : host.open) connection->CloseIfIdle();
  LookAtDrain();
}

void Server::Impl::EndWork() {
  service->drain_ends_us = std::min(service->drain_ends_us, NowUs());  // never later: an engine may not let go
  cut_short = cut_short || !service->generations.empty();
  service->gate.Close(api::Unavailable("The server shut down before the model was loaded.", service->RestartSeconds()));
  std::vector<std::shared_ptr<Generation>> all;
  for (const auto& [key, generation] : service->generations) all.push_back(generation);
  for (const auto& generation : all) {
    generation->Abort(
        api::Unavailable("The server shut down before the answer was complete.", service->RestartSeconds()));
  }
}

void Server::Impl::LookAtDrain() {
  const int64_t now_us = NowUs();
  if (!service->generations.empty() && now_us >= service->drain_ends_us) EndWork();
  // Answered is not sent: a client that reads slowly has until the end of the drain too.
  const bool answered = service->generations.empty() && host.serving == 0;
  if (answered && flush_ends_us == 0) flush_ends_us = now_us + kFlushUs;
  const bool flushed = answered && (host.open.empty() || now_us >= flush_ends_us);
  if (flushed || now_us >= service->drain_ends_us + kFlushUs) {
    listener.Close();
    return loop.Stop();
  }
  drain_timer.Start(kDrainLookUs, [this] { LookAtDrain(); });
}

// The watchdog is fed as long as this thread runs and the engine's advances, or has nothing to do: what /livez says.
void Server::Impl::Beat() {
  const StatusInput status = service->Status(nullptr);
  if (supervisor.watchdog_us() > 0 && !IsStuck(status.snapshot, status.stuck_us)) supervisor.Alive();
  supervisor.Status(StatusLine(status));
  const int64_t half_us = supervisor.watchdog_us() / 2;
  heartbeat.Start(half_us > 0 ? std::min(half_us, kStatusUs) : kStatusUs, [this] { Beat(); });
}

}  // namespace tenfold::server
