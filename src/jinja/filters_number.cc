// Filters whose result is a number.
#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "jinja/evaluator.h"
#include "jinja/filters.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/text_search.h"

namespace tenfold::jinja {
namespace {

bool Given(const FilterCall& c, size_t i) { return !c.arguments[i].Is(Kind::kMissing); }

// Digits as Python's int() and float() take them: white space around, single underscores between digits.
std::optional<std::string> CleanDigits(std::string_view text) {
  const std::string trimmed = std::move(Stripped(MarkedText(text, false), End::kBoth)).TakeBytes();
  std::string out;
  for (size_t i = 0; i < trimmed.size(); ++i) {
    if (trimmed[i] != '_') {
      out += trimmed[i];
      continue;
    }
    const auto is_alnum = [&](size_t at) {
      return at < trimmed.size() && std::isalnum(static_cast<uint8_t>(trimmed[at]));
    };
    if (i == 0 || !is_alnum(i - 1) || !is_alnum(i + 1)) return std::nullopt;
  }
  return out;
}

std::optional<double> ParseFloat(std::string_view text) {
  const std::optional<std::string> digits = CleanDigits(text);
  if (!digits || digits->empty()) return std::nullopt;
  // strtod reads more than Python does: hex floats and "nan(...)".
  for (const char c : *digits) {
    if (c == 'x' || c == 'X' || c == '(') return std::nullopt;
  }
  char* end = nullptr;
  const double value = std::strtod(digits->c_str(), &end);
  if (end != digits->c_str() + digits->size()) return std::nullopt;
  return value;
}

enum class IntegerOutcome { kRead, kNone, kTooLarge };
IntegerOutcome ParseInteger(std::string_view text, int64_t base, int64_t* out) {
  std::optional<std::string> digits = CleanDigits(text);
  if (!digits || digits->empty()) return IntegerOutcome::kNone;
  const bool negative = digits->starts_with('-');
  if (negative || digits->starts_with('+')) digits->erase(0, 1);
  const auto prefix = [&](char letter, int64_t of_base) {
    if (base != of_base && base != 0) return;
    if (digits->size() > 2 && (*digits)[0] == '0' && ((*digits)[1] | 0x20) == letter) {
      digits->erase(0, 2);
      base = of_base;
    }
  };
  prefix('x', 16);
  prefix('o', 8);
  prefix('b', 2);
  if (base == 0) base = 10;
  if (digits->empty() || !std::isalnum(static_cast<uint8_t>((*digits)[0]))) return IntegerOutcome::kNone;
  uint64_t magnitude = 0;
  const char* const digits_end = digits->data() + digits->size();
  const auto [end, code] = std::from_chars(digits->data(), digits_end, magnitude, static_cast<int>(base));
  if (end != digits_end) return IntegerOutcome::kNone;
  const uint64_t most = (uint64_t{1} << 63) - (negative ? 0 : 1);
  if (code == std::errc::result_out_of_range || (code == std::errc() && magnitude > most)) {
    return IntegerOutcome::kTooLarge;
  }
  *out = static_cast<int64_t>(negative ? 0 - magnitude : magnitude);
  return code == std::errc() ? IntegerOutcome::kRead : IntegerOutcome::kNone;
}

Value FromDouble(const FilterCall& c, double number, bool is_data, const Value& otherwise) {
  if (std::isnan(number)) return otherwise;
  if (!(std::abs(number) < 9.2e18)) return c.run.Fail("int: the number does not fit 64 bits");
  return Value::Int(static_cast<int64_t>(number), is_data);
}

Value ToInteger(const FilterCall& c) {
  const Value otherwise = Given(c, 0) ? c.arguments[0] : Value::Int(0);
  const Value& v = c.subject;
  if (v.Is(Kind::kUndefined)) return c.run.Fail(WhyUndefined(v));
  if (v.IsInteger()) return Value::Int(v.AsInteger(), v.is_data);
  if (v.Is(Kind::kFloat)) return FromDouble(c, v.number, v.is_data, otherwise);
  if (!v.Is(Kind::kText)) return otherwise;
  int64_t base = 10;
  if (Given(c, 1)) {
    if (!c.arguments[1].IsInteger()) return otherwise;
    base = c.arguments[1].AsInteger();
  }
  int64_t integer = 0;
  const bool is_data = v.text->marked.has_data();
  const IntegerOutcome outcome =
      base == 0 || (base >= 2 && base <= 36) ? ParseInteger(v.text->bytes(), base, &integer) : IntegerOutcome::kNone;
  if (outcome == IntegerOutcome::kRead) return Value::Int(integer, is_data);
  if (outcome == IntegerOutcome::kTooLarge) return c.run.Fail("int: the number does not fit 64 bits");
  const std::optional<double> number = ParseFloat(v.text->bytes());
  if (!number || std::isinf(*number)) return otherwise;
  return FromDouble(c, *number, is_data, otherwise);
}

Value ToFloat(const FilterCall& c) {
  const Value& v = c.subject;
  if (v.Is(Kind::kUndefined)) return c.run.Fail(WhyUndefined(v));
  if (v.IsNumber()) return Value::Float(v.AsDouble(), v.is_data);
  const std::optional<double> number = v.Is(Kind::kText) ? ParseFloat(v.text->bytes()) : std::nullopt;
  if (number) return Value::Float(*number, v.text->marked.has_data());
  return Given(c, 0) ? c.arguments[0] : Value::Float(0);
}

Value Abs(const FilterCall& c) {
  const Value& v = c.subject;
  if (v.Is(Kind::kFloat)) return Value::Float(std::abs(v.number), v.is_data);
  if (!v.IsInteger()) {
    return c.run.Fail(v.Is(Kind::kUndefined) ? WhyUndefined(v) : fmt::format("abs does not work on {}", TypeName(v)));
  }
  return v.AsInteger() < 0 ? Negate(c.run, v) : Value::Int(v.AsInteger(), v.is_data);
}

// Half to even, on the number's exact value, as Python's round(): by way of its decimal digits.
double RoundedAt(double number, int64_t precision) {
  if (!std::isfinite(number) || precision > 300) return number;
  if (precision >= 0) {
    char buffer[700];
    std::snprintf(buffer, sizeof(buffer), "%.*f", static_cast<int>(precision), number);
    return std::strtod(buffer, nullptr);
  }
  if (precision < -300) return std::copysign(0.0, number);
  const double scale = std::pow(10.0, static_cast<double>(-precision));
  return std::nearbyint(number / scale) * scale;
}

Value Round(const FilterCall& c) {
  const Value& v = c.subject;
  int64_t precision = 0;
  if (Given(c, 0)) {
    if (!c.arguments[0].IsInteger()) return c.run.Fail("round: the precision must be an integer");
    precision = c.arguments[0].AsInteger();
  }
  std::string method = "common";
  if (Given(c, 1)) method = std::move(ToText(c.run, c.arguments[1])).TakeBytes();
  if (method != "common" && method != "ceil" && method != "floor") {
    return c.run.Fail("round: the method must be common, ceil or floor");
  }
  if (!v.IsNumber()) {
    return c.run.Fail(v.Is(Kind::kUndefined) ? WhyUndefined(v) : fmt::format("round does not work on {}", TypeName(v)));
  }
  if (method == "common") {
    if (v.Is(Kind::kFloat)) return Value::Float(RoundedAt(v.number, precision), v.is_data);
    if (precision >= 0) return Value::Int(v.AsInteger(), v.is_data);
    return Value::Int(static_cast<int64_t>(RoundedAt(v.AsDouble(), precision)), v.is_data);
  }
  const Value scale = Arithmetic(c.run, "**", Value::Int(10), Value::Int(precision));
  const Value scaled = Arithmetic(c.run, "*", v, scale);
  if (c.run.failed()) return {};
  if (!std::isfinite(scaled.AsDouble())) return c.run.Fail("round: the number is not finite");
  const double whole = method == "ceil" ? std::ceil(scaled.AsDouble()) : std::floor(scaled.AsDouble());
  // Python's ceil and floor give integers, which have no negative zero.
  return Arithmetic(c.run, "/", Value::Float(whole + 0.0, v.is_data), scale);
}

Value Length(const FilterCall& c) {
  const int64_t length = LengthOf(c.subject);
  return length >= 0 ? Value::Int(length) : c.run.Fail(fmt::format("a {} has no length", TypeName(c.subject)));
}

}  // namespace

const std::vector<Filter>& NumberFilters() {
  static const std::vector<Filter> filters = {
      {"abs", Abs},
      {"count", Length},
      {"float", ToFloat, "default"},
      {"int", ToInteger, "default base"},
      {"length", Length},
      {"round", Round, "precision method"},
  };
  return filters;
}

}  // namespace tenfold::jinja
