#include "base/log_format.h"

#include <cmath>
#include <cstdio>

namespace tenfold {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Bytes of the UTF-8 character that `text` begins with, 0 where it begins with none (Unicode 15, table 3-7).
size_t CharacterBytes(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto between = [&](size_t i, unsigned low, unsigned high) { return byte(i) >= low && byte(i) <= high; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return between(1, 0x80, 0xBF) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool second = between(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF);
    return second && between(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool second = between(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF);
    return second && between(2, 0x80, 0xBF) && between(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

// The control characters of ASCII and of Latin-1 (which some terminals obey in UTF-8 too).
bool IsControl(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7F;
  return character.size() == 2 && first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
}

// Both forms write a control character as \u00XX, which JSON reads back. `escape`: further characters that get a '\'.
void AppendSafe(std::string_view text, std::string_view escape, std::string* out) {
  while (!text.empty()) {
    const size_t bytes = CharacterBytes(text);
    const std::string_view character = text.substr(0, bytes);
    if (bytes == 0) {
      *out += kReplacement;
    } else if (IsControl(character)) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(character.back())));
      *out += code;
    } else {
      if (bytes == 1 && escape.find(character[0]) != std::string_view::npos) *out += '\\';
      *out += character;
    }
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
}

void AppendQuoted(std::string_view text, std::string* out) {
  *out += '"';
  AppendSafe(text, "\"\\", out);
  *out += '"';
}

// Three digits after the point are a microsecond of a millisecond; JSON has no infinity.
std::string NumberText(double value) {
  if (!std::isfinite(value)) return "null";
  char text[64];
  std::snprintf(text, sizeof text, "%.3f", std::fabs(value) < 1e15 ? value : 0.0);
  return text;
}

std::string_view ColourOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "\x1b[2m";
    case LogLevel::kInfo:
      return "\x1b[32m";
    case LogLevel::kWarn:
      return "\x1b[33m";
    case LogLevel::kError:
      return "\x1b[31m";
  }
  return "";
}

void AppendHumanValue(const LogField& field, std::string* out) {
  if (const auto* number = std::get_if<int64_t>(&field.value)) {
    *out += std::to_string(*number);
  } else if (const auto* real = std::get_if<double>(&field.value)) {
    *out += NumberText(*real);
  } else {
    const std::string_view text = std::get<std::string_view>(field.value);
    const bool plain = !text.empty() && text.find_first_of(" \"=\\") == std::string_view::npos;
    plain ? AppendSafe(text, "", out) : AppendQuoted(text, out);
  }
}

}  // namespace

std::string_view NameOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

std::string HumanLogLine(LogLevel level, std::string_view time, std::string_view line, std::span<const LogField> fields,
                         bool colour) {
  std::string out(time);
  out += ' ';
  if (colour) out += ColourOf(level);
  out += NameOf(level);
  if (colour) out += "\x1b[0m";
  out += ' ';
  AppendSafe(line, "", &out);
  for (const LogField& field : fields) {
    out += ' ';
    out += field.key;
    out += '=';
    AppendHumanValue(field, &out);
  }
  return out;
}

std::string JsonLogLine(LogLevel level, std::string_view time, std::string_view line,
                        std::span<const LogField> fields) {
  std::string out = "{\"time\":";
  AppendQuoted(time, &out);
  out += ",\"level\":";
  AppendQuoted(NameOf(level), &out);
  out += ",\"message\":";
  AppendQuoted(line, &out);
  for (const LogField& field : fields) {
    out += ',';
    AppendQuoted(field.key, &out);
    out += ':';
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      AppendQuoted(*text, &out);
    } else {
      AppendHumanValue(field, &out);
    }
  }
  return out + "}";
}

}  // namespace tenfold
