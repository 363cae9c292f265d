#include "config/assign.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace tenfold::config {
namespace {

using List = std::vector<std::string>;

// The value is shown as it was given, unless it is secret, too long to read, or would steer the reader's terminal.
std::string Shown(const Setting& setting, std::string_view text) {
  constexpr size_t kMost = 80;
  if (setting.secret) return "the value";
  std::string shown(text.substr(0, kMost));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return fmt::format("'{}{}'", shown, text.size() > kMost ? "..." : "");
}

Error Wrong(const Setting& setting, std::string_view where, std::string_view text, std::string_view what) {
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("{}: {} is {}; allowed: {}.", where, Shown(setting, text), what, AllowedValues(setting))};
}

std::optional<bool> ParseSwitch(std::string_view text) {
  constexpr std::array<std::string_view, 4> kOn = {"true", "1", "on", "yes"};
  constexpr std::array<std::string_view, 4> kOff = {"false", "0", "off", "no"};
  if (std::find(kOn.begin(), kOn.end(), text) != kOn.end()) return true;
  if (std::find(kOff.begin(), kOff.end(), text) != kOff.end()) return false;
  return std::nullopt;
}

Status CheckText(const Setting& setting, std::string_view where, std::string_view text) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(text.begin(), text.end(), is_control)) {
    return Wrong(setting, where, text, "a text with control characters");
  }
  const auto& choices = setting.choices;
  if (choices.empty() || std::find(choices.begin(), choices.end(), text) != choices.end()) return {};
  return Wrong(setting, where, text, "not known");
}

Status AssignNumber(const Setting& setting, std::string_view where, int64_t number, Settings* settings) {
  if (number < setting.least || number > setting.most) {
    return Wrong(setting, where, fmt::format("{}", number), "out of range");
  }
  settings->*std::get<int64_t Settings::*>(setting.member) = number;
  return {};
}

// "2G" to 2 * 2^30: takes the letter off the text and gives its factor; 1 without one.
int64_t TakeFactor(std::string_view* text) {
  constexpr std::string_view kLetters = "KMGT";
  if (text->size() < 2) return 1;
  const size_t power = kLetters.find(static_cast<char>(text->back() & ~0x20));  // either case
  if (power == std::string_view::npos) return 1;
  text->remove_suffix(1);
  return int64_t{1} << (10 * (power + 1));
}

Status AssignNumberText(const Setting& setting, std::string_view where, std::string_view text, Settings* settings) {
  std::string_view digits = text;
  const int64_t factor = setting.bytes ? TakeFactor(&digits) : 1;
  int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error == std::errc::result_out_of_range) return Wrong(setting, where, text, "out of range");
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return Wrong(setting, where, text, "no whole number");
  }
  if (factor > 1 && (number < 0 || number > setting.most / factor)) return Wrong(setting, where, text, "out of range");
  return AssignNumber(setting, where, number * factor, settings);
}

Status AppendItems(const Setting& setting, std::string_view where, std::string_view text, Settings* settings) {
  List& list = settings->*std::get<List Settings::*>(setting.member);
  TENFOLD_TRY_STATUS(CheckText(setting, where, text));
  while (true) {
    const size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (item.empty()) return Wrong(setting, where, text, "a list with an empty item");
    list.emplace_back(item);
    if (comma == text.size()) return {};
    text.remove_prefix(comma + 1);
  }
}

}  // namespace

void ClearList(const Setting& setting, Settings* settings) {
  if (IsList(setting)) (settings->*std::get<List Settings::*>(setting.member)).clear();
}

Status AssignText(const Setting& setting, std::string_view where, std::string_view text, Settings* settings) {
  if (IsList(setting)) return AppendItems(setting, where, text, settings);
  if (IsSwitch(setting)) {
    const std::optional<bool> on = ParseSwitch(text);
    if (!on) return Wrong(setting, where, text, "neither");
    settings->*std::get<bool Settings::*>(setting.member) = *on;
    return {};
  }
  if (IsNumber(setting)) return AssignNumberText(setting, where, text, settings);
  TENFOLD_TRY_STATUS(CheckText(setting, where, text));
  settings->*std::get<std::string Settings::*>(setting.member) = std::string(text);
  return {};
}

Status AssignToml(const Setting& setting, std::string_view where, const TomlEntry& entry, Settings* settings) {
  const auto wrong_type = [&](std::string_view needed) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{}: this must be {}; allowed: {}.", where, needed, AllowedValues(setting))};
  };
  if (IsSwitch(setting)) {
    const bool* on = std::get_if<bool>(&entry.value);
    if (on == nullptr) return wrong_type("true or false, without quotes");
    settings->*std::get<bool Settings::*>(setting.member) = *on;
    return {};
  }
  if (IsNumber(setting)) {
    const int64_t* number = std::get_if<int64_t>(&entry.value);
    const std::string* size = setting.bytes ? std::get_if<std::string>(&entry.value) : nullptr;
    if (size != nullptr) return AssignNumberText(setting, where, *size, settings);
    if (number == nullptr) return wrong_type("a whole number, without quotes");
    return AssignNumber(setting, where, *number, settings);
  }
  if (IsList(setting)) {
    if (const List* texts = std::get_if<List>(&entry.value)) {
      for (const std::string& text : *texts) TENFOLD_TRY_STATUS(AppendItems(setting, where, text, settings));
      return {};
    }
  }
  const std::string* text = std::get_if<std::string>(&entry.value);
  if (text == nullptr) return wrong_type(IsList(setting) ? "a text or an array of texts" : "a text in quotes");
  return AssignText(setting, where, *text, settings);
}

}  // namespace tenfold::config
