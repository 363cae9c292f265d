#include "jinja/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "jinja/filters.h"
#include "jinja/utf8.h"

namespace tenfold::jinja {

Value Ast::NewText(std::string bytes) {
  Text& text = texts.emplace_back();
  text.characters = CountCharacters(bytes);
  text.marked = MarkedText(bytes, false);
  Value value = Value::Of(Kind::kText);
  value.text = &text;
  return value;
}

Status Parser::Parse() {
  ast_.body = ParseBody({}, "", 1);
  if (error_) return Error{ErrorCode::kInvalidArgument, *error_};
  return {};
}

void Parser::FailAt(int line, std::string message) {
  if (!error_) error_ = fmt::format("line {}: {}", line, message);
  pos_ = tokens_.size() - 1;
}

bool Parser::SkipOperator(std::string_view op) {
  if (!IsOperator(op)) return false;
  Skip();
  return true;
}

bool Parser::SkipName(std::string_view name) {
  if (!IsName(name)) return false;
  Skip();
  return true;
}

std::string Parser::Found() const {
  switch (current().type) {
    case TokenType::kEnd:
      return "the end of the template";
    case TokenType::kText:
      return "text";
    case TokenType::kOutputBegin:
      return "'{{'";
    case TokenType::kOutputEnd:
      return "'}}'";
    case TokenType::kStatementBegin:
      return "'{%'";
    case TokenType::kStatementEnd:
      return "'%}'";
    case TokenType::kString:
      return "a string";
    default:
      return fmt::format("'{}'", current().text.substr(0, 100));
  }
}

void Parser::ExpectOperator(std::string_view op) {
  if (!SkipOperator(op)) Fail(fmt::format("expected '{}', found {}", op, Found()));
}

void Parser::ExpectType(TokenType type, std::string_view what) {
  if (current().type != type) return Fail(fmt::format("expected {}, found {}", what, Found()));
  Skip();
}

std::string Parser::ExpectName(std::string_view what) {
  if (current().type != TokenType::kName) {
    Fail(fmt::format("expected {}, found {}", what, Found()));
    return "";
  }
  std::string name = current().text;
  Skip();
  return name;
}

Expr* Parser::NewExpr(ExprKind kind, int line) {
  Expr& expr = ast_.exprs.emplace_back();
  expr.kind = kind;
  expr.line = line;
  return &expr;
}

Expr* Parser::Finish(Expr* expr) {
  const auto look = [&](const Expr* child) {
    if (child != nullptr) expr->depth = std::max(expr->depth, child->depth + 1);
  };
  for (const Expr* child : expr->children) look(child);
  for (const Expr* argument : expr->arguments.positional) look(argument);
  for (const auto& [name, argument] : expr->arguments.named) look(argument);
  look(expr->arguments.star);
  look(expr->arguments.double_star);
  if (expr->depth > kMaxExpressionDepth) {
    FailAt(expr->line, fmt::format("an expression of more than {} nested operations", kMaxExpressionDepth));
  }
  return expr;
}

Node* Parser::NewNode(NodeKind kind, int line) {
  Node& node = ast_.nodes.emplace_back();
  node.kind = kind;
  node.line = line;
  return &node;
}

Body Parser::ParseBody(std::initializer_list<std::string_view> ends, std::string_view opener, int opener_line) {
  Body body;
  if (++nesting_ > kMaxNesting) Fail(fmt::format("blocks nested more than {} deep", kMaxNesting));
  while (current().type != TokenType::kEnd) {
    const int line = current().line;
    if (current().type == TokenType::kText) {
      Node* node = NewNode(NodeKind::kText, line);
      node->text = ast_.NewText(current().text);
      body.push_back(node);
      Skip();
    } else if (current().type == TokenType::kOutputBegin) {
      Skip();
      Node* node = NewNode(NodeKind::kOutput, line);
      node->expr = ParseTuple({});
      ExpectType(TokenType::kOutputEnd, "'}}'");
      body.push_back(node);
    } else {
      ExpectType(TokenType::kStatementBegin, "'{%'");
      const auto is_end = [&](std::string_view end) { return IsName(end); };
      if (std::any_of(ends.begin(), ends.end(), is_end)) {
        --nesting_;
        return body;
      }
      if (Node* node = ParseStatement()) body.push_back(node);
    }
  }
  --nesting_;
  if (!opener.empty()) {
    FailAt(opener_line, fmt::format("{{% {} %}} is never closed by {{% {} %}}", opener, *(ends.end() - 1)));
  }
  return body;
}

void Parser::EndStatement() { ExpectType(TokenType::kStatementEnd, "'%}'"); }

// After "{%"; consumes up to and with the "%}" of the last tag that belongs to the statement.
Node* Parser::ParseStatement() {
  const int line = current().line;
  const std::string tag = ExpectName("the name of a tag");
  if (failed()) return nullptr;
  if (tag == "if") return ParseIf(line);
  if (tag == "for") return ParseFor(line);
  if (tag == "set") return ParseSet(line);
  if (tag == "macro") return ParseMacro(line);
  if (tag == "call") return ParseCallBlock(line);
  if (tag == "filter") return ParseFilterBlock(line);
  if (tag == "with") return ParseWith(line);
  if (tag == "break" || tag == "continue") {
    if (loops_ == 0) FailAt(line, fmt::format("'{}' outside of a loop", tag));
    EndStatement();
    return NewNode(tag == "break" ? NodeKind::kBreak : NodeKind::kContinue, line);
  }
  if (tag == "generation") {
    EndStatement();
    Node* node = NewNode(NodeKind::kScope, line);
    const int loops = std::exchange(loops_, 0);
    node->body = ParseBody({"endgeneration"}, tag, line);
    loops_ = loops;
    Skip();
    EndStatement();
    return node;
  }
  if (tag == "print") {
    Node* node = NewNode(NodeKind::kOutput, line);
    node->expr = ParseTuple({});
    EndStatement();
    return node;
  }
  const bool is_jinja = tag == "block" || tag == "extends" || tag == "include" || tag == "import" || tag == "from" ||
                        tag == "autoescape" || tag == "do" || tag == "trans";
  FailAt(line, fmt::format("{} tag '{}'", is_jinja ? "unsupported" : "unknown", tag.substr(0, 100)));
  return nullptr;
}

Node* Parser::ParseIf(int line) {
  Node* node = NewNode(NodeKind::kIf, line);
  Expr* condition = ParseTuple({.with_conditional = false});
  EndStatement();
  while (!failed()) {
    Body body = ParseBody({"elif", "else", "endif"}, "if", line);
    node->branches.emplace_back(condition, std::move(body));
    if (SkipName("elif")) {
      condition = ParseTuple({.with_conditional = false});
      EndStatement();
      continue;
    }
    if (SkipName("else")) {
      EndStatement();
      node->branches.emplace_back(nullptr, ParseBody({"endif"}, "if", line));
    }
    Skip();
    EndStatement();
    break;
  }
  return node;
}

Node* Parser::ParseFor(int line) {
  Node* node = NewNode(NodeKind::kFor, line);
  node->target = ParseTarget(/*with_namespace=*/false, /*with_tuple=*/true);
  if (!SkipName("in")) Fail(fmt::format("expected 'in', found {}", Found()));
  node->expr = ParseTuple({.with_conditional = false, .end_name = "recursive"});
  if (SkipName("if")) node->condition = ParseExpression();
  node->recursive = SkipName("recursive");
  EndStatement();
  ++loops_;
  node->body = ParseBody({"else", "endfor"}, "for", line);
  --loops_;
  if (SkipName("else")) {
    EndStatement();
    node->otherwise = ParseBody({"endfor"}, "for", line);
  }
  Skip();
  EndStatement();
  return node;
}

Node* Parser::ParseSet(int line) {
  Node* node = NewNode(NodeKind::kSet, line);
  node->target = ParseTarget(/*with_namespace=*/true, /*with_tuple=*/true);
  if (SkipOperator("=")) {
    node->expr = ParseTuple({});
    EndStatement();
    return node;
  }
  node->kind = NodeKind::kSetBlock;
  if (IsOperator("|")) node->expr = ParseFilters(nullptr);
  EndStatement();
  node->body = ParseBody({"endset"}, "set", line);
  Skip();
  EndStatement();
  return node;
}

Expr* Parser::ParseOneTarget(bool with_namespace) {
  const int line = current().line;
  if (SkipOperator("(")) {
    if (++nesting_ > kMaxNesting) Fail(fmt::format("brackets nested more than {} deep", kMaxNesting));
    Expr* inner = ParseTarget(with_namespace, true);
    --nesting_;
    ExpectOperator(")");
    return inner;
  }
  const std::string name = ExpectName("the name of a variable");
  static constexpr std::string_view kReserved[] = {"true", "false", "none", "True", "False", "None"};
  if (std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved)) {
    FailAt(line, fmt::format("'{}' cannot be assigned to", name));
  }
  const bool is_attribute = with_namespace && SkipOperator(".");
  Expr* target = NewExpr(is_attribute ? ExprKind::kNamespaceTarget : ExprKind::kName, line);
  target->name = ast_.Intern(name);
  if (is_attribute) target->text = ExpectName("the name of an attribute");
  return target;
}

