// Numbers in the forms that % formatting and str.format share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "jinja/run.h"

namespace tenfold::jinja {

inline constexpr int64_t kMaxPrecision = 100;

// One field: how wide, where the text stands in it, and how a number is written.
struct FieldFormat {
  std::string fill = " ";  // one character
  char align = '\0';       // '<' '>' '^' '=' (fill behind the sign), or by the value's type
  char sign = '-';         // '-': only minus; '+' and ' ' as named
  bool alternate = false;  // "#": 0x and its like in front
  bool zero = false;       // fill with zeros behind the sign
  char grouping = '\0';    // ',' or '_' between thousands
  int64_t width = 0;
  int64_t precision = -1;
  char type = '\0';
};

// The digits of |value| in `base`.
std::string Digits(uint64_t magnitude, int base, bool upper);
// |value| as e, f, g and their upper-case forms write it; precision >= 0.
std::string FloatDigits(double magnitude, char type, int64_t precision, bool alternate);
// Puts a separator between groups of digits of the whole part.
std::string Grouped(const std::string& digits, char separator, size_t group);
// sign + prefix + digits, filled to the field's width.
MarkedText PadNumber(Run& run, const FieldFormat& format, std::string_view sign, std::string_view prefix,
                     std::string_view digits, bool is_data);
MarkedText PadText(Run& run, const FieldFormat& format, const MarkedText& text, char default_align);
// "-", "+", " " or "".
std::string_view SignText(bool negative, char sign);
uint64_t Magnitude(int64_t value);

}  // namespace tenfold::jinja
