#include "tune/server_trials.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "config/table.h"
#include "load/load.h"
#include "results/figures.h"

namespace tenfold::tune {
namespace {

constexpr size_t kMostServers = 3;  // the best, and what it is compared with; more only save loads
constexpr uint64_t kBesideTheFile = uint64_t{1} << 30;
constexpr int64_t kWarmUpTokens = 8;  // as many steps teach a server what its steps cost

double SecondsSince(int64_t begin_us) { return static_cast<double>(NowUs() - begin_us) / 1e6; }

std::string WordsOf(const std::string& text, double scale) {
  std::vector<size_t> ends;  // of words
  for (size_t i = 1; i <= text.size(); ++i) {
    const bool blank = i == text.size() || text[i] == ' ' || text[i] == '\n';
    if (blank && text[i - 1] != ' ' && text[i - 1] != '\n') ends.push_back(i);
  }
  if (ends.empty() || scale >= 1) return text;
  const auto kept = static_cast<size_t>(std::ceil(static_cast<double>(ends.size()) * scale));
  return text.substr(0, ends[std::clamp<size_t>(kept, 1, ends.size()) - 1]);
}

std::string FlagOf(const std::string& key, const std::string& value) {
  const config::Setting* setting = config::FindKey(key);
  const auto spelled = std::find_if(setting->flags.begin(), setting->flags.end(),
                                    [](std::string_view flag) { return flag.starts_with("--"); });
  return fmt::format("{}={}", *spelled, value);
}

}  // namespace

std::vector<load::Prompt> PromptsOf(const Workload& workload, double scale, size_t n) {
  std::vector<load::Prompt> prompts;
  const auto users = static_cast<size_t>(workload.users);
  for (size_t user = 0; user < users; ++user) {
    load::Prompt prompt = load::PromptAt(workload.prompts, n * users + user);
    prompts.push_back({WordsOf(prompt.text, scale), ""});
  }
  return prompts;
}

int64_t TokensOf(const Workload& workload, double scale) {
  return std::max<int64_t>(2, std::llround(static_cast<double>(workload.tokens) * scale));
}

std::vector<std::string> ServerTrials::ArgumentsOf(const Candidate& candidate) const {
  std::vector<std::string> arguments = options_.arguments;
  for (const auto& [key, value] : space_.SettingsOf(candidate)) arguments.push_back(FlagOf(key, value));
  return arguments;
}

void ServerTrials::End(const Candidate& candidate) {
  up_.remove_if([&](const Up& up) { return up.candidate == candidate; });
}

// Where a start fails beside others it may be for want of their memory: they go, and it is tried once more.
Result<ServerProcess*> ServerTrials::ServerOf(const Trial& trial) {
  for (auto it = up_.begin(); it != up_.end(); ++it) {
    if (it->candidate != trial.candidate) continue;
    up_.splice(up_.begin(), up_, it);
    return &it->process;
  }
  while (up_.size() >= options_.servers) up_.pop_back();
  const int64_t begin_us = NowUs();
  const auto limit_us = [&] { return static_cast<int64_t>(trial.start_limit_s * 1e6) - (NowUs() - begin_us); };
  ServerCommand command{options_.binary, ArgumentsOf(trial.candidate), limit_us()};
  Result<ServerProcess> started = ServerProcess::Start(command, options_.stopped);
  if (!started.ok() && !up_.empty() && limit_us() > 0 && !options_.stopped()) {
    up_.clear();
    command.limit_us = limit_us();
    started = ServerProcess::Start(command, options_.stopped);
  }
  if (!started.ok()) return started.error();
  // What only a first request pays for, and what a server learns from its first steps.
  Workload warm_up = options_.workload;
  warm_up.prompts = {{"Hello", ""}};
  const double left_s = std::max(0.1, static_cast<double>(limit_us()) / 1e6);
  const Result<double> warm =
      Ask(started->url(), PromptsOf(warm_up, 1, asked_++), std::min(kWarmUpTokens, warm_up.tokens), left_s);
  if (!warm.ok()) return Error{warm.error().code, "its first answers: " + warm.error().message};
  if (optimization_.empty()) optimization_ = started->optimization();
  up_.push_front({trial.candidate, std::move(*started)});
  return &up_.front().process;
}

// Seconds until the last one was answered.
Result<double> ServerTrials::Ask(const std::string& url, const std::vector<load::Prompt>& prompts, int64_t tokens,
                                 double limit_s) {
  load::LoadOptions load;
  load.targets = {{url, "", ""}};
  load.asking.max_tokens = tokens;
  load.asking.timeout_us = static_cast<int64_t>(limit_s * 1e6);
  load.asking.ignore_eos = true;
  load.prompts = prompts;
  load.users = {static_cast<int64_t>(prompts.size())};
  load.warm_ups = 0;
  load.cold = false;
  double last_s = 0;
  std::string failure;
  load::Observer observer;
  observer.on_request = [&](const results::Request& request) {
    last_s = std::max(last_s, request.waited_s);
    if (!request.ok() && failure.empty()) failure = results::FailureOf(request);
  };
  observer.stopped = options_.stopped;
  TENFOLD_TRY(const bool done, load::RunLoad(load, observer));
  if (!done) return Error{ErrorCode::kCancelled, "stopped"};
  if (!failure.empty()) {
    return Error{ErrorCode::kUnavailable, fmt::format("{}; it had {:.1f} s", failure, limit_s)};
  }
  return last_s;
}

Measured ServerTrials::Measure(const Trial& trial) {
  const int64_t begin_us = NowUs();
  Measured measured;
  const auto fail = [&](const Error& error) {
    End(trial.candidate);
    measured.failure = error.message;
    measured.cost_s = SecondsSince(begin_us);
    return measured;
  };
  const bool was_up =
      std::any_of(up_.begin(), up_.end(), [&](const Up& up) { return up.candidate == trial.candidate; });
  const Result<ServerProcess*> server = ServerOf(trial);
  if (!was_up) measured.start_s = SecondsSince(begin_us);
  if (!server.ok()) return fail(server.error());
  const Result<double> seconds = Ask((*server)->url(), PromptsOf(options_.workload, trial.scale, asked_++),
                                     TokensOf(options_.workload, trial.scale), trial.answer_limit_s);
  if (!seconds.ok()) return fail(seconds.error());
  measured.seconds = *seconds;
  measured.cost_s = SecondsSince(begin_us);
  return measured;
}

size_t ServersThatFit(uint64_t model_bytes, uint64_t available_bytes) {
  const uint64_t each = model_bytes + model_bytes / 8 + kBesideTheFile;
  return std::clamp<size_t>(available_bytes / each, 1, kMostServers);
}

}  // namespace tenfold::tune
