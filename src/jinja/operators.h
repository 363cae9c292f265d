// What +, ==, <, in, [] and their like do to values: Python's rules for Python's types.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "jinja/run.h"
#include "jinja/value.h"

namespace tenfold::jinja {

// Values nest at most this deep where an operation walks them; deeper ones fail.
inline constexpr int kMaxValueDepth = 150;

// `op` is one of + - * / // % **.
Value Arithmetic(Run& run, std::string_view op, const Value& a, const Value& b);
Value Negate(Run& run, const Value& value);
// Joins as `~` does: both sides as text.
Value Concat(Run& run, const Value& a, const Value& b);

bool Equals(Run& run, const Value& a, const Value& b, int depth = 0);
// a < b; fails where Python would raise a TypeError.
bool Less(Run& run, const Value& a, const Value& b, int depth = 0);
// `op` is one of == != < <= > >= in "not in".
bool Compare(Run& run, std::string_view op, const Value& a, const Value& b);
bool Contains(Run& run, const Value& container, const Value& item);

// Whether a value may be a key: no list or dict in it.
bool IsHashable(const Value& value, int depth = 0);
// A total order of hashable values in which equal keys (1, 1.0, true) compare 0. Negative: a first.
int CompareKeys(const Value& a, const Value& b);
// The entry of `key`, or null.
const Value* Find(const Dict& dict, const Value& key);
const Value* Find(const Dict& dict, std::string_view key);

// container[key]; nothing where Python would raise a KeyError, IndexError or TypeError.
std::optional<Value> Item(Run& run, const Value& container, const Value& key);
// container[start:stop:step]; each may be none.
Value Slice(Run& run, const Value& container, const Value& start, const Value& stop, const Value& step);

// The items one after the other, as a for loop sees them; false, and a failure, when there are none to walk.
bool Iterate(Run& run, const Value& value, std::vector<Value>* out);
bool IsIterable(const Value& value);

// Escapes & < > ' " as markupsafe does.
MarkedText EscapeMarkup(Run& run, const MarkedText& text);

}  // namespace tenfold::jinja
