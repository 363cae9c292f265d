#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "engine/loader.h"
#include "engine/loop.h"
#include "kernels/attention.h"
#include "platform/placement.h"
#include "platform/thread_binding.h"
#include "platform/thread_pool.h"

namespace tenfold::engine {
namespace {

// What StartLoad and StartUnload asked for since the loop last looked.
struct Orders {
  bool load = false;
  bool unload = false;
};

// A request to queue, or, without one, an id to cancel.
struct Command {
  RequestId id = 0;
  std::optional<Request> submitted;
  int64_t submitted_us = 0;
  bool complete = false;  // of what is cancelled
};

// What a load shows while anything is left to do; health's three decimals do not round it to 1.
constexpr double kMostProgress = 0.999;

platform::Placement ChosenPlacement(const Options& options) {
  if (options.placement.threads > 0) return options.placement;
  return platform::PlaceThreadsHere({}, options.threads).value();  // without a list nothing can be refused
}

// In a compute thread, before its first item.
void StartWorker(const platform::Placement& placement, int worker) {
  kernels::SetFlushDenormals();
  const Status bound = platform::BindThread(placement, worker);
  if (!bound.ok()) Log(LogLevel::kWarn, bound.error().message);
}

}  // namespace

std::string_view NameOf(LoadState state) {
  switch (state) {
    case LoadState::kNotLoaded:
      return "not_loaded";
    case LoadState::kLoading:
      return "loading";
    case LoadState::kReady:
      return "ready";
    case LoadState::kError:
      return "error";
  }
  return "error";
}

// Everything public methods touch is behind `mutex`, which is only ever held to copy or move a few words.
struct Engine::Impl {
  Options options;
  std::function<void(const StepStats&)> on_step;

  mutable std::mutex mutex;
  std::condition_variable wake;
  std::vector<Command> inbox;
  bool load_wanted = false;
  bool unload_wanted = false;
  bool stopping = false;
  RequestId next_id = 1;
  Snapshot published;
  int64_t last_step_us = -1;
  int64_t work_since_us = -1;  // when the loop last went from nothing to do to something to do
  std::shared_ptr<const ModelInfo> info;
  std::function<void(LoadState)> on_state;

  std::atomic<bool> abandon_load{false};
  int64_t load_begin_us = 0;                   // loop thread only
  platform::Placement placement;               // loop thread only
  std::unique_ptr<platform::ThreadPool> pool;  // loop thread only
  std::unique_ptr<Loop> loop;                  // loop thread only
  LoopCounters counters;                       // loop thread only
  AdmissionDesk desk;
  std::thread thread;

