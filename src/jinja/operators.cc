#include "jinja/operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "jinja/percent_format.h"
#include "jinja/python_text.h"
#include "jinja/utf8.h"

namespace tenfold::jinja {
namespace {

Value TypeProblem(Run& run, std::string_view op, const Value& a, const Value& b) {
  for (const Value& v : {a, b}) {
    if (v.Is(Kind::kUndefined)) return run.Fail(WhyUndefined(v));
  }
  return run.Fail(fmt::format("'{}' does not work between {} and {}", op, TypeName(a), TypeName(b)));
}

Value Overflow(Run& run) { return run.Fail("an integer does not fit 64 bits"); }

Value Joined(Run& run, const Value& a, const Value& b) {
  const Text &left = *a.text, &right = *b.text;
  if (!run.Reserve(left.bytes().size() + right.bytes().size())) return {};
  const bool markup = left.is_markup || right.is_markup;
  MarkedText out = markup && !left.is_markup ? EscapeMarkup(run, left.marked) : left.marked;
  out.Append(markup && !right.is_markup ? EscapeMarkup(run, right.marked) : right.marked);
  return run.NewText(std::move(out), markup);
}

// Times below one give an empty result, as in Python.
uint64_t Times(int64_t times) { return times < 0 ? 0 : static_cast<uint64_t>(times); }

Value Repeated(Run& run, const Value& value, int64_t count) {
  const uint64_t times = Times(count);
  if (value.Is(Kind::kText)) {
    const MarkedText& unit = value.text->marked;
    uint64_t bytes = 0;
    const bool overflow = __builtin_mul_overflow(times, unit.size() + unit.data().size() * sizeof(ByteRange), &bytes);
    if (!run.Reserve(overflow ? std::numeric_limits<uint64_t>::max() / 2 : bytes)) return {};
    MarkedText out;
    if (!unit.empty()) {
      for (uint64_t i = 0; i < times; ++i) out.Append(unit);
    }
    return run.NewText(std::move(out), value.text->is_markup);
  }
  uint64_t bytes = 0;
  const std::vector<Value>& unit = value.sequence->items;
  const bool overflow = __builtin_mul_overflow(times, unit.size() * sizeof(Value), &bytes);
  if (!run.Reserve(overflow ? std::numeric_limits<uint64_t>::max() / 2 : bytes)) return {};
  std::vector<Value> out;
  if (!unit.empty()) {
    for (uint64_t i = 0; i < times; ++i) out.insert(out.end(), unit.begin(), unit.end());
  }
  return run.NewSequence(value.kind, std::move(out));
}

bool IsPlainSequence(const Value& v) { return v.Is(Kind::kList) || v.Is(Kind::kTuple); }

// base ** exponent for integers, exponent >= 0; nothing on overflow.
std::optional<int64_t> IntegerPower(int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (exponent > 0) {
    if (exponent & 1) {
      if (__builtin_mul_overflow(result, base, &result)) return std::nullopt;
    }
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) return std::nullopt;
  }
  return result;
}

double FloorMod(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
  if (rest == 0) rest = std::copysign(0.0, b);
  return rest;
}

// As float.__floordiv__ computes it: by way of the remainder, so that both agree.
double FloorDiv(double a, double b) {
  const double rest = FloorMod(a, b);
  const double quotient = (a - rest) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floor = std::floor(quotient);
  return quotient - floor > 0.5 ? floor + 1.0 : floor;
}

Value Power(Run& run, const Value& a, const Value& b, bool data) {
  if (a.IsInteger() && b.IsInteger() && b.AsInteger() >= 0) {
    const std::optional<int64_t> power = IntegerPower(a.AsInteger(), b.AsInteger());
    return power ? Value::Int(*power, data) : Overflow(run);
  }
  const double x = a.AsDouble(), y = b.AsDouble();
  if (x == 0 && y < 0) return run.Fail("0 cannot be raised to a negative power");
  if (x < 0 && std::isfinite(y) && y != std::floor(y)) {
    return run.Fail("a negative number cannot be raised to a fraction: the result would be complex");
  }
  const double power = std::pow(x, y);
  if (std::isinf(power) && std::isfinite(x) && std::isfinite(y)) return run.Fail("the result is too large");
  return Value::Float(power, data);
}

Value IntegerArithmetic(Run& run, std::string_view op, int64_t x, int64_t y, bool data) {
  int64_t out = 0;
  if (op == "+") return __builtin_add_overflow(x, y, &out) ? Overflow(run) : Value::Int(out, data);
  if (op == "-") return __builtin_sub_overflow(x, y, &out) ? Overflow(run) : Value::Int(out, data);
  if (op == "*") return __builtin_mul_overflow(x, y, &out) ? Overflow(run) : Value::Int(out, data);
  if (y == 0) return run.Fail("division by zero");
  if (op == "/") return Value::Float(static_cast<double>(x) / static_cast<double>(y), data);
  if (y == -1) return op == "%" ? Value::Int(0, data) : IntegerArithmetic(run, "-", 0, x, data);
  const int64_t quotient = x / y - ((x % y != 0 && (x < 0) != (y < 0)) ? 1 : 0);
  return Value::Int(op == "//" ? quotient : x - quotient * y, data);
}

Value NumberArithmetic(Run& run, std::string_view op, const Value& a, const Value& b) {
  const bool data = a.is_data || b.is_data;
  if (op == "**") return Power(run, a, b, data);
  if (a.IsInteger() && b.IsInteger()) return IntegerArithmetic(run, op, a.AsInteger(), b.AsInteger(), data);
  const double x = a.AsDouble(), y = b.AsDouble();
  if (op == "+") return Value::Float(x + y, data);
  if (op == "-") return Value::Float(x - y, data);
  if (op == "*") return Value::Float(x * y, data);
  if (y == 0) return run.Fail("division by zero");
  if (op == "/") return Value::Float(x / y, data);
  return Value::Float(op == "//" ? FloorDiv(x, y) : FloorMod(x, y), data);
}

}  // namespace

