#include "config/parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string_view>

#include "base/nearest_name.h"
#include "config/assign.h"
#include "config/foreign_flags.h"
#include "config/toml_file.h"

namespace tenfold::config {
namespace {

constexpr std::string_view kPrefix = "TENFOLD_";
// TENFOLD_ names that are no settings of the server: the instruction set (kernels/), and what tests and tools use.
constexpr std::array<std::string_view, 5> kOtherVariables = {"TENFOLD_ISA", "TENFOLD_TEST_DATA", "TENFOLD_TOOLS",
                                                             "TENFOLD_BINARY", "TENFOLD_TEST_RESULTS"};
constexpr std::array<std::string_view, 3> kActions = {"--help", "--print-config", "--print-reference"};

Error Usage(std::string message) { return Error{ErrorCode::kInvalidArgument, std::move(message)}; }

std::string Meant(std::string_view name, const std::vector<std::string>& candidates) {
  const std::string nearest = NearestName(name, candidates);
  return nearest.empty() ? "" : fmt::format(" Did you mean {}?", nearest);
}

std::string Cut(std::string_view text) {
  constexpr size_t kMost = 80;
  return std::string(text.substr(0, kMost)) + (text.size() > kMost ? "..." : "");
}

// Reads one source after another into one Configuration; each row remembers which source set it last.
class Parser {
 public:
  Parser() { out_.origins.assign(Table().size(), Origin::kDefault); }

  Status ReadFlags(std::span<const std::string> arguments);
  Status ReadEnvironment(std::span<const std::string> environment);
  Status ReadFile();
  Status Finish();

  Configuration& out() { return out_; }

 private:
  Status ReadFlag(std::span<const std::string> arguments, size_t* at);
  Status ReadForeign(const ForeignFlag& foreign, std::string_view flag, bool attached,
                     std::span<const std::string> arguments, size_t* at);
  Error UnknownFlag(std::string_view flag) const;
  void Mark(const Setting& setting, Origin origin) {
    Origin& known = out_.origins[static_cast<size_t>(&setting - Table().data())];
    if (known != origin) ClearList(setting, &out_.settings);
    known = origin;
  }
  Origin OriginOf(std::string_view key) const {
    return out_.origins[static_cast<size_t>(FindKey(key) - Table().data())];
  }

  Configuration out_;
};

Error Parser::UnknownFlag(std::string_view flag) const {
  if (!flag.starts_with('-')) {
    return Usage(fmt::format("Unexpected argument '{}'; to serve a model file: tenfold serve -m FILE.", Cut(flag)));
  }
  // "-c4096", which other programs take.
  const size_t digits = flag.find_first_of("0123456789");
  if (digits != std::string_view::npos && FindFlag(flag.substr(0, digits))) {
    return Usage(fmt::format("Unknown flag {}. Did you mean {} {}?", Cut(flag), flag.substr(0, digits),
                             Cut(flag.substr(digits))));
  }
  std::vector<std::string> known = AllFlags();
  known.insert(known.end(), kActions.begin(), kActions.end());
  return Usage(fmt::format("Unknown flag {}.{}", Cut(flag), Meant(flag, known)));
}

Status Parser::ReadForeign(const ForeignFlag& foreign, std::string_view flag, bool attached,
                           std::span<const std::string> arguments, size_t* at) {
  if (!foreign.accepted) return Usage(fmt::format("{} is not supported: {}.", flag, foreign.reason));
  const bool more = !attached && *at + 1 < arguments.size();
  if (foreign.argument == Argument::kOne && !attached) {
    if (!more) return Usage(fmt::format("{} needs a value.", flag));
    ++*at;
  } else if (foreign.argument == Argument::kMaybeSwitchWord && more) {
    const std::string& next = arguments[*at + 1];
    if (next == "on" || next == "off" || next == "auto" || next == "0" || next == "1") ++*at;
  }
  out_.warnings.push_back(fmt::format("{} has no effect: {}", flag, foreign.reason));
  return {};
}

Status Parser::ReadFlag(std::span<const std::string> arguments, size_t* at) {
  const std::string_view argument = arguments[*at];
  const size_t equals = argument.starts_with("--") ? argument.find('=') : std::string_view::npos;
  const std::string_view flag = argument.substr(0, equals);
  const bool attached = equals != std::string_view::npos;
  const std::optional<FlagMatch> match = FindFlag(flag);
  if (!match) {
    const ForeignFlag* foreign = FindForeignFlag(flag);
    return foreign != nullptr ? ReadForeign(*foreign, flag, attached, arguments, at) : Status(UnknownFlag(flag));
  }
  const Setting& setting = *match->setting;
  std::string_view value;
  if (attached) {
    if (!match->value) return Usage(fmt::format("{} takes no value.", flag));
    value = argument.substr(equals + 1);
  } else if (IsSwitch(setting)) {
    value = match->value ? "true" : "false";
  } else {
    if (*at + 1 >= arguments.size() || FindFlag(arguments[*at + 1])) {
      return Usage(fmt::format("{} needs a value: {}.", flag, AllowedValues(setting)));
    }
    value = arguments[++*at];
  }
  Mark(setting, Origin::kFlag);
  return AssignText(setting, flag, value, &out_.settings);
}

Status Parser::ReadFlags(std::span<const std::string> arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "-h" || argument == "--help") {
      out_.action = Action::kHelp;
      return {};  // whatever else is wrong, help is what was asked for
    }
    if (argument == "--print-config") {
      out_.action = Action::kPrintConfig;
    } else if (argument == "--print-reference") {
      out_.action = Action::kPrintReference;
    } else {
      TENFOLD_TRY_STATUS(ReadFlag(arguments, &i));
    }
  }
  return {};
}

