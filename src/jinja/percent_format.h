// Python's `text % values`, also behind the filter `format`.
#pragma once

#include "jinja/run.h"
#include "jinja/value.h"

namespace tenfold::jinja {

// `values`: a tuple of what the fields take, a dict for %(name)s, or the one value.
Value PercentFormat(Run& run, const Text& format, const Value& values);

}  // namespace tenfold::jinja
