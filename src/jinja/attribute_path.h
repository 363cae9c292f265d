// What filters such as map(attribute="a.b") and sort look at instead of the item itself.
#pragma once

#include <vector>

#include "jinja/callable.h"

namespace tenfold::jinja {

// item.a.b or item[0], as `attribute` says ("a.b", "0", 0); the item itself when it is missing or none. An undefined
// result becomes `otherwise` unless that is missing. Numbers in the path are indices.
Value AttributeOf(Evaluator& evaluator, const Value& item, const Value& attribute, const Value& otherwise);

// As jinja2 compares when not told to mind the case: texts in lower case.
Value WithoutCase(Run& run, const Value& value);

}  // namespace tenfold::jinja