Expr* Parser::ParseTarget(bool with_namespace, bool with_tuple) {
  const int line = current().line;
  Expr* first = ParseOneTarget(with_namespace);
  if (!with_tuple || !IsOperator(",")) return first;
  Expr* tuple = NewExpr(ExprKind::kTuple, line);
  tuple->children.push_back(first);
  while (!failed() && SkipOperator(",")) {
    if (current().type == TokenType::kStatementEnd || IsOperator("=") || IsOperator(")") || IsName("in")) break;
    tuple->children.push_back(ParseOneTarget(with_namespace));
  }
  return Finish(tuple);
}

void Parser::ParseSignature(MacroNode& macro) {
  ExpectOperator("(");
  while (!failed() && !IsOperator(")")) {
    if (!macro.parameters.empty()) ExpectOperator(",");
    if (IsOperator(")")) break;
    const std::string name = ExpectName("the name of a parameter");
    const NameId id = ast_.Intern(name);
    if (std::find(macro.parameters.begin(), macro.parameters.end(), id) != macro.parameters.end()) {
      Fail(fmt::format("two parameters are called '{}'", name));
    }
    macro.parameters.push_back(id);
    if (SkipOperator("=")) {
      macro.defaults.push_back(ParseExpression());
    } else if (!macro.defaults.empty()) {
      Fail(fmt::format("parameter '{}' without a default follows one that has one", name));
    }
  }
  ExpectOperator(")");
}

