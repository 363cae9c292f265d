// The one table of settings. Flags, environment variables, keys of the TOML file, `--help`, docs/configuration.md and
// every check of a value come from its rows: a setting that is not here does not exist.
//
// To add a setting: a member in settings.h, a row in table.cc, its use in apps/serve.cc, and
// `tenfold serve --print-reference > docs/configuration.md`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/settings.h"

namespace tenfold::config {

enum class Group { kModel, kCompute, kServer, kAccess, kLimits, kLog, kFile };
std::string_view TitleOf(Group group);

using Member =
    std::variant<std::string Settings::*, int64_t Settings::*, bool Settings::*, std::vector<std::string> Settings::*>;

struct Setting {
  std::string_view key;  // in the file; TENFOLD_ and the key in capitals in the environment
  Group group = Group::kModel;
  Member member;
  // Spellings on the command line. A switch (bool) also has --no-X for each --X.
  std::vector<std::string_view> flags;
  std::string_view help;             // one sentence without its full stop's line end
  std::string_view value_name = {};  // FILE, N; "" for a switch
  int64_t least = 0;                 // of a number, inclusive
  int64_t most = 0;
  bool bytes = false;                             // the number may end in K, M, G or T: 2G is 2147483648
  std::vector<std::string_view> choices = {};     // of a text; empty: anything
  std::vector<std::string_view> other_keys = {};  // more names in the file and the environment
  bool secret = false;                            // never shown
  bool in_file = true;                            // may stand in the TOML file
};

std::span<const Setting> Table();

// "TENFOLD_CTX_SIZE" for "ctx_size".
std::string EnvironmentName(std::string_view key);

// The row with this key or other key; null without one.
const Setting* FindKey(std::string_view key);

// The row with this spelling. `value`: what a switch becomes by it, true or, for --no-X, false.
struct FlagMatch {
  const Setting* setting = nullptr;
  bool value = true;
};
std::optional<FlagMatch> FindFlag(std::string_view flag);

// Every spelling there is, --no-X included, in the order of the table.
std::vector<std::string> AllFlags();

// "0 to 65535", "background or lazy", "true or false", "text": what a value may be, for people.
std::string AllowedValues(const Setting& setting);

// A value as text: "8080", "true", "a,b".
std::string ValueText(const Settings& settings, const Setting& setting);

bool IsSwitch(const Setting& setting);
bool IsNumber(const Setting& setting);
bool IsList(const Setting& setting);

}  // namespace tenfold::config
