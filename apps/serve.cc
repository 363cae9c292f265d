// tenfold serve: flags to options, log to stderr, and the order of the start: the port first, then everything slow.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <cstdio>
#include <memory>
#include <string>

#include "apps/subcommands.h"
#include "base/log.h"
#include "engine/engine.h"
#include "server/server.h"

namespace tenfold::apps {
namespace {

struct Flags {
  engine::Options engine;
  server::Config server;
  std::string load = "background";
  std::string log_level = "info";
  int drain_seconds = 30;
};

void ToSpdlog(LogLevel level, std::string_view line) {
  static constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                          spdlog::level::warn, spdlog::level::err};
  spdlog::log(kLevels[static_cast<int>(level)], "{}", line);
}

void StartLog(const std::string& level) {
  auto logger = spdlog::stderr_color_mt("tenfold");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
  logger->set_level(spdlog::level::from_str(level));
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
  SetLogSink(ToSpdlog);
}

// Ten thousand idle clients are ten thousand descriptors; the usual soft limit is 1024.
void RaiseDescriptorLimit() {
  constexpr rlim_t kWanted = 16384;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  if (limit.rlim_cur >= kWanted) return;
  const rlim_t target = limit.rlim_max == RLIM_INFINITY || limit.rlim_max > kWanted ? kWanted : limit.rlim_max;
  if (target > limit.rlim_cur) {
    limit.rlim_cur = target;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (target < kWanted) {
    Log(LogLevel::kWarn, fmt::format("at most {} connections: the hard limit of open files is low (ulimit -Hn)",
                                     static_cast<uint64_t>(target)));
  }
}

std::string UrlOf(const server::Config& config, uint16_t port) {
  const bool v6 = config.host.find(':') != std::string::npos;
  return v6 ? fmt::format("http://[{}]:{}", config.host, port) : fmt::format("http://{}:{}", config.host, port);
}

int Serve(Flags flags) {
  StartLog(flags.log_level);
  RaiseDescriptorLimit();
  server::Config& config = flags.server;
  config.load_in_background = flags.load == "background";
  config.drain_us = int64_t{flags.drain_seconds} * 1'000'000;
  config.model = {engine::ModelName(flags.engine), flags.engine.model_path};
  flags.engine.alias = config.model.name;

  server::Server server(config);
  if (Status bound = server.Bind(); !bound.ok()) {
    std::fprintf(stderr, "tenfold: %s\n", bound.error().message.c_str());
    return bound.error().code == ErrorCode::kInvalidArgument ? 2 : 1;
  }
  const std::string url = UrlOf(config, server.port());
  Log(LogLevel::kInfo, fmt::format("listening on {}", url));
  if (config.model.path.empty()) {
    Log(LogLevel::kInfo, "no model is configured; stop this (Ctrl-C) and run: tenfold serve -m FILE.gguf");
  } else if (!config.load_in_background) {
    Log(LogLevel::kInfo, fmt::format("{} will be loaded by the first request", config.model.path));
  }
  engine::Engine engine(flags.engine, server.StepObserver());
  server.Attach(engine);
  server.Run();
  Log(LogLevel::kInfo, "stopped");
  return 0;
}

void AddFlags(CLI::App& app, Flags& flags) {
  app.add_option("-m,--model", flags.engine.model_path, "The GGUF file to serve")->type_name("FILE");
  app.add_option("--alias", flags.engine.alias, "The model's name for clients (default: the file name)")
      ->type_name("NAME");
  app.add_option("--host", flags.server.host, "The address to listen on; 0.0.0.0 for every one")
      ->type_name("ADDRESS")
      ->capture_default_str();
  app.add_option("--port", flags.server.port, "The port to listen on; 0 for any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option("--api-key", flags.server.api_key, "Ask clients of /v1 and /admin for this key")
      ->type_name("KEY")
      ->envname("TENFOLD_API_KEY");
  app.add_option("-t,--threads", flags.engine.threads, "Compute threads; 0: what the CPU quota and cores allow")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("-c,--ctx-size", flags.engine.max_context,
                 "The longest prompt and answer of one request, in tokens; 0: the model's, at most 8192")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24))
      ->capture_default_str();
  app.add_option("-b,--batch-size", flags.engine.max_step_tokens, "Tokens computed in one step")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}))
      ->capture_default_str();
  app.add_option("--parallel", flags.engine.max_running, "Requests computed together (also -np)")
      ->check(CLI::Range(int64_t{1}, int64_t{4096}))
      ->capture_default_str();
  app.add_option("--load", flags.load, "When to load: background (at once) or lazy (on the first request)")
      ->check(CLI::IsMember({"background", "lazy"}))
      ->capture_default_str();
  app.add_flag("--mlock", flags.engine.mlock, "Keep the model in memory, as far as the limits allow");
  app.add_flag("--exact", flags.engine.exact, "Answers that do not depend on what else is running; slower");
  app.add_option("--drain-seconds", flags.drain_seconds, "How long running requests may finish after SIGTERM")
      ->check(CLI::Range(0, 86400))
      ->capture_default_str();
  app.add_option("--log-level", flags.log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
}

}  // namespace

void RegisterServe(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* serve = app.add_subcommand("serve", "Serve a model: answers at once, loads behind");
  AddFlags(*serve, *flags);
  serve->callback([flags, exit_code] { *exit_code = Serve(*flags); });
}

}  // namespace tenfold::apps
