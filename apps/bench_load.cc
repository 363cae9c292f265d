// `tenfold bench load URL`: parses the flags, runs src/load/, prints the figures of each phase and writes the records.
// Exit code 0 when everybody was answered, 1 when somebody was not, 2 for wrong usage.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <set>
#include <string>

#include "apps/load_display.h"
#include "apps/measuring.h"
#include "apps/subcommands.h"
#include "base/result.h"
#include "bench/manifest.h"
#include "config/toml_file.h"
#include "load/load.h"
#include "results/comparison.h"
#include "results/figures_text.h"

namespace tenfold::apps {
namespace {

using load::LoadOptions;

struct Flags {
  LoadOptions load;
  load::Target target;
  std::string vs;
  std::string vs_model;
  int64_t rounds = 0;  // 0: by what is compared
  double timeout_s = 60;
  bool no_cold = false;
  std::string prompts_path, system_prompt, system_path, output;
  std::vector<std::string> lengths = {"short"};
  std::vector<std::string> languages = {"en"};
  bool users_given = false;
};

Error Named(std::string_view flag, const std::string& what) {
  return {ErrorCode::kInvalidArgument, fmt::format("{}: {}", flag, what)};
}

Result<std::vector<load::Prompt>> Prompts(const Flags& flags) {
  if (!flags.prompts_path.empty()) {
    const Result<std::string> text = config::ReadTextFile(flags.prompts_path);
    if (!text.ok()) return Named("--prompts", text.error().message);
    auto prompts = load::PromptsFromText(*text);
    if (!prompts.ok()) return Named("--prompts", fmt::format("{}: {}", flags.prompts_path, prompts.error().message));
    return prompts;
  }
  std::vector<load::Length> lengths;
  std::vector<load::Language> languages;
  for (const std::string& name : flags.lengths) {
    const auto length = load::LengthFromName(name);
    if (!length.ok()) return Named("--lengths", length.error().message);
    lengths.push_back(*length);
  }
  for (const std::string& name : flags.languages) {
    const auto language = load::LanguageFromName(name);
    if (!language.ok()) return Named("--languages", language.error().message);
    languages.push_back(*language);
  }
  return load::BuiltInPrompts(lengths, languages);
}

// Flags that only together make sense, or never do.
Status Complete(Flags& flags) {
  LoadOptions& load = flags.load;
  if (load.rate > 0 && flags.users_given) {
    return Error{ErrorCode::kInvalidArgument,
                 "--rate: requests come at random moments, so --users means nothing; leave one out"};
  }
  if (load.rate > 0 && load.questions > 1) {
    return Error{ErrorCode::kInvalidArgument, "--rate: nobody asks twice there, so --questions means nothing"};
  }
  if (std::set<int64_t>(load.users.begin(), load.users.end()).size() != load.users.size()) {
    return Error{ErrorCode::kInvalidArgument, "--users: each number once; --rounds repeats them all"};
  }
  if (flags.vs.empty() && !flags.vs_model.empty()) return Named("--vs-model", "there is no --vs");
  if (!flags.system_path.empty()) {
    const Result<std::string> text = config::ReadTextFile(flags.system_path);
    if (!text.ok()) return Named("--system-file", text.error().message);
    load.asking.system_prompt = *text;
  } else {
    load.asking.system_prompt = flags.system_prompt;
  }
  TENFOLD_TRY(load.prompts, Prompts(flags));
  load.targets = {flags.target};
  if (!flags.vs.empty()) load.targets.push_back({flags.vs, flags.vs_model, flags.target.api_key});
  load.asking.timeout_us = static_cast<int64_t>(flags.timeout_s * 1e6);
  load.cold = !flags.no_cold;
  const size_t compared = load.rate > 0 ? 1 : load.users.size();
  load.rounds = flags.rounds > 0 ? flags.rounds : flags.vs.empty() ? 1 : results::RoundsNeeded(compared);
  return {};
}

// What was asked for beyond results::Plan, for whoever reads the file later.
boost::json::object Conditions(const Flags& flags) {
  boost::json::object out = bench::ToJson(bench::MakeManifest("bench load", 1));
  boost::json::array users(flags.load.users.begin(), flags.load.users.end());
  out["asked"] = {{"users", std::move(users)},
                  {"rate_per_s", flags.load.rate},
                  {"rate_s", flags.load.rate > 0 ? flags.load.rate_s : 0},
                  {"questions", flags.load.questions},
                  {"warm_ups", flags.load.warm_ups},
                  {"seed", flags.load.seed},
                  {"ignore_eos", flags.load.asking.ignore_eos},
                  {"prompts", flags.prompts_path.empty()
                                  ? fmt::format("{} {}", fmt::join(flags.lengths, ","), fmt::join(flags.languages, ","))
                                  : flags.prompts_path},
                  {"system_prompt_bytes", flags.load.asking.system_prompt.size()}};
  return out;
}

void PrintFigures(const results::ResultFile& file, int64_t server) {
  if (file.servers.size() > 1)
    fmt::print("== server {}: {}\n", server + 1, file.servers[static_cast<size_t>(server)].url);
  for (const results::Group& group : results::GroupsOf(file, server)) {
    const results::Figures figures = results::FiguresOf(group, file.plan.timeout_s);
    fmt::print("{}", results::FormatFigures(figures, group, file.plan.timeout_s));
  }
}

void PrintSummary(const results::ResultFile& file, const LoadOptions& load) {
  for (const results::Server& server : file.servers) {
    fmt::print("{}  model {}  {} tokens each, timeout {} s\n", server.url,
               server.model.empty() ? "not named" : server.model, load.asking.max_tokens, file.plan.timeout_s);
  }
  for (const results::Server& server : file.servers) PrintFigures(file, server.index);
  if (file.servers.size() < 2) return;
  fmt::print("== server 1 against server 2, mean response round by round\n");
  for (const results::Comparison& c : results::Compare(file, 0, 1)) {
    fmt::print("{:<26}{}\n", results::TitleOf(c.phase, c.users), results::TextOf(c));
  }
}

bool AllAnswered(const results::ResultFile& file) {
  bool all = !file.interrupted && !file.runs.empty();
  for (const results::Request& request : file.requests) all &= request.ok();
  return all;
}

// Whether everybody was answered.
Result<bool> Run(Flags& flags) {
  TENFOLD_TRY_STATUS(Complete(flags));
  TENFOLD_TRY(JsonLines lines, JsonLines::Open("--output", flags.output));
  StopOnInterrupt();
  results::ResultFile file;
  file.plan = {.timeout_s = flags.timeout_s,
               .max_tokens = flags.load.asking.max_tokens,
               .rounds = flags.load.rounds,
               .imported = false};
  lines.Write(results::ManifestLine(Conditions(flags), file.plan));
  std::vector<results::Request> pending;  // of the run under way
  load::Observer observer;
  observer.on_server = [&](const results::Server& server) {
    lines.Write(results::ToJson(server));
    file.servers.push_back(server);
  };
  observer.on_request = [&](const results::Request& request) {
    lines.Write(results::ToJson(request));
    pending.push_back(request);
  };
  observer.on_run = [&](const results::Run& run) {
    lines.Write(results::ToJson(run));
    file.runs.push_back(run);
    file.requests.insert(file.requests.end(), pending.begin(), pending.end());
    pending.clear();
  };
  observer.on_progress = [&](const load::Progress& progress) {
    ShowLoadProgress(progress, flags.load.rounds, flags.load.targets.size());
  };
  observer.stopped = [] { return Interrupted(); };
  const Result<bool> done = load::RunLoad(flags.load, observer);
  EndLoadProgress();
  if (!done.ok()) return done.error();
  file.interrupted = !*done;
  lines.Write(results::EndLine(file.interrupted, bench::LoadAverage()));
  PrintSummary(file, flags.load);
  if (file.interrupted) fmt::print("(interrupted: a run that was under way counts nowhere)\n");
  TENFOLD_TRY_STATUS(lines.Close());
  return AllAnswered(file);
}

void AddLoadFlags(CLI::App& load, const std::shared_ptr<Flags>& flags) {
  load.add_option("--users", flags->load.users,
                  "Users who ask at the same moment; a list is measured one after the other")
      ->delimiter(',')
      ->check(CLI::Range(1, 100'000))
      ->default_str("1,10")
      ->each([flags](const std::string&) { flags->users_given = true; });
  load.add_option("--rate", flags->load.rate, "Requests a second at random moments (Poisson), instead of --users")
      ->check(CLI::Range(0.0001, 10'000.0));
  load.add_option("--rate-seconds", flags->load.rate_s, "How long they arrive")
      ->check(CLI::Range(0.1, 86'400.0))
      ->capture_default_str();
  load.add_option("--questions", flags->load.questions, "Questions of each user, one after the other's answer")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  load.add_option("--rounds", flags->rounds,
                  "How often all is measured; by default 1, with --vs as often as a statement needs (7 for 1,10)")
      ->check(CLI::Range(1, 100'000));
  load.add_option("--warmup", flags->load.warm_ups, "Requests before the first round, in no figure")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  load.add_flag("--no-cold", flags->no_cold, "Do not measure the first request of all apart");
  load.add_option("--seed", flags->load.seed, "Of the random moments")->capture_default_str();
  load.add_option("--tokens", flags->load.asking.max_tokens, "Tokens each asks for (max_tokens)")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  load.add_option("--timeout", flags->timeout_s, "Seconds until a user gives up; a failed user counts as this long")
      ->check(CLI::Range(0.001, 86'400.0))
      ->capture_default_str();
  load.add_flag("--ignore-eos", flags->load.asking.ignore_eos,
                "Ask for exactly that many tokens: a field that not every server knows");
}

void AddPromptFlags(CLI::App& load, const std::shared_ptr<Flags>& flags) {
  CLI::Option* lengths = load.add_option("--lengths", flags->lengths, "Built-in prompts: short, medium, long")
                             ->delimiter(',')
                             ->default_str("short");
  CLI::Option* languages =
      load.add_option("--languages", flags->languages, "Built-in prompts: en, ko")->delimiter(',')->default_str("en");
  load.add_option("--prompts", flags->prompts_path,
                  "File with one prompt a line, or {\"prompt\":..., \"expect\":...}, instead of the built-in ones")
      ->type_name("FILE")
      ->excludes(lengths)
      ->excludes(languages);
  CLI::Option* system = load.add_option("--system", flags->system_prompt, "System prompt that all requests share");
  load.add_option("--system-file", flags->system_path, "The same from a file")->type_name("FILE")->excludes(system);
}

}  // namespace

void RegisterBenchLoad(CLI::App& bench, int* exit_code) {
  CLI::App* load = bench.add_subcommand("load", "Ask as one user and as many at once, and say what each of them felt");
  auto flags = std::make_shared<Flags>();
  load->add_option("url", flags->target.url, "The server, http://HOST:PORT; any OpenAI-compatible one")->required();
  load->add_option("--vs", flags->vs, "A second server, asked in turns with the first and compared round by round")
      ->type_name("URL");
  load->add_option("--model", flags->target.model, "Model name to send; the server's first by default");
  load->add_option("--vs-model", flags->vs_model, "The same for --vs");
  load->add_option("--api-key", flags->target.api_key, "Sent as Authorization: Bearer")->envname("TENFOLD_API_KEY");
  load->add_option("--output", flags->output, "File for the records, JSON lines (docs/results.md)")->type_name("FILE");
  AddLoadFlags(*load, flags);
  AddPromptFlags(*load, flags);
  load->callback([flags, exit_code] {
    const Result<bool> all_answered = Run(*flags);
    if (!all_answered.ok()) fmt::print(stderr, "tenfold bench load: {}\n", all_answered.error().message);
    *exit_code = all_answered.ok() ? (*all_answered ? 0 : 1) : 2;
  });
}

}  // namespace tenfold::apps
