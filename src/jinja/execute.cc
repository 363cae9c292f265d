// The statements of a template: what prints, loops, assigns and calls.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "jinja/evaluator.h"
#include "jinja/filters.h"
#include "jinja/nested.h"
#include "jinja/operators.h"
#include "jinja/python_text.h"

namespace tenfold::jinja {

Evaluator::Evaluator(Run& run, const Ast& ast, const Value& context, int64_t now_unix_s)
    : run_(run), ast_(ast), context_(context), now_unix_s_(now_unix_s) {}

MarkedText Evaluator::Render() {
  MarkedText out;
  out_ = &out;
  Execute(ast_.body, NewScope(nullptr));
  return out;
}

Scope* Evaluator::NewScope(Scope* parent) {
  Scope* scope = run_.Make<Scope>();
  scope->parent = parent;
  return scope;
}

void Evaluator::Set(Scope* scope, NameId name, const Value& value) {
  for (auto& [known, place] : scope->variables) {
    if (known == name) {
      place = value;
      return;
    }
  }
  scope->variables.emplace_back(name, value);
}

void Evaluator::Print(const Value& value) {
  const MarkedText text = value.Is(Kind::kText) ? MarkedText() : ToText(run_, value);
  const MarkedText& printed = value.Is(Kind::kText) ? value.text->marked : text;
  if (!run_.Reserve(printed.size() + printed.data().size() * sizeof(ByteRange))) return;
  if (out_->size() + printed.size() > run_.limits().output_bytes) {
    run_.Fail(fmt::format("the template prints more than {} MiB", run_.limits().output_bytes >> 20));
    return;
  }
  out_->Append(printed);
}

void Evaluator::PrintText(const Value& value) {
  if (!run_.failed() && !value.Is(Kind::kText)) {
    run_.Fail(fmt::format("a block must give a string, not {}", TypeName(value)));
  }
  Print(value);
}

Value Evaluator::Capture(const Body& body, Scope* scope) {
  MarkedText captured;
  MarkedText* const outer = std::exchange(out_, &captured);
  Execute(body, scope);
  out_ = outer;
  return run_.NewText(std::move(captured));
}

Evaluator::Flow Evaluator::Execute(const Body& body, Scope* scope) {
  const Nested nested(*this);
  if (!nested.ok()) return Flow::kBreak;
  for (const Node* node : body) {
    const Flow flow = ExecuteNode(*node, scope);
    if (run_.failed()) return Flow::kBreak;
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::ExecuteNode(const Node& node, Scope* scope) {
  run_.set_line(node.line);
  if (!run_.Charge(1)) return Flow::kBreak;
  switch (node.kind) {
    case NodeKind::kText:
      Print(node.text);
      break;
    case NodeKind::kOutput:
      Print(Eval(*node.expr, scope));
      break;
    case NodeKind::kIf:
      return ExecuteIf(node, scope);
    case NodeKind::kFor:
      ExecuteFor(node, scope);
      break;
    case NodeKind::kSet: {
      const Value value = Eval(*node.expr, scope);
      Assign(*node.target, value, scope);
      break;
    }
    case NodeKind::kSetBlock: {
      Value value = Capture(node.body, NewScope(scope));
      if (node.expr != nullptr && !run_.failed()) value = EvalFilters(*node.expr, scope, value);
      Assign(*node.target, value, scope);
      break;
    }
    case NodeKind::kMacro: {
      Value macro = run_.NewCallable({.type = Callable::Type::kMacro, .macro = node.macro, .scope = scope});
      for (Scope* s = scope; s != nullptr && !s->captured; s = s->parent) s->captured = true;
      run_.Charge(scope->variables.size() / 16);
      Set(scope, node.name, macro);
      break;
    }
    case NodeKind::kCallBlock:
      ExecuteCallBlock(node, scope);
      break;
    case NodeKind::kFilterBlock: {
      const Value body = Capture(node.body, NewScope(scope));
      if (!run_.failed()) PrintText(EvalFilters(*node.expr, scope, body));
      break;
    }
    case NodeKind::kWith:
      ExecuteWith(node, scope);
      break;
    case NodeKind::kScope:
      Execute(node.body, NewScope(scope));
      break;
    case NodeKind::kBreak:
      return Flow::kBreak;
    case NodeKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::ExecuteIf(const Node& node, Scope* scope) {
  for (const auto& [condition, body] : node.branches) {
    if (condition != nullptr) {
      const bool holds = Truthy(Eval(*condition, scope));
      if (run_.failed()) return Flow::kBreak;
      if (!holds) continue;
    }
    return Execute(body, scope);
  }
  return Flow::kNext;
}

void Evaluator::ExecuteFor(const Node& node, Scope* scope) {
  const Value items = Eval(*node.expr, scope);
  run_.set_line(node.line);
  if (!run_.failed()) WalkLoop(node, scope, items, 0);
}

// Looks at the next item that passes the loop's filter, without walking to it. The filter is asked as late as possible:
// it may read what the body changes.
bool Evaluator::FetchAhead(LoopState& loop) {
  while (loop.next < loop.source.size() && run_.Charge(1)) {
    const Value item = loop.source[loop.next++];
    if (loop.node->condition != nullptr) {
      Scope* scope = NewScope(loop.outer);
      Assign(*loop.node->target, item, scope);
      if (!Truthy(Eval(*loop.node->condition, scope))) continue;
    }
    if (run_.failed()) return false;
    loop.ahead.push_back(item);
    return true;
  }
  return false;
}

void Evaluator::WalkLoop(const Node& node, Scope* outer, const Value& items, int64_t depth0) {
  static const std::string kLoop = "loop";
  LoopState* loop = run_.Make<LoopState>();
  loop->node = &node;
  loop->outer = outer;
  loop->depth0 = depth0;
  if (!Iterate(run_, items, &loop->source)) return;
  Value loop_value = Value::Of(Kind::kLoop);
  loop_value.loop = loop;
  const auto loop_name = ast_.name_ids.find(kLoop);  // absent when the template never says it
  Scope* scope = NewScope(outer);
  while (!run_.failed() && (!loop->ahead.empty() || FetchAhead(*loop))) {
    loop->previous = loop->current;
    loop->current = loop->ahead.front();
    loop->ahead.pop_front();
    ++loop->index0;
    if (scope->captured) scope = NewScope(outer);
    scope->variables.clear();
    if (loop_name != ast_.name_ids.end()) Set(scope, loop_name->second, loop_value);
    Assign(*node.target, loop->current, scope);
    if (run_.failed() || Execute(node.body, scope) == Flow::kBreak) return;
  }
  if (loop->index0 < 0 && !run_.failed()) Execute(node.otherwise, NewScope(outer));
}

void Evaluator::ExecuteWith(const Node& node, Scope* scope) {
  Scope* inner = NewScope(scope);
  for (const auto& [target, expr] : node.assignments) {
    const Value value = Eval(*expr, scope);
    Assign(*target, value, inner);
  }
  Execute(node.body, inner);
}

void Evaluator::ExecuteCallBlock(const Node& node, Scope* scope) {
  for (Scope* s = scope; s != nullptr && !s->captured; s = s->parent) s->captured = true;
  const Value caller = run_.NewCallable({.type = Callable::Type::kMacro, .macro = node.macro, .scope = scope});
  const Value callee = Eval(*node.expr->children[0], scope);
  CallArguments arguments = EvalArguments(node.expr->arguments, scope);
  arguments.named.emplace_back("caller", caller);
  run_.set_line(node.line);
  PrintText(Call(callee, arguments));
}

void Evaluator::Assign(const Expr& target, const Value& value, Scope* scope) {
  if (run_.failed()) return;
  if (target.kind == ExprKind::kName) {
    if (run_.Charge(scope->variables.size() / 16 + 1)) Set(scope, target.name, value);
    return;
  }
  if (target.kind == ExprKind::kNamespaceTarget) {
    Expr name;
    name.kind = ExprKind::kName;
    name.name = target.name;
    name.line = target.line;
    const Value space = EvalName(name, scope);
    if (!space.Is(Kind::kNamespace)) {
      run_.Fail(fmt::format("'{}' is no namespace, so its attribute '{}' cannot be set", ast_.names[target.name],
                            target.text));
    } else if (run_.Charge(1)) {  // what it is called stands in the source, which bounds how many there are
      space.space->attributes[target.text] = value;
    }
    return;
  }
  std::vector<Value> items;
  if (!Iterate(run_, value, &items)) return;
  if (items.size() != target.children.size()) {
    run_.Fail(fmt::format("{} names for {} values", target.children.size(), items.size()));
    return;
  }
  for (size_t i = 0; i < items.size(); ++i) Assign(*target.children[i], items[i], scope);
}

Value Evaluator::LoopAttribute(LoopState& loop, std::string_view name) {
  const auto length = [&] {
    while (FetchAhead(loop)) {
    }
    return loop.index0 + 1 + static_cast<int64_t>(loop.ahead.size());
  };
  if (name == "index") return Value::Int(loop.index0 + 1);
  if (name == "index0") return Value::Int(loop.index0);
  if (name == "first") return Value::Bool(loop.index0 == 0);
  if (name == "last") return Value::Bool(loop.ahead.empty() && !FetchAhead(loop));
  if (name == "length") return Value::Int(length());
  if (name == "revindex") return Value::Int(length() - loop.index0);
  if (name == "revindex0") return Value::Int(length() - loop.index0 - 1);
  if (name == "depth") return Value::Int(loop.depth0 + 1);
  if (name == "depth0") return Value::Int(loop.depth0);
  if (name == "previtem") {
    return loop.previous.Is(Kind::kMissing) ? run_.Undefined("there is no previous item") : loop.previous;
  }
  if (name == "nextitem") {
    if (loop.ahead.empty() && !FetchAhead(loop)) return run_.Undefined("there is no next item");
    return loop.ahead.front();
  }
  if (name == "cycle" || name == "changed") {
    Value self = Value::Of(Kind::kLoop);
    self.loop = &loop;
    return run_.NewCallable({.type = Callable::Type::kMethod, .self = self, .name = std::string(name)});
  }
  return run_.Undefined(fmt::format("loop has no attribute '{}'", name.substr(0, 100)));
}

// loop.cycle(...), loop.changed(...), and loop(items) of a recursive loop, whose name is "".
Value Evaluator::CallLoopMethod(LoopState& loop, const std::string& name, const CallArguments& arguments) {
  if (name == "cycle") {
    if (arguments.positional.empty()) return run_.Fail("loop.cycle needs something to cycle through");
    return arguments.positional[static_cast<size_t>(loop.index0) % arguments.positional.size()];
  }
  if (name == "changed") {
    const Value seen = run_.NewTuple(arguments.positional);
    const bool changed = loop.changed.Is(Kind::kMissing) || !Equals(run_, loop.changed, seen);
    loop.changed = seen;
    return Value::Bool(changed);
  }
  if (!loop.node->recursive) return run_.Fail("loop(...) needs {% for ... recursive %}");
  std::vector<Value> bound;
  if (!arguments.Bind(run_, "loop", "iterable", 1, &bound)) return {};
  const Nested nested(*this);
  if (!nested.ok()) return {};
  MarkedText captured;
  MarkedText* const outer = std::exchange(out_, &captured);
  WalkLoop(*loop.node, loop.outer, bound[0], loop.depth0 + 1);
  out_ = outer;
  return run_.NewText(std::move(captured));
}

Value Evaluator::CallMacro(const Callable& macro, const CallArguments& arguments) {
  const Nested nested(*this);
  if (!nested.ok()) return {};
  Scope* frame = NewScope(macro.scope);
  if (!BindParameters(*macro.macro, frame, arguments)) return {};
  return Capture(macro.macro->body, frame);
}

// Fills the macro's frame: parameters, defaults, and varargs, kwargs, caller where its body says them.
bool Evaluator::BindParameters(const MacroNode& macro, Scope* frame, const CallArguments& arguments) {
  const auto& parameters = macro.parameters;
  const size_t given = std::min(parameters.size(), arguments.positional.size());
  std::vector<Value> values(arguments.positional.begin(), arguments.positional.begin() + static_cast<ptrdiff_t>(given));
  values.resize(parameters.size(), Value::Missing());
  std::vector<std::pair<Value, Value>> rest;
  Value caller = Value::Missing();
  for (const auto& [name, value] : arguments.named) {
    const auto is_named = [&, n = name](NameId id) { return ast_.names[id] == n; };
    const auto it = std::find_if(parameters.begin(), parameters.end(), is_named);
    run_.Charge(parameters.size() / 4 + 1);
    if (it != parameters.end()) {
      Value& place = values[static_cast<size_t>(it - parameters.begin())];
      if (!place.Is(Kind::kMissing)) run_.Fail(fmt::format("macro '{}' got argument '{}' twice", macro.name, name));
      place = value;
    } else if (name == "caller" && macro.uses_caller) {
      caller = value;
    } else if (macro.uses_kwargs) {
      rest.emplace_back(run_.NewText(name), value);
    } else {
      run_.Fail(fmt::format("macro '{}' takes no argument '{}'", macro.name, name.substr(0, 100)));
    }
  }
  if (arguments.positional.size() > parameters.size() && !macro.uses_varargs) {
    run_.Fail(fmt::format("macro '{}' takes at most {} arguments, not {}", macro.name, parameters.size(),
                          arguments.positional.size()));
  }
  const auto set = [&](const char* name, const Value& value) {
    const auto id = ast_.name_ids.find(name);
    if (id != ast_.name_ids.end()) Set(frame, id->second, value);
  };
  if (macro.uses_caller) {
    set("caller", caller.Is(Kind::kMissing) ? run_.Undefined("no caller is defined: use {% call %}") : caller);
  }
  if (macro.uses_kwargs) set("kwargs", run_.NewDict(std::move(rest)));
  if (macro.uses_varargs) {
    set("varargs",
        run_.NewTuple({arguments.positional.begin() + static_cast<ptrdiff_t>(given), arguments.positional.end()}));
  }
  const size_t without_default = parameters.size() - macro.defaults.size();
  for (size_t i = 0; i < parameters.size() && !run_.failed(); ++i) {
    Value value = values[i];
    if (value.Is(Kind::kMissing)) {
      value = i < without_default
                  ? run_.Undefined(fmt::format("parameter '{}' was not given", ast_.names[parameters[i]]))
                  : Eval(*macro.defaults[i - without_default], frame);
    }
    Set(frame, parameters[i], value);
  }
  return !run_.failed();
}

}  // namespace tenfold::jinja
