// JSON text (RFC 8259) to values of the template language.
#pragma once

#include <string_view>

#include "jinja/run.h"

namespace tenfold::jinja {

inline constexpr int kMaxJsonDepth = 100;

// Fails on anything that is not one JSON value in UTF-8. Every string and number is marked as data if is_data.
// Integers beyond 64 bits become floats. A text of one half of a surrogate pair ("\ud800") is refused.
Value FromJson(Run& run, std::string_view json, bool is_data);

}  // namespace tenfold::jinja
