#include "config/toml_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace tenfold::config {
namespace {

constexpr size_t kMostBytes = 1 << 20;

Error At(const std::string& path, int line, std::string_view what) {
  return Error{ErrorCode::kInvalidArgument, fmt::format("{}:{}: {}", path, line, what)};
}

int LineOf(const toml::node& node) { return static_cast<int>(node.source().begin.line); }

Result<TomlEntry> ToEntry(const std::string& path, std::string_view key, const toml::node& node) {
  TomlEntry entry{std::string(key), LineOf(node), {}};
  if (const auto* text = node.as_string()) {
    entry.value = text->get();
  } else if (const auto* number = node.as_integer()) {
    entry.value = number->get();
  } else if (const auto* on = node.as_boolean()) {
    entry.value = on->get();
  } else if (const auto* array = node.as_array()) {
    std::vector<std::string> texts;
    for (const toml::node& item : *array) {
      const auto* text = item.as_string();
      if (text == nullptr) return At(path, LineOf(item), fmt::format("every item of {} must be a text", key));
      texts.push_back(text->get());
    }
    entry.value = std::move(texts);
  } else if (node.is_table()) {
    return At(path, entry.line, fmt::format("'{}' is a section or table; settings stand at the top of the file", key));
  } else {
    return At(path, entry.line,
              fmt::format("{} is a {}, which no setting is", key,
                          node.is_floating_point() ? "number with a fraction" : "date or time"));
  }
  return entry;
}

}  // namespace

Result<std::string> ReadTextFile(const std::string& path) {
  // Asked first, because opening a pipe would wait for somebody to write.
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return Error{ErrorCode::kNotFound, fmt::format("cannot read {}: {}", path, std::strerror(errno))};
  }
  if (!S_ISREG(info.st_mode)) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("cannot read {}: it is not a regular file", path)};
  }
  if (static_cast<uint64_t>(info.st_size) > kMostBytes) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("cannot read {}: it is larger than 1 MiB", path)};
  }
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) {
    return Error{ErrorCode::kIo, fmt::format("cannot read {}: {}", path, std::strerror(errno))};
  }
  std::string text(static_cast<size_t>(info.st_size), '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (file.bad()) return Error{ErrorCode::kIo, fmt::format("cannot read {}: {}", path, std::strerror(errno))};
  return text;
}

Result<std::vector<TomlEntry>> ParseToml(std::string_view text, const std::string& path) {
  if (text.size() > kMostBytes) return At(path, 1, "the file is larger than 1 MiB");
  toml::table table;
  try {  // the packaged library reports errors by throwing; they end here
    table = toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    return At(path, static_cast<int>(error.source().begin.line), error.description());
  }
  std::vector<TomlEntry> entries;
  for (const auto& [key, node] : table) {
    TENFOLD_TRY(TomlEntry entry, ToEntry(path, key.str(), node));
    entries.push_back(std::move(entry));
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const TomlEntry& a, const TomlEntry& b) { return a.line < b.line; });
  return entries;
}

}  // namespace tenfold::config
