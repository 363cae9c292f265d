// What a template can call, and with what.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/ast.h"
#include "jinja/run.h"
#include "jinja/value.h"

namespace tenfold::jinja {

class Evaluator;

// Variables of one block. A name is looked up here, then in `parent`, then among the context's.
struct Scope {
  Scope* parent = nullptr;
  std::vector<std::pair<NameId, Value>> variables{};
  bool captured = false;  // a macro refers to it: it must not be reused
};

// Evaluated arguments.
struct CallArguments {
  std::vector<Value> positional{};
  std::vector<std::pair<std::string, Value>> named{};

  // The values in the order of `parameters` (names separated by spaces), kMissing where not given. Fails, naming
  // `what`, on unknown names, too many arguments, and fewer than `required`.
  bool Bind(Run& run, std::string_view what, std::string_view parameters, size_t required,
            std::vector<Value>* out) const;
};

using Function = Value (*)(Evaluator& evaluator, const CallArguments& arguments);

struct Callable {
  enum class Type : uint8_t { kMacro, kMethod, kFunction };
  Type type = Type::kFunction;
  const MacroNode* macro = nullptr;  // kMacro
  Scope* scope = nullptr;            // kMacro: where it was defined
  Value self{};                      // kMethod
  std::string name{};                // kMethod
  Function function = nullptr;       // kFunction
};

}  // namespace tenfold::jinja
