#include "grammar/number_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>

#include "grammar/json_parts.h"

namespace tenfold::grammar {
namespace {

constexpr int64_t kLargest = 999'999'999'999'999;
constexpr int kMaxFractionDigits = 12;
constexpr uint32_t kFreeDigits = 10;  // behind those that decide

Error Nothing() { return {ErrorCode::kInvalidArgument, "no number lies between the bounds"}; }

class Digits {
 public:
  explicit Digits(Syntax& syntax) : s_(syntax) {}

  ExprId One(char low, char high) {
    return s_.Chars(CharSet({{static_cast<uint32_t>(low), static_cast<uint32_t>(high)}}));
  }
  ExprId Free(uint32_t min, uint32_t max) { return s_.Repeat(One('0', '9'), min, max); }
  ExprId Zeros(uint32_t min) { return s_.Repeat(s_.Literal("0"), min, kFreeDigits); }
  ExprId Join(ExprId a, ExprId b) { return s_.Sequence({a, b}); }
  ExprId None() { return s_.Choice({}); }

  // Integers low..high, 0 <= low <= high.
  ExprId Integers(int64_t low, int64_t high) {
    std::vector<ExprId> options;
    for (int64_t first = 0, last = 9; first <= high; first = last + 1, last = last * 10 + 9) {
      if (last < low) continue;
      const std::string from = fmt::format("{}", std::max(low, first));
      const std::string to = fmt::format("{}", std::min(high, last));
      options.push_back(SameLength(from, to));
    }
    return s_.Choice(std::move(options));
  }

  // The fraction (point included, or nothing) of numbers that are at least 0.digits, or more than it.
  ExprId FractionAtLeast(std::string_view digits, bool more) {
    const ExprId fraction = Join(s_.Literal("."), TailAtLeast(digits, more, /*first=*/true));
    return digits.empty() && !more ? s_.Optional(fraction) : fraction;
  }
  ExprId FractionAtMost(std::string_view digits, bool less) {
    if (digits.empty() && less) return None();
    return s_.Optional(Join(s_.Literal("."), TailAtMost(digits, less, /*first=*/true)));
  }
  ExprId FractionBetween(std::string_view low, bool more, std::string_view high, bool less) {
    const ExprId fraction = Join(s_.Literal("."), TailBetween(low, more, high, less));
    return low.empty() && !more ? s_.Optional(fraction) : fraction;
  }
  ExprId AnyFraction() { return s_.Optional(Join(s_.Literal("."), Free(1, kMaxDigits))); }

 private:
  // All digit strings of this length from `low` to `high`.
  ExprId SameLength(std::string_view low, std::string_view high) {
    if (low.empty()) return s_.Empty();
    const auto rest = static_cast<uint32_t>(low.size() - 1);
    if (low[0] == high[0]) return Join(s_.Literal(low.substr(0, 1)), SameLength(low.substr(1), high.substr(1)));
    const std::string zeros(rest, '0');
    const std::string nines(rest, '9');
    char first = low[0];
    char last = high[0];
    std::vector<ExprId> options;
    if (low.substr(1) != zeros) {
      options.push_back(Join(s_.Literal(low.substr(0, 1)), SameLength(low.substr(1), nines)));
      ++first;
    }
    if (high.substr(1) != nines) {
      options.push_back(Join(s_.Literal(high.substr(0, 1)), SameLength(zeros, high.substr(1))));
      --last;
    }
    if (first <= last) options.push_back(Join(One(first, last), Free(rest, rest)));
    return s_.Choice(std::move(options));
  }

  // `digits` never end in 0, so a fraction that ends before them is smaller. first: the digit behind the point, which
  // must be there.
  ExprId TailAtLeast(std::string_view digits, bool more, bool first) {
    if (digits.empty()) {
      if (!more) return Free(first ? 1 : 0, kFreeDigits);
      return s_.Sequence({Zeros(0), One('1', '9'), Free(0, kFreeDigits)});
    }
    std::vector<ExprId> options = {
        Join(s_.Literal(digits.substr(0, 1)), TailAtLeast(digits.substr(1), more, /*first=*/false))};
    if (digits[0] < '9') {
      options.push_back(Join(One(static_cast<char>(digits[0] + 1), '9'), Free(0, kFreeDigits)));
    }
    return s_.Choice(std::move(options));
  }

  ExprId TailAtMost(std::string_view digits, bool less, bool first) {
    if (digits.empty()) return less ? None() : Zeros(first ? 1 : 0);
    std::vector<ExprId> options;
    if (digits[0] > '0') {
      options.push_back(Join(One('0', static_cast<char>(digits[0] - 1)), Free(0, kFreeDigits)));
    }
    const ExprId rest = TailAtMost(digits.substr(1), less, /*first=*/false);
    // Stopping right before further digits is less than they are.
    options.push_back(Join(s_.Literal(digits.substr(0, 1)), digits.size() > 1 ? s_.Optional(rest) : rest));
    return s_.Choice(std::move(options));
  }

