// Values as text, the way Python's str() and repr() write them.
#pragma once

#include <string>
#include <string_view>

#include "jinja/run.h"
#include "jinja/value.h"

namespace tenfold::jinja {

// str(value); undefined is "". Fails on values nested too deep.
MarkedText ToText(Run& run, const Value& value);
// repr(value), as inside of a printed list.
MarkedText Repr(Run& run, const Value& value);
// repr() of a float: the shortest digits that read back the same, "1e+16", "nan".
std::string FloatText(double number);
// Why this undefined value is undefined, as a sentence for a failure.
std::string WhyUndefined(const Value& value);

}  // namespace tenfold::jinja