// What Kubernetes puts into every container beside a service called "tenfold": TENFOLD_PORT=tcp://..., and more.
bool IsServiceLink(std::string_view name, std::string_view value) {
  if (name == "TENFOLD_PORT") return value.starts_with("tcp://") || value.starts_with("udp://");
  if (name.starts_with("TENFOLD_SERVICE_")) return name.find("HOST") != name.npos || name.find("PORT") != name.npos;
  constexpr std::string_view kPort = "TENFOLD_PORT_";
  return name.starts_with(kPort) && name.size() > kPort.size() && std::isdigit(name[kPort.size()]) != 0;
}

Status Parser::ReadEnvironment(std::span<const std::string> environment) {
  std::set<const Setting*> seen;
  for (const std::string& line : environment) {
    const size_t equals = line.find('=');
    if (!line.starts_with(kPrefix) || equals == std::string::npos) continue;
    const std::string_view name = std::string_view(line).substr(0, equals);
    const std::string_view value = std::string_view(line).substr(equals + 1);
    const bool other = std::find(kOtherVariables.begin(), kOtherVariables.end(), name) != kOtherVariables.end();
    if (other || IsServiceLink(name, value)) continue;
    const Setting* found = nullptr;
    std::vector<std::string> names(kOtherVariables.begin(), kOtherVariables.end());
    const auto consider = [&](const Setting& row, std::string_view key) {
      names.push_back(EnvironmentName(key));
      if (names.back() == name) found = &row;
    };
    for (const Setting& row : Table()) {
      consider(row, row.key);
      for (const std::string_view key : row.other_keys) consider(row, key);
    }
    if (found == nullptr)
      return Usage(fmt::format("Unknown setting {} in the environment.{}", Cut(name), Meant(name, names)));
    if (value.empty()) continue;  // how shells and composed containers say "not set"
    const std::string where = fmt::format("environment {}", name);
    if (!seen.insert(found).second) return Usage(fmt::format("{}: {} is set twice, by two names.", where, found->key));
    if (OriginOf(found->key) == Origin::kFlag) {
      Settings checked;  // a wrong value is an error even where a flag wins
      TENFOLD_TRY_STATUS(AssignText(*found, where, value, &checked));
      continue;
    }
    Mark(*found, Origin::kEnvironment);
    TENFOLD_TRY_STATUS(AssignText(*found, where, value, &out_.settings));
  }
  return {};
}

Status Parser::ReadFile() {
  const std::string path = out_.settings.config;
  if (path.empty()) return {};
  Result<std::string> text = ReadTextFile(path);
  if (!text.ok()) return Error{text.error().code, "config: " + text.error().message};
  TENFOLD_TRY(const std::vector<TomlEntry> entries, ParseToml(*text, path));
  std::set<const Setting*> seen;
  for (const TomlEntry& entry : entries) {
    const std::string where = fmt::format("{}:{}: {}", path, entry.line, Cut(entry.key));
    const Setting* setting = FindKey(entry.key);
    if (setting == nullptr || !setting->in_file) {
      std::vector<std::string> keys;
      for (const Setting& row : Table()) {
        if (!row.in_file) continue;
        keys.emplace_back(row.key);
        keys.insert(keys.end(), row.other_keys.begin(), row.other_keys.end());
      }
      const std::string_view what = setting == nullptr ? "is no setting." : "cannot stand in a file.";
      return Usage(fmt::format("{} {}{}", where, what, setting == nullptr ? Meant(entry.key, keys) : ""));
    }
    if (!seen.insert(setting).second)
      return Usage(fmt::format("{}: {} is set twice, by two names.", where, setting->key));
    Settings checked;
    const bool wins = OriginOf(setting->key) == Origin::kDefault;
    if (wins) Mark(*setting, Origin::kFile);
    TENFOLD_TRY_STATUS(AssignToml(*setting, where, entry, wins ? &out_.settings : &checked));
  }
  return {};
}

