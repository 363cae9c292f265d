// `tenfold gate r.jsonl`: reads results and rules, prints the decision. Exit codes: 0 PASS, 1 CONDITIONAL PASS, 2
// MIGRATE, 3 NO EVIDENCE, 4 nothing was decided (a file or a flag is wrong).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "apps/measuring.h"
#include "apps/subcommands.h"
#include "config/toml_file.h"
#include "gate/csv.h"
#include "gate/verdict.h"
#include "results/result_file.h"

namespace tenfold::apps {
namespace {

struct Flags {
  std::string results_path, csv_path, rules_path;
  int64_t server = 1;
  double timeout_s = 60;
};

Result<results::ResultFile> Read(const Flags& flags) {
  if (flags.results_path.empty() == flags.csv_path.empty()) {
    return Error{ErrorCode::kInvalidArgument, "give a file of `tenfold bench load --output`, or --from-csv FILE"};
  }
  if (!flags.csv_path.empty()) {
    TENFOLD_TRY(const std::string text, config::ReadTextFile(flags.csv_path));
    return gate::ParseCsv(text, flags.csv_path, flags.timeout_s);
  }
  TENFOLD_TRY(const std::string text, ReadResultText(flags.results_path));
  return results::ParseResults(text, flags.results_path);
}

Result<gate::Verdict> Run(const Flags& flags) {
  gate::Rules rules;
  if (!flags.rules_path.empty()) {
    TENFOLD_TRY(const std::string text, config::ReadTextFile(flags.rules_path));
    TENFOLD_TRY(rules, gate::ParseRules(text, flags.rules_path));
  }
  TENFOLD_TRY(const results::ResultFile file, Read(flags));
  if (flags.server > static_cast<int64_t>(file.servers.size())) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("--server: {} has {}", file.path, file.servers.size())};
  }
  const gate::Decision decision = gate::Judge(file, flags.server - 1, rules);
  fmt::print("{}", gate::TextOf(decision, rules));
  return decision.verdict;
}

}  // namespace

void RegisterGate(CLI::App& app, int* exit_code) {
  CLI::App* command =
      app.add_subcommand("gate", "Decide by rules whether a measured server is good enough for its users");
  auto flags = std::make_shared<Flags>();
  command->add_option("results", flags->results_path, "File of `tenfold bench load --output`")->type_name("FILE");
  command->add_option("--from-csv", flags->csv_path, "Figures measured elsewhere (docs/gate.md)")->type_name("FILE");
  command->add_option("--rules", flags->rules_path, "TOML file with other rules (docs/gate.md)")->type_name("FILE");
  command->add_option("--server", flags->server, "Of a file with --vs: which server, 1 or 2")->check(CLI::Range(1, 2));
  command->add_option("--timeout", flags->timeout_s, "Of --from-csv: seconds that a failure counts")
      ->check(CLI::Range(0.001, 86'400.0))
      ->capture_default_str();
  command->callback([flags, exit_code] {
    const Result<gate::Verdict> verdict = Run(*flags);
    if (!verdict.ok()) fmt::print(stderr, "tenfold gate: {}\n", verdict.error().message);
    *exit_code = verdict.ok() ? static_cast<int>(*verdict) : kGateUndecided;
  });
}

}  // namespace tenfold::apps
