// Values of the template language to JSON text, as Python's json.dumps(value, ensure_ascii=False) writes it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "jinja/run.h"

namespace tenfold::jinja {

struct JsonStyle {
  std::optional<std::string> indent{};  // one level of it; absent: one line
  std::string item_separator = ", ";    // "," where lines end
  std::string key_separator = ": ";
  bool sort_keys = false;
  bool ascii = false;
};

// Fails on what JSON has no form for. What came from data stays marked.
MarkedText ToJson(Run& run, const Value& value, const JsonStyle& style);

}  // namespace tenfold::jinja