  void Run();
  bool WaitForWork();  // false: stop
  Orders TakeOrders();
  void TakeCommands();
  void Load();
  void FailLoad(const Error& error, double seconds);
  void Unload();
  void SetState(LoadState state);
  void Notify(LoadState state);
  void Post(Command&& command);  // needs the mutex
  void Publish();
  void RunStep();
  bool ReportLoad(std::string_view stage, double progress);
};

void Engine::Impl::SetState(LoadState state) {
  {
    const std::lock_guard lock(mutex);
    published.state = state;
  }
  Notify(state);
}

void Engine::Impl::Notify(LoadState state) {
  std::function<void(LoadState)> callback;
  {
    const std::lock_guard lock(mutex);
    callback = on_state;
  }
  if (callback) callback(state);
}

void Engine::Impl::Post(Command&& command) {
  if (inbox.empty() && !published.work_pending) work_since_us = NowUs();
  inbox.push_back(std::move(command));
}

void Engine::Impl::Publish() {
  const std::lock_guard lock(mutex);
  published.steps_total = counters.steps;
  published.prompt_tokens_total = counters.prompt_tokens;
  published.cached_tokens_total = counters.cached_tokens;
  published.evictions_total = counters.evictions;
  published.generated_tokens_total = counters.generated_tokens;
  published.busy_slots_total = counters.busy_slots;
  published.preemptions_total = counters.preemptions;
  published.cancelled_total = counters.cancelled;
  published.prompt_seconds_total = counters.prompt_seconds;
  published.generate_seconds_total = counters.generate_seconds;
  published.running = loop ? loop->scheduler().running() : 0;
  published.waiting = loop ? loop->scheduler().waiting() : 0;
  published.kv_pages_total = loop ? loop->scheduler().pages().total() : 0;
  published.kv_pages_used = loop ? loop->scheduler().pages().used() : 0;
  published.kv_pages_idle = loop ? loop->scheduler().pages().idle() : 0;
}

bool Engine::Impl::ReportLoad(std::string_view stage, double progress) {
  const double elapsed_s = static_cast<double>(NowUs() - load_begin_us) * 1e-6;
  const std::lock_guard lock(mutex);
  published.stage = stage;
  published.progress = std::min(progress, kMostProgress);
  // The share of bytes is the share of time, once enough of both has passed to tell.
  published.load_eta_s = progress > 0.02 ? elapsed_s / progress * (1.0 - progress) : -1;
  return !abandon_load.load();
}

void Engine::Impl::Load() {
  load_begin_us = NowUs();
  SetState(LoadState::kLoading);
  Log(LogLevel::kInfo, fmt::format("loading {}", options.model_path));
  Result<LoadedModel> loaded = Error{};
  try {
    loaded = LoadModel(options, *pool, [this](std::string_view stage, double p) { return ReportLoad(stage, p); });
  } catch (const std::exception& e) {
    loaded = Error{ErrorCode::kInternal, fmt::format("{}: {}", options.model_path, e.what())};
  }
  const double seconds = static_cast<double>(NowUs() - load_begin_us) * 1e-6;
  if (!loaded.ok()) {
    FailLoad(loaded.error(), seconds);
    return;
  }
  const std::shared_ptr<const ModelInfo> loaded_info = loaded->info;
  Optimization optimization = loaded->optimization;
  optimization.placement = placement;
  loop = std::make_unique<Loop>(options, std::move(loaded).value(), *pool, desk);
  Publish();
  {
    const std::lock_guard lock(mutex);
    info = loaded_info;
    published.state = LoadState::kReady;  // with the rest: nobody sees a load without its stage
    published.optimization = optimization;
    published.error.clear();
    published.stage.clear();
    published.progress = 1;
    published.load_eta_s = 0;
    published.load_s = seconds;
  }
  Log(LogLevel::kInfo,
      fmt::format("ready: {} ({}, {} threads, context {}, keys {}, values {}, {:.2f} GiB of weights) after {:.1f} s",
                  loaded_info->name, optimization.isa, optimization.threads, optimization.n_ctx,
                  optimization.cache_type_k, optimization.cache_type_v,
                  static_cast<double>(optimization.weight_bytes) / (1024.0 * 1024 * 1024), seconds));
  Notify(LoadState::kReady);
}

void Engine::Impl::FailLoad(const Error& error, double seconds) {
  const bool abandoned = abandon_load.load();
  const LoadState state = abandoned ? LoadState::kNotLoaded : LoadState::kError;
  {
    const std::lock_guard lock(mutex);
    published.load_s = seconds;
    if (!load_wanted) {  // otherwise the next load has been announced already
      published.state = state;
      published.error = abandoned ? "" : error.message;
      published.stage.clear();
    }
  }
  if (!abandoned) Log(LogLevel::kError, fmt::format("load failed: {}", error.message));
  Notify(state);
}

// The state leaves kReady in the same breath as the order is taken: a StartLoad that comes while the memory is given
// back must not find a model that is as good as gone and do nothing.
Orders Engine::Impl::TakeOrders() {
  Orders orders;
  bool leaves = false;
  {
    const std::lock_guard lock(mutex);
    orders.load = std::exchange(load_wanted, false);
    orders.unload = std::exchange(unload_wanted, false);
    if (orders.load) abandon_load.store(stopping);
    if (orders.unload) {
      leaves = info != nullptr || published.state == LoadState::kError ||
               (published.state == LoadState::kLoading && !orders.load);
      info.reset();
      published.state = orders.load ? LoadState::kLoading : LoadState::kNotLoaded;
      if (!orders.load) {
        published.stage.clear();
        published.error.clear();
        published.progress = 0;
      }
    }
  }
  if (leaves) Notify(LoadState::kNotLoaded);
  return orders;
}

void Engine::Impl::Unload() {
  TakeCommands();  // those that came before the model went
  const bool was_loaded = loop != nullptr;
  if (loop) loop->FinishAll(FinishReason::kFailed, {ErrorCode::kUnavailable, "the model was unloaded"});
  loop.reset();
  desk.Close();
  Publish();
  {
    const std::lock_guard lock(mutex);
    published.optimization = {};
    last_step_us = -1;
  }
  if (was_loaded) Log(LogLevel::kInfo, "model unloaded");
}

void Engine::Impl::TakeCommands() {
  std::vector<Command> commands;
  {
    const std::lock_guard lock(mutex);
    commands.swap(inbox);
  }
  for (Command& command : commands) {
    if (command.submitted.has_value()) {
      if (loop) {
        loop->Add(command.id, std::move(*command.submitted), command.submitted_us);
      } else {
        command.submitted->on_finish({.reason = FinishReason::kFailed,
                                      .error = {ErrorCode::kUnavailable, "the model was unloaded"},
                                      .timings = {}});
      }
    } else if (loop) {
      const int64_t before = loop->scheduler().running() + loop->scheduler().waiting();
      loop->Cancel(command.id, command.complete);
      counters.cancelled += static_cast<uint64_t>(before - loop->scheduler().running() - loop->scheduler().waiting());
    }
  }
  if (commands.empty()) return;
  if (loop) loop->PublishBacklog();
  Publish();
}

void Engine::Impl::RunStep() {
  try {
    const StepStats stats = loop->RunStep(counters);
    if (on_step) on_step(stats);
  } catch (const std::exception& e) {
    // Only a library can throw here (no memory for a buffer, say). The requests fail; the engine goes on.
    Log(LogLevel::kError, fmt::format("engine step failed: {}", e.what()));
    loop->FinishAll(FinishReason::kFailed, {ErrorCode::kInternal, fmt::format("engine step failed: {}", e.what())});
  }
  {
    const std::lock_guard lock(mutex);
    last_step_us = NowUs();
  }
  Publish();
}

bool Engine::Impl::WaitForWork() {
  std::unique_lock lock(mutex);
  const bool busy = loop && !loop->empty();
  if (!busy) {
    published.work_pending = false;
    wake.wait(lock, [this] { return stopping || load_wanted || unload_wanted || !inbox.empty(); });
  }
  published.work_pending = busy || !inbox.empty();
  return !stopping;
}

void Engine::Impl::Run() {
  placement = ChosenPlacement(options);
  pool =
      std::make_unique<platform::ThreadPool>(placement.threads, [this](int worker) { StartWorker(placement, worker); });
  StartWorker(placement, 0);  // after the others, which would inherit our CPU until they have their own
  while (WaitForWork()) {
    const Orders orders = TakeOrders();
    if (orders.unload) Unload();
    if (orders.load) Load();
    TakeCommands();
    if (loop && !loop->empty()) RunStep();
  }
  {
    const std::lock_guard lock(mutex);
    info.reset();
  }
  TakeCommands();
  if (loop) loop->FinishAll(FinishReason::kCancelled, {});
  loop.reset();
  pool.reset();
}

Engine::Engine(Options options, std::function<void(const StepStats&)> on_step) : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
  impl_->on_step = std::move(on_step);
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
}

