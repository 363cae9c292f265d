// Numbers between bounds, as expressions over their decimal digits.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "grammar/syntax.h"

namespace tenfold::grammar {

// Integers from low to high, without exponent, leading zeros or "-0". Bounds beyond ±(10^kMaxDigits - 1) are taken as
// that. kInvalidArgument: no integer that is left.
Result<ExprId> IntegerRange(Syntax& syntax, std::optional<int64_t> low, std::optional<int64_t> high);

struct NumberBound {
  double value = 0;
  bool exclusive = false;
};

// Numbers between the bounds, with at most kMaxDigits digits before the point and not more than a few more behind it
// than the bounds have; no exponent. kInvalidArgument: nothing lies between the bounds; kUnsupported: a bound that has
// more than 15 digits before or 12 behind the point.
Result<ExprId> NumberRange(Syntax& syntax, std::optional<NumberBound> low, std::optional<NumberBound> high);

}  // namespace tenfold::grammar
