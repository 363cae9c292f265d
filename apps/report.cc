// `tenfold report r.jsonl...`: reads results, writes the report as Markdown and as one HTML page.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "apps/measuring.h"
#include "apps/subcommands.h"
#include "config/toml_file.h"
#include "gate/rules.h"
#include "report/document.h"
#include "results/result_file.h"

namespace tenfold::apps {
namespace {

struct Flags {
  std::vector<std::string> paths;
  std::string markdown_path, html_path, rules_path;
};

Status WriteText(std::string_view flag, const std::string& path, const std::string& text) {
  if (path.empty()) return {};
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text << std::flush;
  if (!file) return Error{ErrorCode::kIo, fmt::format("{}: {} cannot be written", flag, path)};
  return {};
}

Status Run(const Flags& flags) {
  gate::Rules rules;
  if (!flags.rules_path.empty()) {
    TENFOLD_TRY(const std::string text, config::ReadTextFile(flags.rules_path));
    TENFOLD_TRY(rules, gate::ParseRules(text, flags.rules_path));
  }
  std::vector<results::ResultFile> files;
  boost::json::object roofline;
  for (const std::string& path : flags.paths) {
    TENFOLD_TRY(const std::string text, ReadResultText(path));
    if (boost::json::object found = results::RooflineOf(text); !found.empty()) {
      roofline = std::move(found);
      continue;
    }
    TENFOLD_TRY(results::ResultFile file, results::ParseResults(text, path));
    if (!file.roofline.empty()) roofline = file.roofline;
    files.push_back(std::move(file));
  }
  if (files.empty()) return Error{ErrorCode::kInvalidArgument, "no file of `tenfold bench load --output` among them"};
  const std::vector<report::Section> sections = report::MakeReport(files, roofline, rules);
  if (flags.markdown_path.empty() && flags.html_path.empty()) fmt::print("{}", report::ToMarkdown(sections));
  if (!flags.markdown_path.empty()) {
    TENFOLD_TRY_STATUS(WriteText("--markdown", flags.markdown_path, report::ToMarkdown(sections)));
  }
  if (!flags.html_path.empty()) TENFOLD_TRY_STATUS(WriteText("--html", flags.html_path, report::ToHtml(sections)));
  return {};
}

}  // namespace

void RegisterReport(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("report", "Tables and pictures of load tests, before and after");
  auto flags = std::make_shared<Flags>();
  command
      ->add_option(
          "results", flags->paths,
          "Files of `tenfold bench load --output`, before first; one of `bench roofline --json` may be among them")
      ->required()
      ->type_name("FILE");
  command->add_option("--markdown", flags->markdown_path, "Write Markdown there (without both flags: to stdout)")
      ->type_name("FILE");
  command->add_option("--html", flags->html_path, "Write one HTML page with pictures there")->type_name("FILE");
  command->add_option("--rules", flags->rules_path, "TOML file with other rules (docs/gate.md)")->type_name("FILE");
  command->callback([flags, exit_code] {
    const Status done = Run(*flags);
    if (!done.ok()) fmt::print(stderr, "tenfold report: {}\n", done.error().message);
    *exit_code = done.ok() ? 0 : 1;
  });
}

}  // namespace tenfold::apps