Engine::~Engine() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    impl_->abandon_load.store(true);
  }
  impl_->wake.notify_all();
  impl_->thread.join();
}

Status Engine::StartLoad() {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->options.model_path.empty()) {
      return Error{ErrorCode::kUnavailable, "no model is configured: start the server with -m FILE.gguf"};
    }
    const LoadState state = impl_->published.state;
    if (!impl_->unload_wanted && (state == LoadState::kLoading || state == LoadState::kReady)) return {};
    impl_->load_wanted = true;
    impl_->published.state = LoadState::kLoading;
    impl_->published.stage = "starting";
    impl_->published.progress = 0;
    impl_->published.load_eta_s = -1;
    impl_->published.error.clear();
  }
  impl_->wake.notify_all();
  return {};
}

void Engine::StartUnload() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->unload_wanted = true;
    impl_->load_wanted = false;  // the later order counts
    impl_->abandon_load.store(true);
  }
  impl_->wake.notify_all();
}

void Engine::OnStateChange(std::function<void(LoadState)> callback) {
  const std::lock_guard lock(impl_->mutex);
  impl_->on_state = std::move(callback);
}

std::shared_ptr<const ModelInfo> Engine::model() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->info;
}

Snapshot Engine::snapshot() const {
  const std::lock_guard lock(impl_->mutex);
  Snapshot copy = impl_->published;
  copy.waiting +=
      std::count_if(impl_->inbox.begin(), impl_->inbox.end(), [](const Command& c) { return c.submitted.has_value(); });
  copy.work_pending = copy.work_pending || !impl_->inbox.empty();
  const int64_t since_us =
      copy.work_pending ? std::max(impl_->last_step_us, impl_->work_since_us) : impl_->last_step_us;
  copy.last_step_age_us = since_us < 0 ? -1 : NowUs() - since_us;
  return copy;
}

