// Command line, environment and file to Settings: a flag wins over the environment, that over the file, that over the
// default. Every value is checked against its row of the table, whichever source it came from.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/settings.h"
#include "config/table.h"
#include "config/toml_file.h"

namespace tenfold::config {

enum class Action { kServe, kHelp, kPrintConfig, kPrintReference };
enum class Origin { kDefault, kProfile, kFile, kEnvironment, kFlag };

struct Configuration {
  Action action = Action::kServe;
  Settings settings;
  std::vector<Origin> origins;        // of each row of Table()
  std::vector<std::string> warnings;  // one sentence each: flags taken without effect
};

// `arguments`: what follows `tenfold serve`. `environment`: "NAME=value" as in environ(7); only TENFOLD_ names are
// looked at. Reads the TOML file they name. Errors are one sentence with source, name, value and what is allowed; an
// unknown name comes with the nearest known one. kInvalidArgument: wrong usage, also of the file; else the file cannot
// be read.
Result<Configuration> ParseConfiguration(std::span<const std::string> arguments,
                                         std::span<const std::string> environment);

// Takes what a profile of `tenfold tune` says (entries of ParseToml, `path` for errors), for settings that nothing else
// has set; returns the keys of those it set. An entry that is no setting, or a wrong value, is an error, and then
// nothing is taken.
Result<std::vector<std::string>> ApplyProfile(std::span<const TomlEntry> entries, const std::string& path,
                                              Configuration* configuration);

// The keys of api_key and of api_key_file together, without doubles. Errors name the file.
Result<std::vector<std::string>> AllApiKeys(const Settings& settings);

}  // namespace tenfold::config