// "https://host:port": what a browser sends as Origin has neither path nor a slash at its end.
Status CheckOrigin(std::string_view origin) {
  const size_t scheme = origin.find("://");
  const bool well = scheme != std::string_view::npos && scheme > 0 && origin.size() > scheme + 3 &&
                    origin.find_first_of("/ ?#*", scheme + 3) == std::string_view::npos;
  if (well || origin == "*") return {};
  return Usage(
      fmt::format("cors_origin: '{}' is no origin; allowed: * or scheme://host[:port] without a path.", Cut(origin)));
}

Status Parser::Finish() {
  Settings& s = out_.settings;
  if (s.verbose && OriginOf("verbose") >= OriginOf("log_level")) s.log_level = "debug";
  if (s.tls_cert.empty() != s.tls_key.empty()) {
    return Usage(fmt::format("{} is set but {} is not: HTTPS needs both.", s.tls_cert.empty() ? "tls_key" : "tls_cert",
                             s.tls_cert.empty() ? "tls_cert" : "tls_key"));
  }
  for (const std::string& origin : s.cors_origin) TENFOLD_TRY_STATUS(CheckOrigin(origin));
  if (s.gpu_layers != 0) {
    out_.warnings.push_back(
        fmt::format("gpu_layers is {}, but this server computes on the CPU only: 0 layers are on a GPU", s.gpu_layers));
  }
  return {};
}

}  // namespace

// The sources are read from the strongest to the weakest, so that the file's name is known when the file is due; what a
// stronger one has set is checked but not taken again.
Result<Configuration> ParseConfiguration(std::span<const std::string> arguments,
                                         std::span<const std::string> environment) {
  Parser parser;
  TENFOLD_TRY_STATUS(parser.ReadFlags(arguments));
  const Action action = parser.out().action;
  if (action == Action::kHelp || action == Action::kPrintReference) return std::move(parser.out());
  TENFOLD_TRY_STATUS(parser.ReadEnvironment(environment));
  TENFOLD_TRY_STATUS(parser.ReadFile());
  TENFOLD_TRY_STATUS(parser.Finish());
  return std::move(parser.out());
}

Result<std::vector<std::string>> ApplyProfile(std::span<const TomlEntry> entries, const std::string& path,
                                              Configuration* configuration) {
  Configuration tuned = *configuration;
  std::vector<std::string> taken;
  for (const TomlEntry& entry : entries) {
    const std::string where = fmt::format("{}:{}: {}", path, entry.line, Cut(entry.key));
    const Setting* setting = FindKey(entry.key);
    if (setting == nullptr || setting->group == Group::kFile) return Usage(fmt::format("{} cannot be tuned.", where));
    Origin& origin = tuned.origins[static_cast<size_t>(setting - Table().data())];
    Settings checked;
    const bool wins = origin == Origin::kDefault;
    TENFOLD_TRY_STATUS(AssignToml(*setting, where, entry, wins ? &tuned.settings : &checked));
    if (!wins) continue;
    origin = Origin::kProfile;
    taken.emplace_back(setting->key);
  }
  *configuration = std::move(tuned);
  return taken;
}

Result<std::vector<std::string>> AllApiKeys(const Settings& settings) {
  std::vector<std::string> keys = settings.api_key;
  if (!settings.api_key_file.empty()) {
    Result<std::string> read = ReadTextFile(settings.api_key_file);
    if (!read.ok()) return Error{read.error().code, "api_key_file: " + read.error().message};
    const std::string& text = *read;
    const size_t before = keys.size();
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      std::string_view line = std::string_view(text).substr(begin, end - begin);
      while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back())) != 0) line.remove_suffix(1);
      while (!line.empty() && std::isspace(static_cast<unsigned char>(line.front())) != 0) line.remove_prefix(1);
      if (!line.empty() && line.front() != '#') keys.emplace_back(line);
      begin = end + 1;
    }
    // An empty file would silently leave the server open to everybody.
    if (keys.size() == before) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("api_key_file: {} holds no key; write one a line.", settings.api_key_file)};
    }
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

}  // namespace tenfold::config
