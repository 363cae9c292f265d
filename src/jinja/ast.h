// A parsed template: statements and expressions, flat in one owner, so that freeing them never recurses.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace tenfold::jinja {

struct Filter;     // filters.h
struct ValueTest;  // value_tests.h

using NameId = uint32_t;  // index into Ast::names

enum class ExprKind : uint8_t {
  kConstant,
  kName,
  kTuple,
  kList,
  kDict,        // children: key, value, key, value, ...
  kAttribute,   // children[0].text
  kSubscript,   // children[0][children[1]]
  kSlice,       // children[0][a:b:c]; null where left out
  kCall,        // children[0](arguments)
  kFilter,      // children[0], or null inside a filter block, through `filter`
  kTest,        // children[0] is `test`
  kUnary,       // text: "-", "+", "not"
  kArithmetic,  // children[0] op children[1] op ..., left to right; ops
  kConcat,      // children joined with ~
  kCompare,     // children with ops between: "==", ..., "in", "not in"
  kAnd,         // children
  kOr,
  kConditional,      // children: then, condition, else or null
  kNamespaceTarget,  // name.text, to be assigned to
};

struct Expr;

// What stands between the parentheses of a call, filter or test.
struct Arguments {
  std::vector<Expr*> positional;
  std::vector<std::pair<std::string, Expr*>> named;
  Expr* star = nullptr;         // *expr
  Expr* double_star = nullptr;  // **expr
};

struct Expr {
  ExprKind kind = ExprKind::kConstant;
  int line = 1;
  int depth = 1;  // of the tree below, this node counted
  NameId name = 0;
  Value constant{};
  std::string text{};
  std::vector<std::string> ops{};
  std::vector<Expr*> children{};
  Arguments arguments{};
  const Filter* filter = nullptr;
  const ValueTest* test = nullptr;
};

enum class NodeKind : uint8_t {
  kText,
  kOutput,
  kIf,
  kFor,
  kSet,
  kSetBlock,
  kMacro,
  kCallBlock,
  kFilterBlock,
  kWith,
  kScope,  // {% generation %}: prints its body, keeps its variables to itself
  kBreak,
  kContinue,
};

struct Node;
using Body = std::vector<Node*>;

// Parameters and body of a macro or of a call block (its `caller`).
struct MacroNode {
  std::string name{};
  std::vector<NameId> parameters{};
  std::vector<Expr*> defaults{};  // of the last parameters
  Body body{};
  bool uses_caller = false;
  bool uses_varargs = false;
  bool uses_kwargs = false;
};

struct Node {
  NodeKind kind = NodeKind::kText;
  int line = 1;
  Value text{};  // kText
  Expr* expr =
      nullptr;  // kOutput, kSet, kFor (what is walked), kCallBlock (the call), kFilterBlock, kSetBlock (filter or null)
  Expr* target = nullptr;     // kSet, kSetBlock, kFor
  Expr* condition = nullptr;  // kFor: the loop's filter, or null
  bool recursive = false;     // kFor
  Body body{};
  Body otherwise{};                                    // kFor: else
  std::vector<std::pair<Expr*, Body>> branches{};      // kIf; a null condition is else
  std::vector<std::pair<Expr*, Expr*>> assignments{};  // kWith
  NameId name = 0;                                     // kMacro
  MacroNode* macro = nullptr;                          // kMacro, kCallBlock
};

struct Ast {
  Body body;
  std::vector<std::string> names;
  std::map<std::string, NameId> name_ids;
  std::deque<Text> texts;  // of constants
  std::deque<Expr> exprs;
  std::deque<Node> nodes;
  std::deque<MacroNode> macros;

  NameId Intern(const std::string& name) {
    const auto [it, is_new] = name_ids.emplace(name, static_cast<NameId>(names.size()));
    if (is_new) names.push_back(name);
    return it->second;
  }
  Value NewText(std::string bytes);
};

}  // namespace tenfold::jinja