namespace {

Status CheckRequest(const Request& request, const ModelInfo& info) {
  const int64_t prompt_tokens = static_cast<int64_t>(request.prompt.size());
  if (prompt_tokens == 0) return Error{ErrorCode::kInvalidArgument, "the prompt is empty"};
  for (const tokenizer::TokenId token : request.prompt) {
    if (token < 0 || token >= info.vocab_size) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("token id {} is outside the vocabulary of {}", token, info.vocab_size)};
    }
  }
  if (request.score_prompt && (request.n_top < 0 || !request.on_prompt)) {
    return Error{ErrorCode::kInvalidArgument, "a prompt is scored for log-probabilities, which were not asked for"};
  }
  const int64_t wanted = request.max_new_tokens < 0 ? 1 : request.max_new_tokens;
  if (wanted > info.max_context - prompt_tokens) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("the prompt has {} tokens and {} are to be generated, more than the context of {}",
                             prompt_tokens, wanted, info.max_context)};
  }
  return {};
}

}  // namespace

Result<RequestId> Engine::Submit(Request request) {
  const std::shared_ptr<const ModelInfo> info = model();
  if (info == nullptr) return Error{ErrorCode::kUnavailable, "the model is not loaded"};
  TENFOLD_TRY_STATUS(CheckRequest(request, *info));
  Command command{0, std::move(request), NowUs()};
  RequestId id = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->info != info || impl_->stopping) return Error{ErrorCode::kUnavailable, "the model is not loaded"};
    id = command.id = impl_->next_id++;
    const Request& submitted = *command.submitted;
    const auto prompt_tokens = static_cast<int64_t>(submitted.prompt.size());
    impl_->desk.Submitted(
        {.id = id,
         .tenant = submitted.tenant,
         .computed = 0,
         .known = prompt_tokens,
         .generated = 0,
         .limit = submitted.max_new_tokens < 0 ? info->max_context - prompt_tokens : submitted.max_new_tokens,
         .deadline_us = submitted.deadline_us});
    impl_->Post(std::move(command));
  }
  impl_->wake.notify_all();
  return id;
}

Prediction Engine::Predict(const Demand& demand) { return impl_->desk.Decide(demand, NowUs()); }

void Engine::Cancel(RequestId id, bool complete) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->Post({id, std::nullopt, 0, complete});
  }
  impl_->wake.notify_all();
}

}  // namespace tenfold::engine
