// The table in words: `serve --help`, a commented TOML file, and docs/configuration.md.
#pragma once

#include <string>

#include "config/parse.h"

namespace tenfold::config {

// Grouped, at most 120 columns.
std::string HelpText();

// A TOML file that `--config` takes back: what was set stands as it is, defaults stand as comments. Secrets are left
// out and said to be.
std::string ConfigFileText(const Configuration& configuration);

// docs/configuration.md, which a lint compares with this.
std::string ReferenceText();

}  // namespace tenfold::config