  // Needs low < high.
  ExprId TailBetween(std::string_view low, bool more, std::string_view high, bool less) {
    const char from = low.empty() ? '0' : low[0];
    const char to = high.empty() ? '0' : high[0];
    const std::string_view low_rest = low.substr(std::min<size_t>(1, low.size()));
    const std::string_view high_rest = high.substr(std::min<size_t>(1, high.size()));
    const ExprId same = s_.Literal(std::string_view(&from, 1));
    if (from == to) {
      const ExprId rest = TailBetween(low_rest, more, high_rest, less);
      return Join(same, low_rest.empty() && !more ? s_.Optional(rest) : rest);
    }
    std::vector<ExprId> options = {Join(same, TailAtLeast(low_rest, more, /*first=*/false))};
    if (to - from > 1) {
      options.push_back(Join(One(static_cast<char>(from + 1), static_cast<char>(to - 1)), Free(0, kFreeDigits)));
    }
    const ExprId rest = TailAtMost(high_rest, less, /*first=*/false);
    options.push_back(Join(s_.Literal(std::string_view(&to, 1)), high_rest.empty() ? rest : s_.Optional(rest)));
    return s_.Choice(std::move(options));
  }

  Syntax& s_;
};

// A bound's magnitude: digits before the point as a number, those behind it without trailing zeros.
struct Decimal {
  int64_t whole = 0;
  std::string fraction;
  bool exclusive = false;
  auto Key() const { return std::pair(whole, fraction); }  // fractions compare as text: no trailing zeros
};

Result<Decimal> ToDecimal(double magnitude, bool exclusive) {
  const std::string text = fmt::format("{:.{}f}", magnitude, kMaxFractionDigits);
  if (magnitude > static_cast<double>(kLargest) || std::strtod(text.c_str(), nullptr) != magnitude) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("the bound {} has too many digits: at most {} before and {} behind "
                             "the point are supported",
                             magnitude, kMaxDigits, kMaxFractionDigits)};
  }
  const size_t point = text.find('.');
  Decimal out{
      .whole = std::strtoll(text.c_str(), nullptr, 10), .fraction = text.substr(point + 1), .exclusive = exclusive};
  while (!out.fraction.empty() && out.fraction.back() == '0') out.fraction.pop_back();
  return out;
}

// Numbers >= 0 from low to high.
ExprId Magnitudes(Syntax& s, const Decimal& low, const Decimal& high) {
  Digits digits(s);
  const auto whole = [&](int64_t n) { return s.Literal(fmt::format("{}", n)); };
  if (low.Key() == high.Key()) {
    if (low.exclusive || high.exclusive) return digits.None();
    const ExprId zeros = s.Optional(digits.Zeros(1));
    if (low.fraction.empty()) return s.Sequence({whole(low.whole), digits.FractionAtMost("", false)});
    return s.Sequence({whole(low.whole), s.Literal("."), s.Literal(low.fraction), zeros});
  }
  if (low.whole == high.whole) {
    return s.Sequence(
        {whole(low.whole), digits.FractionBetween(low.fraction, low.exclusive, high.fraction, high.exclusive)});
  }
  std::vector<ExprId> options = {s.Sequence({whole(low.whole), digits.FractionAtLeast(low.fraction, low.exclusive)}),
                                 s.Sequence({whole(high.whole), digits.FractionAtMost(high.fraction, high.exclusive)})};
  if (high.whole - low.whole > 1) {
    options.push_back(s.Sequence({digits.Integers(low.whole + 1, high.whole - 1), digits.AnyFraction()}));
  }
  return s.Choice(std::move(options));
}

}  // namespace

Result<ExprId> IntegerRange(Syntax& syntax, std::optional<int64_t> low, std::optional<int64_t> high) {
  const int64_t from = std::max(low.value_or(-kLargest), -kLargest);
  const int64_t to = std::min(high.value_or(kLargest), kLargest);
  if (from > to) return Nothing();
  Digits digits(syntax);
  std::vector<ExprId> options;
  if (from < 0) {
    options.push_back(syntax.Sequence({syntax.Literal("-"), digits.Integers(to < 0 ? -to : 1, -from)}));
  }
  if (to >= 0) options.push_back(digits.Integers(std::max<int64_t>(from, 0), to));
  return syntax.Choice(std::move(options));
}

Result<ExprId> NumberRange(Syntax& syntax, std::optional<NumberBound> low, std::optional<NumberBound> high) {
  const bool crossed =
      low && high && (low->value > high->value || (low->value == high->value && (low->exclusive || high->exclusive)));
  if (crossed) return Nothing();
  const Decimal zero{.whole = 0, .fraction = {}, .exclusive = false};
  const Decimal above_zero{.whole = 0, .fraction = {}, .exclusive = true};
  const Decimal beyond{.whole = kLargest + 1, .fraction = {}, .exclusive = true};
  std::vector<ExprId> options;
  if (!low || low->value < 0) {
    Decimal nearest = above_zero;  // no "-0"
    Decimal farthest = beyond;
    if (high && high->value < 0) {
      TENFOLD_TRY(nearest, ToDecimal(-high->value, high->exclusive));
    }
    if (low) {
      TENFOLD_TRY(farthest, ToDecimal(-low->value, low->exclusive));
    }
    options.push_back(syntax.Sequence({syntax.Literal("-"), Magnitudes(syntax, nearest, farthest)}));
  }
  const bool reaches_zero = !high || high->value > 0 || (high->value == 0 && !high->exclusive);
  if (reaches_zero) {
    Decimal nearest = zero;
    Decimal farthest = beyond;
    if (low && low->value >= 0) {
      TENFOLD_TRY(nearest, ToDecimal(low->value, low->exclusive));
    }
    if (high) {
      TENFOLD_TRY(farthest, ToDecimal(high->value, high->exclusive));
    }
    options.push_back(Magnitudes(syntax, nearest, farthest));
  }
  return syntax.Choice(std::move(options));
}

}  // namespace tenfold::grammar
