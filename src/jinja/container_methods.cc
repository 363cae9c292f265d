// The methods of dict, list and tuple.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "jinja/methods.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"

namespace tenfold::jinja {
namespace {

bool IsOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

enum class Part { kKeys, kValues, kItems };

Value View(Run& run, const Dict& dict, Part part) {
  if (!run.Reserve(dict.entries.size() * sizeof(Value))) return {};
  std::vector<Value> items;
  items.reserve(dict.entries.size());
  for (const auto& [key, value] : dict.entries) {
    if (run.failed()) return {};
    items.push_back(part == Part::kKeys ? key : part == Part::kValues ? value : run.NewTuple({key, value}));
  }
  return run.NewSequence(Kind::kView, std::move(items),
                         part == Part::kKeys     ? "dict_keys"
                         : part == Part::kValues ? "dict_values"
                                                 : "dict_items");
}

Value DictMethod(Run& run, const Value& self, std::string_view name, const CallArguments& arguments) {
  std::vector<Value> bound;
  if (name == "get") {
    if (!arguments.Bind(run, "dict.get", "key default", 1, &bound)) return {};
    if (!IsHashable(bound[0])) return run.Fail(fmt::format("a {} cannot be a key of a dict", TypeName(bound[0])));
    run.Charge(4);
    if (const Value* found = Find(*self.dict, bound[0])) return *found;
    return bound[1].Is(Kind::kMissing) ? Value::None() : bound[1];
  }
  if (!arguments.Bind(run, fmt::format("dict.{}", name), "", 0, &bound)) return {};
  if (name == "copy") return self;  // nothing can change either of the two
  return View(run, *self.dict, name == "keys" ? Part::kKeys : name == "values" ? Part::kValues : Part::kItems);
}

Value ListMethod(Run& run, const Value& self, std::string_view name, const CallArguments& arguments) {
  std::vector<Value> bound;
  if (name == "copy") return self;
  if (!arguments.Bind(run, fmt::format("list.{}", name), "value", 1, &bound)) return {};
  int64_t count = 0;
  const std::vector<Value>& items = self.sequence->items;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!Equals(run, items[i], bound[0])) continue;
    if (name == "index") return Value::Int(static_cast<int64_t>(i));
    ++count;
  }
  return name == "index" ? run.Fail("the value is not in the list") : Value::Int(count);
}

}  // namespace

MethodKind MethodOf(const Value& object, std::string_view name) {
  switch (object.kind) {
    case Kind::kText:
      return IsTextMethod(name) ? MethodKind::kReads : MethodKind::kNone;
    case Kind::kDict:
      if (IsOneOf(name, {"get", "keys", "values", "items", "copy"})) return MethodKind::kReads;
      return IsOneOf(name, {"pop", "popitem", "update", "clear", "setdefault"}) ? MethodKind::kChanges
                                                                                : MethodKind::kNone;
    case Kind::kList:
      if (IsOneOf(name, {"index", "count", "copy"})) return MethodKind::kReads;
      return IsOneOf(name, {"append", "extend", "insert", "pop", "remove", "reverse", "sort", "clear"})
                 ? MethodKind::kChanges
                 : MethodKind::kNone;
    case Kind::kTuple:
    case Kind::kRange:
      return IsOneOf(name, {"index", "count"}) ? MethodKind::kReads : MethodKind::kNone;
    default:
      return MethodKind::kNone;
  }
}

Value CallContainerMethod(Run& run, const Value& object, std::string_view name, const CallArguments& arguments) {
  if (!run.Charge(1)) return {};
  if (object.Is(Kind::kDict)) return DictMethod(run, object, name, arguments);
  return ListMethod(run, object, name, arguments);
}

}  // namespace tenfold::jinja
