// The settings file as plain values. toml++ is seen by toml_file.cc alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace tenfold::config {

struct TomlEntry {
  std::string key;
  int line = 0;
  std::variant<std::string, int64_t, bool, std::vector<std::string>> value;
};

// The top level's entries in the order of the file. Errors name `path` and line: no TOML, a section, or a value that no
// setting can have (a float, a date, an array of anything but texts). At most 1 MiB. Pure, any thread.
Result<std::vector<TomlEntry>> ParseToml(std::string_view text, const std::string& path);

// A text file of at most 1 MiB. Errors name the path and the reason.
Result<std::string> ReadTextFile(const std::string& path);

}  // namespace tenfold::config
