// Walks a parsed template over a context. Two files: expressions (evaluate.cc) and statements (execute.cc).
//
// Why a tree walk: prompts take well under a millisecond, and a template's worst case is bounded by counted steps
// whatever executes it. Recursion follows the tree and macro calls; Limits::depth bounds it.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "jinja/ast.h"
#include "jinja/callable.h"
#include "jinja/run.h"
#include "jinja/value.h"

namespace tenfold::jinja {

// A for loop under way; what `loop` names in its body.
struct LoopState {
  const Node* node = nullptr;
  Scope* outer = nullptr;
  std::vector<Value> source{};
  size_t next = 0;            // of source, not yet looked at
  std::deque<Value> ahead{};  // looked at, passed the loop's filter, not yet walked
  Value previous = Value::Missing();
  Value current = Value::Missing();
  int64_t index0 = -1;
  int64_t depth0 = 0;                // of recursion
  Value changed = Value::Missing();  // what loop.changed() saw last
};

class Evaluator {
 public:
  // `context`: a dict of the variables. now_unix_s: what strftime_now tells. All must outlive this.
  Evaluator(Run& run, const Ast& ast, const Value& context, int64_t now_unix_s);

  // The text, with marks; look at run.failed() first.
  MarkedText Render();

  Run& run() { return run_; }
  int64_t now_unix_s() const { return now_unix_s_; }

  // value.name as templates see it: methods of dicts win over their keys.
  Value Attribute(const Value& object, const Value& name);
  // value[key]: keys win over methods.
  Value Subscript(const Value& object, const Value& key);
  Value Call(const Value& callee, const CallArguments& arguments);

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };
  // Counts nesting for as long as it lives.
  class Nested;

  Value Eval(const Expr& expr, Scope* scope);
  Value EvalName(const Expr& expr, Scope* scope);
  Value EvalDict(const Expr& expr, Scope* scope);
  Value EvalChain(const Expr& expr, Scope* scope);
  Value EvalConcat(const Expr& expr, Scope* scope);
  Value EvalCompare(const Expr& expr, Scope* scope);
  Value EvalConditional(const Expr& expr, Scope* scope);
  Value EvalSlice(const Expr& expr, Scope* scope);
  Value EvalUnary(const Expr& expr, Scope* scope);
  std::vector<Value> EvalAll(const std::vector<Expr*>& exprs, Scope* scope);
  CallArguments EvalArguments(const Arguments& arguments, Scope* scope);
  // Applies a chain of filters that has no subject of its own to `subject`.
  Value EvalFilters(const Expr& expr, Scope* scope, const Value& subject);

  Value Method(const Value& object, const std::string& name);
  Value LoopAttribute(LoopState& loop, std::string_view name);
  Value CallMethod(const Callable& method, const CallArguments& arguments);
  Value CallLoopMethod(LoopState& loop, const std::string& name, const CallArguments& arguments);
  Value CallMacro(const Callable& macro, const CallArguments& arguments);
  bool BindParameters(const MacroNode& macro, Scope* frame, const CallArguments& arguments);

  Flow Execute(const Body& body, Scope* scope);
  Flow ExecuteNode(const Node& node, Scope* scope);
  Flow ExecuteIf(const Node& node, Scope* scope);
  void ExecuteFor(const Node& node, Scope* scope);
  void WalkLoop(const Node& node, Scope* outer, const Value& items, int64_t depth0);
  bool FetchAhead(LoopState& loop);
  void ExecuteWith(const Node& node, Scope* scope);
  void ExecuteCallBlock(const Node& node, Scope* scope);
  void Assign(const Expr& target, const Value& value, Scope* scope);
  // What a body prints, instead of printing it.
  Value Capture(const Body& body, Scope* scope);
  void Print(const Value& value);
  void PrintText(const Value& value);  // of filter and call blocks: anything else fails, as in jinja2

  Scope* NewScope(Scope* parent);
  static void Set(Scope* scope, NameId name, const Value& value);

  Run& run_;
  const Ast& ast_;
  const Value context_;
  const int64_t now_unix_s_;
  MarkedText* out_ = nullptr;
  int depth_ = 0;
};

}  // namespace tenfold::jinja
