#include "jinja/string_literal.h"

#include <cstdint>

#include "jinja/utf8.h"

namespace tenfold::jinja {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// `digits` hex digits from literal[at], or -1.
int64_t Hex(std::string_view literal, size_t at, size_t digits) {
  if (at + digits > literal.size()) return -1;
  int64_t value = 0;
  for (size_t i = 0; i < digits; ++i) {
    const int digit = HexDigit(literal[at + i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

// The character of \xHH, \uHHHH (also as a surrogate pair) or \UHHHHHHHH at literal[at]; moves `at` behind it.
const char* HexEscape(std::string_view literal, size_t* at, std::string* out) {
  const char kind = literal[*at];
  const size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
  int64_t value = Hex(literal, *at + 1, digits);
  if (value < 0) return "a \\x, \\u or \\U escape has too few hex digits";
  *at += 1 + digits;
  if (value >= 0xD800 && value < 0xDC00 && kind == 'u' && literal.substr(*at).starts_with("\\u")) {
    const int64_t low = Hex(literal, *at + 2, 4);
    if (low >= 0xDC00 && low < 0xE000) {
      value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
      *at += 6;
    }
  }
  if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return "an escape names no Unicode character";
  AppendUtf8(*out, static_cast<char32_t>(value));
  return nullptr;
}

}  // namespace

const char* UnescapeLiteral(std::string_view literal, std::string* out) {
  static constexpr std::string_view kLetters = "abfnrtv\\'\"";
  static constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";
  for (size_t at = 0; at < literal.size();) {
    if (literal[at] != '\\') {
      *out += literal[at++];
      continue;
    }
    const char c = literal[++at];  // the lexer saw a character behind every backslash
    if (const size_t letter = kLetters.find(c); letter != std::string_view::npos) {
      *out += kMeanings[letter];
      ++at;
    } else if (c == '\n') {
      ++at;
    } else if (c >= '0' && c <= '7') {
      char32_t value = 0;
      for (int i = 0; i < 3 && at < literal.size() && literal[at] >= '0' && literal[at] <= '7'; ++i, ++at) {
        value = value * 8 + static_cast<char32_t>(literal[at] - '0');
      }
      AppendUtf8(*out, value);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      if (const char* problem = HexEscape(literal, &at, out)) return problem;
    } else if (c == 'N') {
      return "\\N{...} escapes are not supported; write the character itself";
    } else {
      *out += '\\';  // an unknown escape stays as it is written
    }
  }
  return nullptr;
}

}  // namespace tenfold::jinja
