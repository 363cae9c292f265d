#include "jinja/format_number.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "jinja/utf8.h"

namespace tenfold::jinja {

uint64_t Magnitude(int64_t value) {
  return value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
}

std::string_view SignText(bool negative, char sign) {
  if (negative) return "-";
  return sign == '+' ? "+" : sign == ' ' ? " " : "";
}

std::string Digits(uint64_t magnitude, int base, bool upper) {
  const char* kDigits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string out;
  do {
    out += kDigits[magnitude % static_cast<uint64_t>(base)];
    magnitude /= static_cast<uint64_t>(base);
  } while (magnitude > 0);
  std::reverse(out.begin(), out.end());
  return out;
}

std::string FloatDigits(double magnitude, char type, int64_t precision, bool alternate) {
  const bool upper = type == 'E' || type == 'F' || type == 'G';
  if (!std::isfinite(magnitude)) return std::isnan(magnitude) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf");
  const std::string form = std::string(alternate ? "%#.*" : "%.*") + type;
  char buffer[512];  // 309 digits, a point, kMaxPrecision digits
  const int size = std::snprintf(buffer, sizeof(buffer), form.c_str(), static_cast<int>(precision), magnitude);
  return {buffer, static_cast<size_t>(std::clamp(size, 0, static_cast<int>(sizeof(buffer)) - 1))};
}

std::string Grouped(const std::string& digits, char separator, size_t group) {
  if (separator == '\0') return digits;
  const size_t whole = std::min(digits.find_first_not_of("0123456789abcdefABCDEF"), digits.size());
  std::string out;
  for (size_t i = 0; i < whole; ++i) {
    if (i > 0 && (whole - i) % group == 0) out += separator;
    out += digits[i];
  }
  return out + digits.substr(whole);
}

MarkedText PadNumber(Run& run, const FieldFormat& format, std::string_view sign, std::string_view prefix,
                     std::string_view digits, bool is_data) {
  const bool inside = format.align == '=' || (format.align == '\0' && format.zero);
  if (!inside) {
    MarkedText whole(sign, is_data);
    whole.Append(prefix, is_data);
    whole.Append(digits, is_data);
    return PadText(run, format, whole, '>');
  }
  const int64_t missing = format.width - static_cast<int64_t>(sign.size() + prefix.size() + digits.size());
  if (missing > 0 && !run.Reserve(static_cast<uint64_t>(missing) * format.fill.size())) return {};
  MarkedText out(sign, is_data);
  out.Append(prefix, is_data);
  for (int64_t i = 0; i < missing; ++i) out.Append(format.align == '\0' ? "0" : format.fill, is_data);
  out.Append(digits, is_data);
  return out;
}

MarkedText PadText(Run& run, const FieldFormat& format, const MarkedText& text, char default_align) {
  const int64_t missing = format.width - static_cast<int64_t>(CountCharacters(text.bytes()));
  if (missing <= 0) return text;
  if (!run.Reserve(static_cast<uint64_t>(missing) * format.fill.size() + text.size())) return {};
  const char align = format.align == '\0' || format.align == '=' ? default_align : format.align;
  const int64_t left = align == '>' ? missing : align == '^' ? missing / 2 : 0;
  MarkedText out;
  for (int64_t i = 0; i < left; ++i) out.Append(format.fill, false);
  out.Append(text);
  for (int64_t i = left; i < missing; ++i) out.Append(format.fill, false);
  return out;
}

}  // namespace tenfold::jinja
