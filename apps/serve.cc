// tenfold serve: settings to options, log to stderr, and the order of the start: the port first, then everything slow.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/log_output.h"
#include "apps/subcommands.h"
#include "apps/tuned_profile.h"
#include "base/log.h"
#include "config/describe.h"
#include "config/parse.h"
#include "config/toml_file.h"
#include "engine/engine.h"
#include "kernels/attention.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "platform/placement.h"
#include "platform/topology.h"
#include "server/server.h"

namespace tenfold::apps {
namespace {

// A connection is a descriptor, and the usual soft limit is 1024: raised to the hard one. How many connections that
// leaves, at most as many as wanted: beyond, the model's file or the accept itself would fail.
struct Descriptors {
  rlim_t before = 0;
  rlim_t now = 0;
  size_t connections = 0;
};

Descriptors RaiseDescriptorLimit(int64_t wanted) {
  constexpr rlim_t kOwn = 128;  // the model's parts, the log, those that are turned away
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return {0, 0, static_cast<size_t>(wanted)};
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
  const rlim_t fit = limit.rlim_cur > 2 * kOwn ? limit.rlim_cur - kOwn : limit.rlim_cur / 2;
  return {before, limit.rlim_cur, static_cast<size_t>(std::min<rlim_t>(fit, static_cast<rlim_t>(wanted)))};
}

void LogDescriptors(const Descriptors& d, int64_t wanted) {
  const std::string now = d.now == RLIM_INFINITY ? "unlimited" : fmt::format("{}", d.now);
  Log(LogLevel::kInfo, fmt::format("at most {} connections (open files: {}, was {})", d.connections, now, d.before));
  if (d.connections < static_cast<size_t>(wanted)) {
    Log(LogLevel::kWarn, fmt::format("max_connections is {}, but the hard limit of open files (ulimit -Hn) allows {}",
                                     wanted, d.connections));
  }
}

server::ConnectionLimits LimitsOf(const config::Settings& s) {
  server::ConnectionLimits limits;
  limits.idle_us = s.idle_seconds * 1'000'000;
  limits.head_us = s.head_seconds * 1'000'000;
  limits.body_us = s.body_seconds * 1'000'000;
  limits.write_us = s.write_seconds * 1'000'000;
  limits.max_body_bytes = static_cast<uint64_t>(s.max_body_size);
  limits.max_bodies_bytes = std::max(limits.max_bodies_bytes, limits.max_body_bytes);
  limits.stream_buffer_bytes = static_cast<size_t>(s.stream_buffer_size);
  return limits;
}

std::string UrlOf(const server::Config& config, uint16_t port) {
  const bool v6 = config.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", config.tls.wanted() ? "https" : "http", v6 ? "[" : "", config.host,
                     v6 ? "]" : "", port);
}

// Why so many threads and where, before anybody wonders.
void LogThreads(const platform::Placement& placement, int budget) {
  const std::string where =
      placement.cpus.empty() ? "" : fmt::format(", bound to CPUs {}", fmt::join(placement.cpus, ", "));
  const std::string memory = placement.nodes.size() < 2 ? ""
                                                        : fmt::format("; memory is taken from nodes {} in turns",
                                                                      platform::CpuListText(placement.nodes));
  Log(LogLevel::kInfo, fmt::format("{} compute thread{}, {}{}{}", placement.threads, placement.threads == 1 ? "" : "s",
                                   placement.threads_reason, where, memory));
  if (placement.threads > budget) {
    Log(LogLevel::kWarn, fmt::format("{} threads share the time of {}: steps will wait for each other; leave --threads "
                                     "out to get {}",
                                     placement.threads, budget, budget));
  }
}

bool IsLoopback(const std::string& host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

engine::Options EngineOptions(const config::Settings& s) {
  engine::Options options;
  options.model_path = s.model;
  options.alias = s.alias;
  options.max_context = s.ctx_size;
  options.max_step_tokens = s.batch_size;
  options.max_running = s.parallel;
  options.prefix_cache = s.prefix_cache;
  options.kv_bytes = static_cast<uint64_t>(s.kv_memory);
  options.kv_format = {kernels::KvTypeFromName(s.cache_type_k).value(),  // the table allows no other names
                       kernels::KvTypeFromName(s.cache_type_v).value()};
  options.mlock = s.mlock;
  options.mmap = s.mmap;
  options.exact = s.exact;
  return options;
}

struct Threads {
  platform::Placement placement;
  int budget = 1;  // how many it would be without --threads
};
Result<Threads> ChooseThreads(const config::Settings& s) {
  TENFOLD_TRY(const platform::Affinity affinity, platform::ParseAffinity(s.cpu_affinity));
  const platform::Topology topology = platform::DetectTopology();
  const double quota = platform::DetectCpuLimits().quota_cpus;
  const int asked = static_cast<int>(std::max<int64_t>(0, s.threads));
  TENFOLD_TRY(const platform::Placement unasked, platform::PlaceThreads(topology, quota, affinity, 0));
  TENFOLD_TRY(const platform::Placement placement, platform::PlaceThreads(topology, quota, affinity, asked));
  return Threads{placement, unasked.threads};
}

Result<server::Config> ServerConfig(const config::Settings& s, const engine::Options& engine) {
  server::Config config;
  config.host = s.host;
  config.port = static_cast<uint16_t>(s.port);
  config.tls = {s.tls_cert, s.tls_key};
  TENFOLD_TRY(config.api_keys, config::AllApiKeys(s));
  config.cors_origins = s.cors_origin;
  if (!s.chat_template_file.empty()) {
    TENFOLD_TRY(config.chat_template, config::ReadTextFile(s.chat_template_file));
    if (config.chat_template.empty()) {  // it would read as "none given", and the model's own be used
      return Error{ErrorCode::kInvalidArgument, "chat_template_file: " + s.chat_template_file + " is empty"};
    }
  }
  config.log_prompts = s.log_prompts;
  config.on_progress = ShowProgress;
  config.on_progress_end = EndProgress;
  config.load_in_background = s.load == "background";
  config.drain_us = s.drain_seconds * 1'000'000;
  config.request_us = s.request_seconds * 1'000'000;
  config.connection = LimitsOf(s);
  config.slo_us = s.slo_seconds * 1'000'000;
  config.max_requests = static_cast<size_t>(s.max_requests);
  config.stuck_us = s.stuck_seconds * 1'000'000;
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string_view(value == nullptr ? "" : value);
  };
  config.supervisor =
      server::ParseSupervisor(variable("NOTIFY_SOCKET"), variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"), getpid());
  config.model = {engine::ModelName(engine), engine.model_path};
  return config;
}

// 2 for what the operator can mend in the command, else 1.
int Refuse(const Error& error) {
  std::fprintf(stderr, "tenfold serve: %s\n", error.message.c_str());
  return error.code == ErrorCode::kInvalidArgument ? 2 : 1;
}

int Serve(config::Configuration chosen) {
  StartLog({chosen.settings.log_level, chosen.settings.log_format});
  for (const std::string& warning : chosen.warnings) Log(LogLevel::kWarn, warning);
  const Result<server::TuningState> tuning = UseProfile(&chosen);
  if (!tuning.ok()) return Refuse(tuning.error());
  const config::Settings& settings = chosen.settings;
  if (!settings.huge_pages) {
    if (const Status forbidden = platform::ForbidHugePages(); !forbidden.ok()) return Refuse(forbidden.error());
  }
  engine::Options options = EngineOptions(settings);
  Result<server::Config> made = ServerConfig(settings, options);
  if (!made.ok()) return Refuse(made.error());
  made->tuning = *tuning;
  const Descriptors descriptors = RaiseDescriptorLimit(settings.max_connections);
  made->connection.max_connections = descriptors.connections;
  const server::Config& config = *made;
  options.alias = config.model.name;
  Result<Threads> threads = ChooseThreads(settings);
  if (!threads.ok()) return Refuse(threads.error());
  options.placement = threads->placement;

  server::Server server(config);
  if (Status bound = server.Bind(); !bound.ok()) return Refuse(bound.error());
  const std::string url = UrlOf(config, server.port());
  Log(LogLevel::kInfo, fmt::format("listening on {}", url));
  LogDescriptors(descriptors, settings.max_connections);
  if (config.api_keys.empty() && !IsLoopback(config.host)) {
    Log(LogLevel::kWarn,
        fmt::format("anybody who reaches {} may use this server: set --api-key, or listen on 127.0.0.1", config.host));
  }
  if (config.model.path.empty()) {
    Log(LogLevel::kInfo, "no model is configured; stop this (Ctrl-C) and run: tenfold serve -m FILE.gguf");
  } else if (!config.load_in_background) {
    Log(LogLevel::kInfo, fmt::format("{} will be loaded by the first request", config.model.path));
  }
  if (!config.model.path.empty()) LogThreads(threads->placement, threads->budget);
  engine::Engine engine(options, server.StepObserver());
  server.Attach(engine);
  const bool whole = server.Run();
  Log(LogLevel::kInfo, "stopped");
  // The engine's destructor waits for its step, seconds of a long prompt that nobody wants any more: whoever asked
  // twice, or whose time is over, does not. There is nothing to save.
  if (!whole) std::_Exit(0);
  return 0;
}

}  // namespace

int RunServe(std::span<const std::string> arguments) {
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) environment.emplace_back(*variable);
  Result<config::Configuration> chosen = config::ParseConfiguration(arguments, environment);
  if (!chosen.ok()) {
    const int code = Refuse(chosen.error());
    if (code == 2) std::fputs("Run 'tenfold serve --help' for what there is.\n", stderr);
    return code;
  }
  switch (chosen->action) {
    case config::Action::kHelp:
      std::fputs(config::HelpText().c_str(), stdout);
      return 0;
    case config::Action::kPrintConfig:
      std::fputs(config::ConfigFileText(*chosen).c_str(), stdout);
      return 0;
    case config::Action::kPrintReference:
      std::fputs(config::ReferenceText().c_str(), stdout);
      return 0;
    case config::Action::kServe:
      break;
  }
  return Serve(std::move(*chosen));
}

}  // namespace tenfold::apps
