// The expressions of a template, to values.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "jinja/evaluator.h"
#include "jinja/filters.h"
#include "jinja/functions.h"
#include "jinja/methods.h"
#include "jinja/nested.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"
#include "jinja/value_tests.h"

namespace tenfold::jinja {

Value Evaluator::Eval(const Expr& expr, Scope* scope) {
  if (!run_.Charge(1)) return {};
  const Nested nested(*this);
  if (!nested.ok()) return {};
  switch (expr.kind) {
    case ExprKind::kConstant:
      return expr.constant;
    case ExprKind::kName:
      return EvalName(expr, scope);
    case ExprKind::kTuple:
      return run_.NewTuple(EvalAll(expr.children, scope));
    case ExprKind::kList:
      return run_.NewList(EvalAll(expr.children, scope));
    case ExprKind::kDict:
      return EvalDict(expr, scope);
    case ExprKind::kAttribute: {
      const Value object = Eval(*expr.children[0], scope);
      run_.set_line(expr.line);
      return Attribute(object, expr.constant);
    }
    case ExprKind::kSubscript: {
      const Value object = Eval(*expr.children[0], scope);
      const Value key = Eval(*expr.children[1], scope);
      run_.set_line(expr.line);
      return Subscript(object, key);
    }
    case ExprKind::kSlice:
      return EvalSlice(expr, scope);
    case ExprKind::kCall: {
      const Value callee = Eval(*expr.children[0], scope);
      const CallArguments arguments = EvalArguments(expr.arguments, scope);
      run_.set_line(expr.line);
      return Call(callee, arguments);
    }
    case ExprKind::kFilter: {
      const Value subject = Eval(*expr.children[0], scope);
      const CallArguments arguments = EvalArguments(expr.arguments, scope);
      run_.set_line(expr.line);
      return run_.failed() ? Value() : ApplyFilter(*this, *expr.filter, subject, arguments);
    }
    case ExprKind::kTest: {
      const Value subject = Eval(*expr.children[0], scope);
      const CallArguments arguments = EvalArguments(expr.arguments, scope);
      run_.set_line(expr.line);
      return Value::Bool(!run_.failed() && ApplyTest(run_, *expr.test, subject, arguments));
    }
    case ExprKind::kUnary:
      return EvalUnary(expr, scope);
    case ExprKind::kArithmetic:
      return EvalChain(expr, scope);
    case ExprKind::kConcat:
      return EvalConcat(expr, scope);
    case ExprKind::kCompare:
      return EvalCompare(expr, scope);
    case ExprKind::kAnd:
    case ExprKind::kOr: {
      Value value;
      for (const Expr* child : expr.children) {
        value = Eval(*child, scope);
        if (run_.failed() || Truthy(value) == (expr.kind == ExprKind::kOr)) break;
      }
      return value;
    }
    case ExprKind::kConditional:
      return EvalConditional(expr, scope);
    case ExprKind::kNamespaceTarget:
      break;  // only ever assigned to
  }
  return {};
}

Value Evaluator::EvalName(const Expr& expr, Scope* scope) {
  for (const Scope* s = scope; s != nullptr; s = s->parent) {
    run_.Charge(s->variables.size() / 16);
    for (const auto& [name, value] : s->variables) {
      if (name == expr.name) return value;
    }
  }
  const std::string& name = ast_.names[expr.name];
  if (const Value* value = Find(*context_.dict, name)) return *value;
  if (const Function function = FindFunction(name)) {
    return run_.NewCallable({.type = Callable::Type::kFunction, .name = name, .function = function});
  }
  run_.set_line(expr.line);
  return run_.Undefined(fmt::format("'{}' is undefined", name.substr(0, 100)));
}

std::vector<Value> Evaluator::EvalAll(const std::vector<Expr*>& exprs, Scope* scope) {
  std::vector<Value> out;
  out.reserve(exprs.size());
  for (const Expr* expr : exprs) out.push_back(Eval(*expr, scope));
  return out;
}

Value Evaluator::EvalDict(const Expr& expr, Scope* scope) {
  std::vector<std::pair<Value, Value>> entries;
  for (size_t i = 0; i + 1 < expr.children.size(); i += 2) {
    const Value key = Eval(*expr.children[i], scope);
    entries.emplace_back(key, Eval(*expr.children[i + 1], scope));
  }
  run_.set_line(expr.line);
  return run_.failed() ? Value() : run_.NewDict(std::move(entries));
}

Value Evaluator::EvalUnary(const Expr& expr, Scope* scope) {
  const Value value = Eval(*expr.children[0], scope);
  run_.set_line(expr.line);
  if (expr.text == "not") return Value::Bool(!Truthy(value));
  if (expr.text == "-") return Negate(run_, value);
  if (value.IsNumber()) return value.Is(Kind::kBool) ? Value::Int(value.boolean, value.is_data) : value;
  return run_.Fail(value.Is(Kind::kUndefined) ? WhyUndefined(value)
                                              : fmt::format("'+' does not work on {}", TypeName(value)));
}

Value Evaluator::EvalChain(const Expr& expr, Scope* scope) {
  Value value = Eval(*expr.children[0], scope);
  for (size_t i = 1; i < expr.children.size() && !run_.failed(); ++i) {
    const Value right = Eval(*expr.children[i], scope);
    run_.set_line(expr.children[i]->line);
    value = Arithmetic(run_, expr.ops[i - 1], value, right);
  }
  return value;
}

Value Evaluator::EvalConcat(const Expr& expr, Scope* scope) {
  MarkedText out;
  for (const Expr* child : expr.children) {
    const MarkedText part = ToText(run_, Eval(*child, scope));
    if (!run_.Reserve(part.size())) return {};
    out.Append(part);
  }
  return run_.NewText(std::move(out));
}

Value Evaluator::EvalCompare(const Expr& expr, Scope* scope) {
  Value left = Eval(*expr.children[0], scope);
  for (size_t i = 1; i < expr.children.size(); ++i) {
    const Value right = Eval(*expr.children[i], scope);
    run_.set_line(expr.line);
    if (!Compare(run_, expr.ops[i - 1], left, right) || run_.failed()) return Value::Bool(false);
    left = right;
  }
  return Value::Bool(true);
}

Value Evaluator::EvalConditional(const Expr& expr, Scope* scope) {
  const bool holds = Truthy(Eval(*expr.children[1], scope));
  if (run_.failed()) return {};
  if (holds) return Eval(*expr.children[0], scope);
  if (expr.children[2] != nullptr) return Eval(*expr.children[2], scope);
  return run_.Undefined("an inline if without else was false");
}

Value Evaluator::EvalSlice(const Expr& expr, Scope* scope) {
  Value parts[4];
  for (size_t i = 0; i < 4; ++i) {
    parts[i] = expr.children[i] == nullptr ? Value::None() : Eval(*expr.children[i], scope);
  }
  run_.set_line(expr.line);
  return Slice(run_, parts[0], parts[1], parts[2], parts[3]);
}

CallArguments Evaluator::EvalArguments(const Arguments& arguments, Scope* scope) {
  CallArguments out;
  out.positional = EvalAll(arguments.positional, scope);
  for (const auto& [name, expr] : arguments.named) out.named.emplace_back(name, Eval(*expr, scope));
  if (arguments.star != nullptr) {
    std::vector<Value> items;
    Iterate(run_, Eval(*arguments.star, scope), &items);
    out.positional.insert(out.positional.end(), items.begin(), items.end());
  }
  if (arguments.double_star != nullptr) {
    const Value dict = Eval(*arguments.double_star, scope);
    if (!dict.Is(Kind::kDict)) {
      run_.Fail(fmt::format("an argument after ** must be a dict, not {}", TypeName(dict)));
      return out;
    }
    for (const auto& [key, value] : dict.dict->entries) {
      if (!key.Is(Kind::kText)) run_.Fail("an argument after ** has a key that is no string");
      if (!run_.Reserve(64) || run_.failed()) break;
      out.named.emplace_back(key.text->bytes(), value);
    }
  }
  return out;
}

Value Evaluator::EvalFilters(const Expr& expr, Scope* scope, const Value& subject) {
  const Value input = expr.children[0] == nullptr ? subject : EvalFilters(*expr.children[0], scope, subject);
  const CallArguments arguments = EvalArguments(expr.arguments, scope);
  run_.set_line(expr.line);
  return run_.failed() ? Value() : ApplyFilter(*this, *expr.filter, input, arguments);
}

Value Evaluator::Attribute(const Value& object, const Value& name) {
  if (run_.failed()) return {};
  const std::string& word = name.text->bytes();
  if (object.Is(Kind::kUndefined)) return run_.Fail(WhyUndefined(object));
  if (object.Is(Kind::kLoop)) return LoopAttribute(*object.loop, word);
  if (object.Is(Kind::kNamespace)) {
    const auto it = object.space->attributes.find(word);
    if (it != object.space->attributes.end()) return it->second;
  } else {
    const Value method = Method(object, word);
    if (!method.Is(Kind::kMissing)) return method;
    if (object.Is(Kind::kTuple) && object.sequence->name == kGroupName) {
      if (word == "grouper" || word == "list") return object.sequence->items[word == "list" ? 1 : 0];
    }
    if (object.Is(Kind::kDict)) {
      if (const std::optional<Value> item = Item(run_, object, name)) return *item;
    }
  }
  return run_.Undefined(fmt::format("a {} has no attribute '{}'", TypeName(object), word.substr(0, 100)));
}

Value Evaluator::Subscript(const Value& object, const Value& key) {
  if (run_.failed()) return {};
  if (object.Is(Kind::kUndefined)) return run_.Fail(WhyUndefined(object));
  if (const std::optional<Value> item = Item(run_, object, key)) return *item;
  if (key.Is(Kind::kText)) {
    if (object.Is(Kind::kNamespace) || object.Is(Kind::kLoop)) return Attribute(object, key);
    const Value method = Method(object, key.text->bytes());
    if (!method.Is(Kind::kMissing)) return method;
    if (object.Is(Kind::kTuple)) return Attribute(object, key);
    return run_.Undefined(fmt::format("a {} has no element '{}'", TypeName(object), key.text->bytes().substr(0, 100)));
  }
  return run_.Undefined(fmt::format("a {} has no such element", TypeName(object)));
}

// A method bound to its object, or kMissing when there is none of this name.
Value Evaluator::Method(const Value& object, const std::string& name) {
  switch (MethodOf(object, name)) {
    case MethodKind::kNone:
      return Value::Missing();
    case MethodKind::kChanges:
      return run_.Undefined(fmt::format("'{}' would change a {}, which a template may not", name, TypeName(object)));
    case MethodKind::kReads:
      break;
  }
  return run_.NewCallable({.type = Callable::Type::kMethod, .self = object, .name = name});
}

Value Evaluator::Call(const Value& callee, const CallArguments& arguments) {
  if (run_.failed()) return {};
  if (callee.Is(Kind::kUndefined)) return run_.Fail(WhyUndefined(callee));
  if (callee.Is(Kind::kLoop)) return CallLoopMethod(*callee.loop, "", arguments);
  if (!callee.Is(Kind::kCallable)) return run_.Fail(fmt::format("a {} cannot be called", TypeName(callee)));
  switch (callee.callable->type) {
    case Callable::Type::kMacro:
      return CallMacro(*callee.callable, arguments);
    case Callable::Type::kMethod:
      return CallMethod(*callee.callable, arguments);
    case Callable::Type::kFunction:
      return callee.callable->function(*this, arguments);
  }
  return {};
}

Value Evaluator::CallMethod(const Callable& method, const CallArguments& arguments) {
  switch (method.self.kind) {
    case Kind::kText:
      return CallTextMethod(run_, *method.self.text, method.name, arguments);
    case Kind::kLoop:
      return CallLoopMethod(*method.self.loop, method.name, arguments);
    default:
      return CallContainerMethod(run_, method.self, method.name, arguments);
  }
}

}  // namespace tenfold::jinja