MarkedText EscapeMarkup(Run& run, const MarkedText& text) {
  MarkedText out;
  const std::string& bytes = text.bytes();
  const auto special =
      std::count_if(bytes.begin(), bytes.end(), [](char c) { return std::string_view("&<>'\"").find(c) < 5; });
  if (!run.Reserve(bytes.size() + static_cast<uint64_t>(special) * (5 + sizeof(ByteRange)))) return out;
  size_t plain = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char* entity = nullptr;
    switch (bytes[i]) {
      case '&':
        entity = "&amp;";
        break;
      case '<':
        entity = "&lt;";
        break;
      case '>':
        entity = "&gt;";
        break;
      case '\'':
        entity = "&#39;";
        break;
      case '"':
        entity = "&#34;";
        break;
      default:
        continue;
    }
    out.Append(text, plain, i);
    const MarkedText one = text.Slice(i, i + 1);
    out.Append(entity, one.has_data());
    plain = i + 1;
  }
  out.Append(text, plain, bytes.size());
  return out;
}

Value Arithmetic(Run& run, std::string_view op, const Value& a, const Value& b) {
  if (run.failed()) return {};
  if (a.IsNumber() && b.IsNumber()) return NumberArithmetic(run, op, a, b);
  if (op == "+") {
    if (a.Is(Kind::kText) && b.Is(Kind::kText)) return Joined(run, a, b);
    if (IsPlainSequence(a) && b.Is(a.kind)) {
      if (!run.Reserve((a.sequence->items.size() + b.sequence->items.size()) * sizeof(Value))) return {};
      std::vector<Value> items = a.sequence->items;
      items.insert(items.end(), b.sequence->items.begin(), b.sequence->items.end());
      return run.NewSequence(a.kind, std::move(items));
    }
  }
  if (op == "*") {
    if ((a.Is(Kind::kText) || IsPlainSequence(a)) && b.IsInteger()) return Repeated(run, a, b.AsInteger());
    if ((b.Is(Kind::kText) || IsPlainSequence(b)) && a.IsInteger()) return Repeated(run, b, a.AsInteger());
  }
  if (op == "%" && a.Is(Kind::kText)) return PercentFormat(run, *a.text, b);
  return TypeProblem(run, op, a, b);
}

Value Negate(Run& run, const Value& value) {
  if (run.failed()) return {};
  if (value.Is(Kind::kFloat)) return Value::Float(-value.number, value.is_data);
  if (value.IsInteger()) return IntegerArithmetic(run, "-", 0, value.AsInteger(), value.is_data);
  if (value.Is(Kind::kUndefined)) return run.Fail(WhyUndefined(value));
  return run.Fail(fmt::format("'-' does not work on {}", TypeName(value)));
}

Value Concat(Run& run, const Value& a, const Value& b) {
  MarkedText left = ToText(run, a);
  const MarkedText right = ToText(run, b);
  if (run.failed() || !run.Reserve(left.size() + right.size())) return {};
  left.Append(right);
  return run.NewText(std::move(left));
}

bool Compare(Run& run, std::string_view op, const Value& a, const Value& b) {
  if (run.failed()) return false;
  if (op == "==") return Equals(run, a, b);
  if (op == "!=") return !Equals(run, a, b);
  if (op == "in") return Contains(run, b, a);
  if (op == "not in") return !Contains(run, b, a);
  if (op == "<") return Less(run, a, b);
  if (op == ">") return Less(run, b, a);
  // Not the negation of the other: neither holds for not-a-number.
  if (a.IsNumber() && b.IsNumber()) {
    if (a.IsInteger() && b.IsInteger()) {
      return op == "<=" ? a.AsInteger() <= b.AsInteger() : a.AsInteger() >= b.AsInteger();
    }
    return op == "<=" ? a.AsDouble() <= b.AsDouble() : a.AsDouble() >= b.AsDouble();
  }
  return op == "<=" ? !Less(run, b, a) : !Less(run, a, b);
}

}  // namespace tenfold::jinja
