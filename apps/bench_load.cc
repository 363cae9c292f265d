// `tenfold bench load URL`: parses the flags, runs src/bench/, prints what it found. Exit code 1 when any user failed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "apps/subcommands.h"
#include "base/result.h"
#include "bench/load.h"
#include "bench/load_report.h"
#include "bench/prompts.h"

namespace tenfold::apps {
namespace {

using bench::LoadOptions;
using bench::LoadResult;

struct Flags {
  LoadOptions load;
  size_t users = 10;
  double timeout_s = 60;
  std::string prompts_path;
};

Result<std::vector<std::string>> Prompts(const Flags& flags) {
  if (flags.prompts_path.empty()) return bench::BuiltInPrompts(flags.users);
  std::ifstream file(flags.prompts_path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (file.bad() || !file.is_open()) {
    return Error{ErrorCode::kIo, fmt::format("--prompts: {} cannot be read", flags.prompts_path)};
  }
  return bench::PromptsFromLines(text, flags.users);
}

Result<bool> Run(Flags& flags) {
  TENFOLD_TRY(flags.load.prompts, Prompts(flags));
  flags.load.timeout_us = static_cast<int64_t>(flags.timeout_s * 1e6);
  TENFOLD_TRY(const LoadResult result, bench::RunLoad(flags.load));
  const auto summary = bench::Summarise(result, flags.load.timeout_us);
  fmt::print("{}", bench::FormatSummary(summary, flags.load, result.model));
  return summary.answered == summary.users;
}

}  // namespace

void RegisterBenchLoad(CLI::App& bench, int* exit_code) {
  CLI::App* load = bench.add_subcommand("load", "Ask with many users at once and say what each of them felt");
  auto flags = std::make_shared<Flags>();
  load->add_option("url", flags->load.url, "The server, http://HOST:PORT; any OpenAI-compatible one")->required();
  load->add_option("--users", flags->users, "Users who ask at the same moment")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  load->add_option("--tokens", flags->load.max_tokens, "Tokens each asks for (max_tokens)")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  load->add_option("--model", flags->load.model, "Model name to send; the server's first by default");
  load->add_option("--timeout", flags->timeout_s, "Seconds until a user gives up; a failed user counts as this long")
      ->check(CLI::Range(0.001, 86'400.0))
      ->capture_default_str();
  load->add_option("--prompts", flags->prompts_path, "File with one prompt a line, instead of the built-in ones");
  load->add_option("--api-key", flags->load.api_key, "Sent as Authorization: Bearer")->envname("TENFOLD_API_KEY");
  load->add_flag("--ignore-eos", flags->load.ignore_eos, "Ask for exactly that many tokens (not every server can)");
  load->callback([flags, exit_code] {
    const Result<bool> all_answered = Run(*flags);
    if (!all_answered.ok()) fmt::print(stderr, "tenfold bench load: {}\n", all_answered.error().message);
    *exit_code = all_answered.ok() ? (*all_answered ? 0 : 1) : 2;
  });
}

}  // namespace tenfold::apps
