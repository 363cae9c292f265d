// Python's str.format(): "{} {0} {name.key[0]!r:>10}".
#pragma once

#include "jinja/callable.h"

namespace tenfold::jinja {

// Fields inside a field's format ("{:{}}") are refused.
Value StrFormat(Run& run, const Text& format, const CallArguments& arguments);

}  // namespace tenfold::jinja
