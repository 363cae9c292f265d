// Tokens to a tree. Two files: statements (parser.cc) and expressions (expression_parser.cc).
//
// Recursive descent, so its depth is bounded by kMaxNesting; trees that grow to the left without recursion (a.b.c|f|g)
// are bounded by kMaxExpressionDepth, because evaluation recurses over them. After the first problem the parser stands
// at the end of the tokens, so every loop ends.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "jinja/ast.h"
#include "jinja/lexer.h"

namespace tenfold::jinja {

inline constexpr int kMaxNesting = 100;          // blocks in blocks, brackets in brackets
inline constexpr int kMaxExpressionDepth = 200;  // of one expression's tree

class Parser {
 public:
  Parser(std::vector<Token> tokens, Ast& ast) : tokens_(std::move(tokens)), ast_(ast) {}

  // Fills the tree. The error names the line and what is wrong there.
  Status Parse();

 private:
  // Where tokens are looked at.
  const Token& current() const { return tokens_[pos_]; }
  const Token& next() const { return tokens_[std::min(pos_ + 1, tokens_.size() - 1)]; }
  void Skip() { pos_ = std::min(pos_ + 1, tokens_.size() - 1); }
  bool IsOperator(std::string_view op) const { return current().type == TokenType::kOperator && current().text == op; }
  bool IsName(std::string_view name) const { return current().type == TokenType::kName && current().text == name; }
  bool SkipOperator(std::string_view op);
  bool SkipName(std::string_view name);
  void ExpectOperator(std::string_view op);
  void ExpectType(TokenType type, std::string_view what);
  std::string ExpectName(std::string_view what);
  std::string Found() const;  // the current token, for a message
  void Fail(std::string message) { FailAt(current().line, std::move(message)); }
  void FailAt(int line, std::string message);
  bool failed() const { return error_.has_value(); }

  Expr* NewExpr(ExprKind kind, int line);
  Expr* Finish(Expr* expr);  // computes the depth of a node whose children are complete
  Node* NewNode(NodeKind kind, int line);
  Expr* Constant(Value value, int line);

  // Statements. A body ends before the first tag named in `ends`.
  Body ParseBody(std::initializer_list<std::string_view> ends, std::string_view opener, int opener_line);
  Node* ParseStatement();
  Node* ParseIf(int line);
  Node* ParseFor(int line);
  Node* ParseSet(int line);
  Node* ParseMacro(int line);
  Node* ParseCallBlock(int line);
  Node* ParseFilterBlock(int line);
  Node* ParseWith(int line);
  void ParseSignature(MacroNode& macro);
  Body ParseMacroBody(MacroNode& macro, std::string_view end, std::string_view opener, int line);
  void EndStatement();
  Expr* ParseTarget(bool with_namespace, bool with_tuple);
  Expr* ParseOneTarget(bool with_namespace);

  // Expressions.
  struct TupleRules {
    bool with_conditional = true;
    bool explicit_parentheses = false;
    std::string_view end_name = "";  // this word ends the tuple as well
  };
  Expr* ParseTuple(TupleRules rules);
  Expr* ParseExpression(bool with_conditional = true);
  Expr* ParseOr();
  Expr* ParseAnd();
  Expr* ParseNot();
  Expr* ParseCompare();
  Expr* ParseSum();
  Expr* ParseConcat();
  Expr* ParseProduct();
  Expr* ParsePower();
  Expr* ParseUnary(bool with_filters);
  Expr* ParsePrimary();
  Expr* ParseList();
  Expr* ParseDict();
  Expr* ParsePostfix(Expr* expr);
  Expr* ParseFilters(Expr* expr);
  Expr* ParseFilter(Expr* subject);
  Expr* ParseTest(Expr* subject);
  Expr* ParseDot(Expr* object);
  Expr* ParseSubscript(Expr* object);
  Expr* ParseSliceOrIndex(Expr* object);
  Expr* ParseCall(Expr* callee);
  void ParseArguments(Arguments& out);
  bool AtTupleEnd(std::string_view end_name) const;
  // Operators of one precedence, left to right.
  Expr* ParseChain(std::initializer_list<std::string_view> ops, Expr* (Parser::*operand)());

  const std::vector<Token> tokens_;
  Ast& ast_;
  size_t pos_ = 0;
  int nesting_ = 0;
  int loops_ = 0;                   // for blocks around, inside the current macro
  std::vector<MacroNode*> macros_;  // macros around
  std::optional<std::string> error_;
};

}  // namespace tenfold::jinja
