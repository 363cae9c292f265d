// The expressions of the language, from `a if b else c` down to names and literals; precedences as in jinja2.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "jinja/filters.h"
#include "jinja/parser.h"
#include "jinja/value_tests.h"

namespace tenfold::jinja {

Expr* Parser::Constant(Value value, int line) {
  Expr* expr = NewExpr(ExprKind::kConstant, line);
  expr->constant = value;
  return expr;
}

bool Parser::AtTupleEnd(std::string_view end_name) const {
  return current().type == TokenType::kOutputEnd || current().type == TokenType::kStatementEnd ||
         current().type == TokenType::kEnd || IsOperator(")") || (!end_name.empty() && IsName(end_name));
}

// `a, b, c` with or without parentheses around; one expression without a comma is itself.
Expr* Parser::ParseTuple(TupleRules rules) {
  const int line = current().line;
  std::vector<Expr*> items;
  bool is_tuple = false;
  while (!failed()) {
    if (!items.empty()) {
      if (!SkipOperator(",")) break;
      is_tuple = true;
    }
    if (AtTupleEnd(rules.end_name)) break;
    items.push_back(ParseExpression(rules.with_conditional));
    if (IsOperator(",")) continue;
    break;
  }
  if (!is_tuple) {
    if (!items.empty()) return items[0];
    if (!rules.explicit_parentheses) Fail(fmt::format("expected an expression, found {}", Found()));
  }
  Expr* tuple = NewExpr(ExprKind::kTuple, line);
  tuple->children = std::move(items);
  return Finish(tuple);
}

Expr* Parser::ParseExpression(bool with_conditional) {
  if (++nesting_ > kMaxNesting) Fail(fmt::format("brackets nested more than {} deep", kMaxNesting));
  const int line = current().line;
  Expr* expr = ParseOr();
  while (with_conditional && !failed() && SkipName("if")) {
    Expr* conditional = NewExpr(ExprKind::kConditional, line);
    Expr* condition = ParseOr();
    Expr* otherwise = SkipName("else") ? ParseExpression() : nullptr;
    conditional->children = {expr, condition, otherwise};
    expr = Finish(conditional);
  }
  --nesting_;
  return expr;
}

Expr* Parser::ParseOr() {
  Expr* first = ParseAnd();
  if (!IsName("or")) return first;
  Expr* expr = NewExpr(ExprKind::kOr, first->line);
  expr->children.push_back(first);
  while (!failed() && SkipName("or")) expr->children.push_back(ParseAnd());
  return Finish(expr);
}

Expr* Parser::ParseAnd() {
  Expr* first = ParseNot();
  if (!IsName("and")) return first;
  Expr* expr = NewExpr(ExprKind::kAnd, first->line);
  expr->children.push_back(first);
  while (!failed() && SkipName("and")) expr->children.push_back(ParseNot());
  return Finish(expr);
}

Expr* Parser::ParseNot() {
  const int line = current().line;
  if (!SkipName("not")) return ParseCompare();
  if (++nesting_ > kMaxNesting) Fail(fmt::format("'not' nested more than {} deep", kMaxNesting));
  Expr* expr = NewExpr(ExprKind::kUnary, line);
  expr->text = "not";
  expr->children.push_back(ParseNot());
  --nesting_;
  return Finish(expr);
}

Expr* Parser::ParseCompare() {
  Expr* first = ParseSum();
  Expr* expr = nullptr;
  static constexpr std::string_view kOps[] = {"==", "!=", "<", "<=", ">", ">="};
  while (!failed()) {
    std::string op;
    if (current().type == TokenType::kOperator &&
        std::find(std::begin(kOps), std::end(kOps), current().text) != std::end(kOps)) {
      op = current().text;
      Skip();
    } else if (SkipName("in")) {
      op = "in";
    } else if (IsName("not") && next().type == TokenType::kName && next().text == "in") {
      Skip();
      Skip();
      op = "not in";
    } else {
      break;
    }
    if (expr == nullptr) {
      expr = NewExpr(ExprKind::kCompare, first->line);
      expr->children.push_back(first);
    }
    expr->ops.push_back(std::move(op));
    expr->children.push_back(ParseSum());
  }
  return expr == nullptr ? first : Finish(expr);
}

Expr* Parser::ParseChain(std::initializer_list<std::string_view> ops, Expr* (Parser::*operand)()) {
  Expr* first = (this->*operand)();
  Expr* expr = nullptr;
  while (!failed()) {
    const auto op = std::find_if(ops.begin(), ops.end(), [&](std::string_view o) { return IsOperator(o); });
    if (op == ops.end()) break;
    const int line = current().line;
    Skip();
    if (expr == nullptr) {
      expr = NewExpr(ExprKind::kArithmetic, line);
      expr->children.push_back(first);
    }
    expr->ops.emplace_back(*op);
    expr->children.push_back((this->*operand)());
  }
  return expr == nullptr ? first : Finish(expr);
}

Expr* Parser::ParseSum() { return ParseChain({"+", "-"}, &Parser::ParseConcat); }

Expr* Parser::ParseConcat() {
  Expr* first = ParseProduct();
  if (!IsOperator("~")) return first;
  Expr* expr = NewExpr(ExprKind::kConcat, first->line);
  expr->children.push_back(first);
  while (!failed() && SkipOperator("~")) expr->children.push_back(ParseProduct());
  return Finish(expr);
}

Expr* Parser::ParseProduct() { return ParseChain({"*", "/", "//", "%"}, &Parser::ParsePower); }

Expr* Parser::ParsePower() {
  Expr* first = ParseUnary(true);
  Expr* expr = nullptr;
  while (!failed() && IsOperator("**")) {
    const int line = current().line;
    Skip();
    if (expr == nullptr) {
      expr = NewExpr(ExprKind::kArithmetic, line);
      expr->children.push_back(first);
    }
    expr->ops.emplace_back("**");
    expr->children.push_back(ParseUnary(true));
  }
  return expr == nullptr ? first : Finish(expr);
}

Expr* Parser::ParseUnary(bool with_filters) {
  const int line = current().line;
  Expr* expr = nullptr;
  if (IsOperator("-") || IsOperator("+")) {
    if (++nesting_ > kMaxNesting) Fail(fmt::format("signs nested more than {} deep", kMaxNesting));
    expr = NewExpr(ExprKind::kUnary, line);
    expr->text = current().text;
    Skip();
    expr->children.push_back(ParseUnary(false));
    --nesting_;
    expr = Finish(expr);
  } else {
    expr = ParsePrimary();
  }
  expr = ParsePostfix(expr);
  return with_filters ? ParseFilters(expr) : expr;
}

Expr* Parser::ParsePrimary() {
  const Token token = current();
  const int line = token.line;
  switch (token.type) {
    case TokenType::kName: {
      Skip();
      if (token.text == "true" || token.text == "True") return Constant(Value::Bool(true), line);
      if (token.text == "false" || token.text == "False") return Constant(Value::Bool(false), line);
      if (token.text == "none" || token.text == "None") return Constant(Value::None(), line);
      Expr* expr = NewExpr(ExprKind::kName, line);
      expr->name = ast_.Intern(token.text);
      for (MacroNode* macro : macros_) {
        macro->uses_caller |= token.text == "caller";
        macro->uses_varargs |= token.text == "varargs";
        macro->uses_kwargs |= token.text == "kwargs";
      }
      return expr;
    }
    case TokenType::kString: {
      std::string text;
      for (; current().type == TokenType::kString; Skip()) text += current().text;
      return Constant(ast_.NewText(std::move(text)), line);
    }
    case TokenType::kInteger:
      Skip();
      return Constant(Value::Int(token.integer), line);
    case TokenType::kFloat:
      Skip();
      return Constant(Value::Float(token.number), line);
    default:
      break;
  }
  if (SkipOperator("(")) {
    Expr* expr = ParseTuple({.explicit_parentheses = true});
    ExpectOperator(")");
    return expr;
  }
  if (IsOperator("[")) return ParseList();
  if (IsOperator("{")) return ParseDict();
  Fail(fmt::format("expected an expression, found {}", Found()));
  return Constant(Value::None(), line);
}

Expr* Parser::ParseList() {
  Expr* list = NewExpr(ExprKind::kList, current().line);
  Skip();
  while (!failed() && !IsOperator("]")) {
    if (!list->children.empty()) ExpectOperator(",");
    if (IsOperator("]")) break;
    list->children.push_back(ParseExpression());
  }
  ExpectOperator("]");
  return Finish(list);
}

Expr* Parser::ParseDict() {
  Expr* dict = NewExpr(ExprKind::kDict, current().line);
  Skip();
  while (!failed() && !IsOperator("}")) {
    if (!dict->children.empty()) ExpectOperator(",");
    if (IsOperator("}")) break;
    dict->children.push_back(ParseExpression());
    ExpectOperator(":");
    dict->children.push_back(ParseExpression());
  }
  ExpectOperator("}");
  return Finish(dict);
}

Expr* Parser::ParsePostfix(Expr* expr) {
  while (!failed()) {
    if (IsOperator(".")) {
      expr = ParseDot(expr);
    } else if (IsOperator("[")) {
      expr = ParseSubscript(expr);
    } else if (IsOperator("(")) {
      expr = ParseCall(expr);
    } else {
      break;
    }
  }
  return expr;
}

// `subject` is null at the start of {% filter ... %} and {% set x | ... %}.
Expr* Parser::ParseFilters(Expr* expr) {
  while (!failed()) {
    if (SkipOperator("|")) {
      expr = ParseFilter(expr);
    } else if (expr != nullptr && SkipName("is")) {
      expr = ParseTest(expr);
    } else if (expr != nullptr && IsOperator("(")) {
      expr = ParseCall(expr);
    } else {
      break;
    }
  }
  return expr;
}

Expr* Parser::ParseFilter(Expr* subject) {
  Expr* expr = NewExpr(ExprKind::kFilter, current().line);
  expr->text = ExpectName("the name of a filter");
  while (!failed() && SkipOperator(".")) expr->text += "." + ExpectName("the name of a filter");
  expr->filter = FindFilter(expr->text);
  if (expr->filter == nullptr) FailAt(expr->line, fmt::format("unknown filter '{}'", expr->text.substr(0, 100)));
  expr->children.push_back(subject);
  if (IsOperator("(")) ParseArguments(expr->arguments);
  return Finish(expr);
}

Expr* Parser::ParseTest(Expr* subject) {
  const int line = current().line;
  const bool negated = SkipName("not");
  Expr* expr = NewExpr(ExprKind::kTest, line);
  expr->text = ExpectName("the name of a test");
  while (!failed() && SkipOperator(".")) expr->text += "." + ExpectName("the name of a test");
  expr->test = FindTest(expr->text);
  if (expr->test == nullptr) FailAt(line, fmt::format("unknown test '{}'", expr->text.substr(0, 100)));
  expr->children.push_back(subject);
  const TokenType type = current().type;
  if (IsOperator("(")) {
    ParseArguments(expr->arguments);
  } else if ((type == TokenType::kName && !IsName("else") && !IsName("or") && !IsName("and")) ||
             type == TokenType::kString || type == TokenType::kInteger || type == TokenType::kFloat ||
             IsOperator("[") || IsOperator("{")) {
    if (IsName("is")) Fail("tests cannot be chained with 'is'");
    expr->arguments.positional.push_back(ParsePostfix(ParsePrimary()));
  }
  expr = Finish(expr);
  if (!negated) return expr;
  Expr* negation = NewExpr(ExprKind::kUnary, line);
  negation->text = "not";
  negation->children.push_back(expr);
  return Finish(negation);
}

Expr* Parser::ParseDot(Expr* object) {
  const int line = current().line;
  Skip();
  const Token token = current();
  Skip();
  if (token.type == TokenType::kInteger) {
    Expr* expr = NewExpr(ExprKind::kSubscript, line);
    expr->children = {object, Constant(Value::Int(token.integer), line)};
    return Finish(expr);
  }
  if (token.type != TokenType::kName) FailAt(line, "expected a name or a number behind '.'");
  Expr* expr = NewExpr(ExprKind::kAttribute, line);
  expr->children = {object};
  expr->text = token.text;
  expr->constant = ast_.NewText(token.text);
  return Finish(expr);
}

Expr* Parser::ParseSubscript(Expr* object) {
  Skip();
  Expr* first = ParseSliceOrIndex(object);
  if (IsOperator(",")) Fail("an index of several parts, as in a[1, 2], is not supported");
  ExpectOperator("]");
  return first;
}

// object[a], or object[a:b:c] with any part left out.
Expr* Parser::ParseSliceOrIndex(Expr* object) {
  Expr* expr = NewExpr(ExprKind::kSlice, current().line);
  Expr* start = IsOperator(":") ? nullptr : ParseExpression();
  if (start != nullptr && !IsOperator(":")) {
    expr->kind = ExprKind::kSubscript;
    expr->children = {object, start};
    return Finish(expr);
  }
  ExpectOperator(":");
  Expr* stop = IsOperator(":") || IsOperator("]") || IsOperator(",") ? nullptr : ParseExpression();
  Expr* step = nullptr;
  if (SkipOperator(":") && !IsOperator("]") && !IsOperator(",")) step = ParseExpression();
  expr->children = {object, start, stop, step};
  return Finish(expr);
}

Expr* Parser::ParseCall(Expr* callee) {
  Expr* expr = NewExpr(ExprKind::kCall, current().line);
  expr->children.push_back(callee);
  ParseArguments(expr->arguments);
  return Finish(expr);
}

void Parser::ParseArguments(Arguments& out) {
  ExpectOperator("(");
  bool first = true;
  while (!failed() && !IsOperator(")")) {
    if (!first) ExpectOperator(",");
    if (!first && IsOperator(")")) break;
    first = false;
    if (SkipOperator("**")) {
      if (out.double_star != nullptr) Fail("two ** arguments in one call");
      out.double_star = ParseExpression();
    } else if (SkipOperator("*")) {
      if (out.star != nullptr || out.double_star != nullptr) Fail("a * argument behind another or behind **");
      out.star = ParseExpression();
    } else if (current().type == TokenType::kName && next().type == TokenType::kOperator && next().text == "=") {
      if (out.double_star != nullptr) Fail("an argument behind **");
      std::string name = current().text;
      const auto same = [&](const auto& named) { return named.first == name; };
      if (std::any_of(out.named.begin(), out.named.end(), same))
        Fail(fmt::format("argument '{}' is given twice", name));
      Skip();
      Skip();
      out.named.emplace_back(std::move(name), ParseExpression());
    } else {
      if (!out.named.empty() || out.star != nullptr || out.double_star != nullptr) {
        Fail("an argument without a name behind one with a name");
      }
      out.positional.push_back(ParseExpression());
    }
  }
  ExpectOperator(")");
}

}  // namespace tenfold::jinja
