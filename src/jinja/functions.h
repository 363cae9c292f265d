// The functions every template sees: range, dict, namespace, raise_exception, strftime_now.
#pragma once

#include <string_view>

#include "jinja/callable.h"

namespace tenfold::jinja {

// The function called `name`, or null.
Function FindFunction(std::string_view name);

}  // namespace tenfold::jinja
