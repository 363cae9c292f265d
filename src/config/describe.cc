#include "config/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>
#include <optional>

#include "config/foreign_flags.h"

namespace tenfold::config {
namespace {

constexpr size_t kHelpColumn = 38;
constexpr size_t kMostColumns = 120;

// "text" wrapped at blanks to the help column's width; the lines after the first are indented to it.
std::string Wrapped(std::string_view text) {
  std::string out;
  size_t column = kHelpColumn;
  while (!text.empty()) {
    const size_t blank = std::min(text.find(' '), text.size());
    if (column > kHelpColumn && column + 1 + blank > kMostColumns) {
      out += "\n" + std::string(kHelpColumn, ' ');
      column = kHelpColumn;
    } else if (column > kHelpColumn) {
      out += ' ';
      ++column;
    }
    out += text.substr(0, blank);
    column += blank;
    text.remove_prefix(std::min(blank + 1, text.size()));
  }
  return out;
}

std::string Spellings(const Setting& setting, std::string_view separator) {
  std::vector<std::string> flags(setting.flags.begin(), setting.flags.end());
  if (IsSwitch(setting)) {
    for (const std::string_view flag : setting.flags) {
      if (flag.starts_with("--")) flags.push_back("--no-" + std::string(flag.substr(2)));
    }
  }
  return fmt::format("{}", fmt::join(flags, separator));
}

std::string DefaultText(const Setting& setting) { return ValueText(Settings{}, setting); }

// "(background or lazy; default background)", "" where nothing is to be said.
std::string Limits(const Setting& setting) {
  const std::string value = DefaultText(setting);
  if (IsSwitch(setting)) return value == "true" ? " (on by default)" : "";
  const bool free_text = !IsNumber(setting) && setting.choices.empty();
  if (free_text) return value.empty() ? "" : fmt::format(" (default {})", value);
  return fmt::format(" ({}; default {})", AllowedValues(setting), value);
}

std::string HelpLine(const Setting& setting) {
  std::string line = "  " + Spellings(setting, ", ");
  if (!setting.value_name.empty()) line += fmt::format(" {}", setting.value_name);
  line += line.size() + 2 > kHelpColumn ? "\n" + std::string(kHelpColumn, ' ')
                                        : std::string(kHelpColumn - line.size(), ' ');
  return line + Wrapped(fmt::format("{}{}", setting.help, Limits(setting))) + "\n";
}

std::string ActionLine(std::string_view flag, std::string_view help) {
  return fmt::format("  {:<{}}{}\n", flag, kHelpColumn - 2, Wrapped(help));
}

std::string TomlText(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;  // control characters cannot be in a setting
  }
  return out + "\"";
}

std::string TomlValue(const Settings& settings, const Setting& setting) {
  if (IsSwitch(setting) || IsNumber(setting)) return ValueText(settings, setting);
  if (!IsList(setting)) return TomlText(ValueText(settings, setting));
  std::vector<std::string> items;
  for (const auto& item : settings.*std::get<std::vector<std::string> Settings::*>(setting.member)) {
    items.push_back(TomlText(item));
  }
  return fmt::format("[{}]", fmt::join(items, ", "));
}

std::string Code(std::string_view text) { return fmt::format("`{}`", text); }

std::string ReferenceRow(const Setting& setting) {
  std::string keys = setting.in_file ? Code(setting.key) : "";
  for (const std::string_view key : setting.other_keys) keys += ", " + Code(key);
  const std::string value = DefaultText(setting);
  return fmt::format("| {} | `{}` | {} | {} | {}. |\n", keys, Spellings(setting, "` `"), AllowedValues(setting),
                     value.empty() ? "" : Code(value), setting.help);
}

}  // namespace

std::string HelpText() {
  std::string out =
      "Usage: tenfold serve [-m FILE.gguf] [settings]\n"
      "Serves a model to OpenAI clients. It answers at once and loads the model behind that.\n\n"
      "Each setting is also a key of the --config file and a variable of the environment: --ctx-size is ctx_size "
      "there\n"
      "and TENFOLD_CTX_SIZE here. A flag wins over the environment, that over the file, that over a profile of "
      "`tenfold tune`.\n";
  std::optional<Group> group;
  for (const Setting& setting : Table()) {
    if (setting.group != group) out += fmt::format("\n{}\n", TitleOf(setting.group));
    group = setting.group;
    out += HelpLine(setting);
  }
  out += ActionLine("--print-config", "Write a commented settings file with what is set now, and end");
  out += ActionLine("--print-reference", "Write the table of all settings, docs/configuration.md, and end");
  return out + ActionLine("-h, --help", "This");
}

std::string ConfigFileText(const Configuration& configuration) {
  std::string out =
      "# Settings of `tenfold serve`, read with --config FILE. Lines that begin with # hold the defaults.\n";
  std::optional<Group> group;
  for (size_t i = 0; i < Table().size(); ++i) {
    const Setting& setting = Table()[i];
    if (!setting.in_file) continue;
    if (setting.group != group) out += fmt::format("\n# ---- {} ----\n", TitleOf(setting.group));
    group = setting.group;
    const bool set = configuration.origins[i] != Origin::kDefault;
    const auto to = std::back_inserter(out);
    fmt::format_to(to, "\n# {}{}.\n", setting.help, Limits(setting));
    if (setting.secret && set) {
      fmt::format_to(to, "# {} is set, but it is secret and not written here.\n", setting.key);
    } else {
      fmt::format_to(to, "{}{} = {}\n", set ? "" : "# ", setting.key, TomlValue(configuration.settings, setting));
    }
  }
  return out;
}

std::string ReferenceText() {
  std::string out =
      "# Settings of `tenfold serve`\n\n"
      "Written by `tenfold serve --print-reference` from the table in `src/config/table.cc`; a lint compares the "
      "two.\n\n"
      "A setting may come from a flag, from the environment (`TENFOLD_` and the key in capitals: `TENFOLD_CTX_SIZE`) "
      "or\n"
      "from the TOML file that `--config FILE` or `TENFOLD_CONFIG` names (the key at the top of the file:\n"
      "`ctx_size = 4096`). A flag wins over the environment, the environment over the file, the file over a "
      "profile\n"
      "that `tenfold tune` wrote for this machine and model (`profile` below), that over the default.\n"
      "Unknown names are refused with the nearest known one. A later flag replaces an earlier one; lists are written\n"
      "with commas, by repeating the flag, or as an array in the file, and a stronger source replaces the whole list.\n"
      "An empty variable counts as not set. `tenfold serve --print-config` writes a commented file with what is set.\n";
  std::optional<Group> group;
  for (const Setting& setting : Table()) {
    if (setting.group != group) {
      out += fmt::format("\n## {}\n\n| key | flag | allowed | default | meaning |\n|---|---|---|---|---|\n",
                         TitleOf(setting.group));
    }
    group = setting.group;
    out += ReferenceRow(setting);
  }
  out +=
      "\n`TENFOLD_ISA` (scalar, avx2, avxvnni or avx512vnni) forces an instruction set; it is for tests and has no "
      "flag.\n"
      "\n## Flags of llama-server\n\nThose above have its spellings. Of the others these are taken with a warning:\n\n";
  const auto list = [&out](bool accepted) {
    for (const ForeignFlag& flag : ForeignFlags()) {
      if (flag.accepted != accepted) continue;
      out += fmt::format("- `{}`: {}.\n", fmt::join(flag.flags, "` `"), flag.reason);
    }
  };
  list(true);
  out += "\nand these are refused, because a script that needs them would go wrong without:\n\n";
  list(false);
  return out;
}

}  // namespace tenfold::config