Body Parser::ParseMacroBody(MacroNode& macro, std::string_view end, std::string_view opener, int line) {
  const int loops = std::exchange(loops_, 0);
  macros_.push_back(&macro);
  Body body = ParseBody({end}, opener, line);
  macros_.pop_back();
  loops_ = loops;
  Skip();
  EndStatement();
  return body;
}

Node* Parser::ParseMacro(int line) {
  Node* node = NewNode(NodeKind::kMacro, line);
  node->macro = &ast_.macros.emplace_back();
  node->macro->name = ExpectName("the name of a macro");
  node->name = ast_.Intern(node->macro->name);
  ParseSignature(*node->macro);
  EndStatement();
  node->macro->body = ParseMacroBody(*node->macro, "endmacro", "macro", line);
  return node;
}

Node* Parser::ParseCallBlock(int line) {
  Node* node = NewNode(NodeKind::kCallBlock, line);
  node->macro = &ast_.macros.emplace_back();
  node->macro->name = "caller";
  if (IsOperator("(")) ParseSignature(*node->macro);
  node->expr = ParseExpression();
  if (!failed() && node->expr->kind != ExprKind::kCall) FailAt(line, "{% call %} needs a call, as in {% call m() %}");
  EndStatement();
  node->macro->body = ParseMacroBody(*node->macro, "endcall", "call", line);
  return node;
}

Node* Parser::ParseFilterBlock(int line) {
  Node* node = NewNode(NodeKind::kFilterBlock, line);
  node->expr = ParseFilters(ParseFilter(nullptr));
  EndStatement();
  node->body = ParseBody({"endfilter"}, "filter", line);
  Skip();
  EndStatement();
  return node;
}

Node* Parser::ParseWith(int line) {
  Node* node = NewNode(NodeKind::kWith, line);
  while (!failed() && current().type != TokenType::kStatementEnd) {
    if (!node->assignments.empty()) ExpectOperator(",");
    Expr* target = ParseTarget(/*with_namespace=*/false, /*with_tuple=*/false);
    ExpectOperator("=");
    node->assignments.emplace_back(target, ParseExpression());
  }
  EndStatement();
  node->body = ParseBody({"endwith"}, "with", line);
  Skip();
  EndStatement();
  return node;
}

}  // namespace tenfold::jinja
