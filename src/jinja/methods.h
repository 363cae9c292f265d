// The methods of Python's str, dict, list and tuple that read; those that change something are named and refused.
#pragma once

#include <string>
#include <string_view>

#include "jinja/callable.h"

namespace tenfold::jinja {

enum class MethodKind { kNone, kReads, kChanges };
MethodKind MethodOf(const Value& object, std::string_view name);

bool IsTextMethod(std::string_view name);

// Need MethodOf() == kReads.
Value CallTextMethod(Run& run, const Text& text, std::string_view name, const CallArguments& arguments);
Value CallContainerMethod(Run& run, const Value& object, std::string_view name, const CallArguments& arguments);

}  // namespace tenfold::jinja
