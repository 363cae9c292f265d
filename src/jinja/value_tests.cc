#include "jinja/value_tests.h"

#include <fmt/format.h>

#include "jinja/filters.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/utf8.h"

namespace tenfold::jinja {
namespace {

using Arguments = std::vector<Value>;

bool Remainder(Run& run, const Value& v, const Value& divisor, int64_t expected) {
  const Value rest = Arithmetic(run, "%", v, divisor);
  return !run.failed() && Equals(run, rest, Value::Int(expected));
}

// str.islower and str.isupper: at least one letter with case, and none of the other.
bool AllOfCase(Run& run, const Value& v, bool (*is_case)(char32_t), bool (*is_other)(char32_t)) {
  const MarkedText text = ToText(run, v);
  bool any = false;
  for (size_t at = 0; at < text.size(); at += CharacterBytes(text.bytes(), at)) {
    const char32_t c = CodePointAt(text.bytes(), at);
    if (is_other(c)) return false;
    any |= is_case(c);
  }
  return any;
}

template <const char* const& op>
bool Compares(Run& run, const Value& v, const Arguments& a) {
  return Compare(run, op, v, a[0]);
}
constexpr const char* kEq = "==";
constexpr const char* kNe = "!=";
constexpr const char* kLt = "<";
constexpr const char* kLe = "<=";
constexpr const char* kGt = ">";
constexpr const char* kGe = ">=";

bool IsSame(const Value& a, const Value& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kUndefined:
    case Kind::kText:
      return a.text == b.text;
    case Kind::kNone:
      return true;
    case Kind::kBool:
      return a.boolean == b.boolean;
    case Kind::kInt:
      return a.integer == b.integer;
    case Kind::kFloat:
      return false;
    default:
      return a.sequence == b.sequence;  // every other member of the union is a pointer, too
  }
}

const std::vector<ValueTest>& Tests() {
  static const std::vector<ValueTest> tests = {
      {"defined", [](Run&, const Value& v, const Arguments&) { return !v.Is(Kind::kUndefined); }},
      {"undefined", [](Run&, const Value& v, const Arguments&) { return v.Is(Kind::kUndefined); }},
      {"none", [](Run&, const Value& v, const Arguments&) { return v.Is(Kind::kNone); }},
      {"boolean", [](Run&, const Value& v, const Arguments&) { return v.Is(Kind::kBool); }},
      {"true", [](Run&, const Value& v, const Arguments&) { return v.Is(Kind::kBool) && v.boolean; }},
      {"false", [](Run&, const Value& v, const Arguments&) { return v.Is(Kind::kBool) && !v.boolean; }},
      {"integer", [](Run&, const Value& v, const Arguments&) { return v.Is(Kind::kInt); }},
      {"float", [](Run&, const Value& v, const Arguments&) { return v.Is(Kind::kFloat); }},
      {"number", [](Run&, const Value& v, const Arguments&) { return v.IsNumber(); }},
      {"string", [](Run&, const Value& v, const Arguments&) { return v.Is(Kind::kText); }},
      {"mapping", [](Run&, const Value& v, const Arguments&) { return v.Is(Kind::kDict); }},
      {"iterable", [](Run&, const Value& v, const Arguments&) { return IsIterable(v); }},
      {"sequence",
       [](Run&, const Value& v, const Arguments&) {
         return v.Is(Kind::kText) || v.Is(Kind::kList) || v.Is(Kind::kTuple) || v.Is(Kind::kRange) ||
                v.Is(Kind::kDict) || v.Is(Kind::kUndefined);
       }},
      {"callable", [](Run&, const Value& v, const Arguments&) { return v.Is(Kind::kCallable) || v.Is(Kind::kLoop); }},
      {"escaped", [](Run&, const Value& v, const Arguments&) { return v.Is(Kind::kText) && v.text->is_markup; }},
      {"even", [](Run& run, const Value& v, const Arguments&) { return Remainder(run, v, Value::Int(2), 0); }},
      {"odd", [](Run& run, const Value& v, const Arguments&) { return Remainder(run, v, Value::Int(2), 1); }},
      {"divisibleby", [](Run& run, const Value& v, const Arguments& a) { return Remainder(run, v, a[0], 0); }, "num"},
      {"lower", [](Run& run, const Value& v, const Arguments&) { return AllOfCase(run, v, IsLower, IsUpper); }},
      {"upper", [](Run& run, const Value& v, const Arguments&) { return AllOfCase(run, v, IsUpper, IsLower); }},
      {"sameas", [](Run&, const Value& v, const Arguments& a) { return IsSame(v, a[0]); }, "other"},
      {"in", [](Run& run, const Value& v, const Arguments& a) { return Contains(run, a[0], v); }, "seq"},
      {"filter", [](Run&, const Value& v,
                    const Arguments&) { return v.Is(Kind::kText) && FindFilter(v.text->bytes()) != nullptr; }},
      {"test", [](Run&, const Value& v,
                  const Arguments&) { return v.Is(Kind::kText) && FindTest(v.text->bytes()) != nullptr; }},
      {"==", Compares<kEq>, "other"},
      {"eq", Compares<kEq>, "other"},
      {"equalto", Compares<kEq>, "other"},
      {"!=", Compares<kNe>, "other"},
      {"ne", Compares<kNe>, "other"},
      {"<", Compares<kLt>, "other"},
      {"lt", Compares<kLt>, "other"},
      {"lessthan", Compares<kLt>, "other"},
      {"<=", Compares<kLe>, "other"},
      {"le", Compares<kLe>, "other"},
      {">", Compares<kGt>, "other"},
      {"gt", Compares<kGt>, "other"},
      {"greaterthan", Compares<kGt>, "other"},
      {">=", Compares<kGe>, "other"},
      {"ge", Compares<kGe>, "other"},
  };
  return tests;
}

}  // namespace

const ValueTest* FindTest(std::string_view name) {
  for (const ValueTest& test : Tests()) {
    if (test.name == name) return &test;
  }
  return nullptr;
}

bool ApplyTest(Run& run, const ValueTest& test, const Value& value, const CallArguments& arguments) {
  if (!run.Charge(1)) return false;
  std::vector<Value> bound;
  const size_t required = test.parameters.empty() ? 0 : 1;
  if (!arguments.Bind(run, fmt::format("test '{}'", test.name), test.parameters, required, &bound)) return false;
  return test.holds(run, value, bound);
}

}  // namespace tenfold::jinja
