#include "grammar/syntax.h"

#include <fmt/format.h>

#include "base/check.h"

namespace tenfold::grammar {

ExprId Syntax::Add(Expr expr) {
  nodes_ += 1 + expr.children.size();
  // Past the limit nothing is kept but the first expression, which keeps ids valid; status() tells.
  if (nodes_ > kMaxExpressions || literal_bytes_ > kMaxLiteralBytes) {
    if (exprs_.empty()) exprs_.emplace_back();
    if (texts_.empty()) texts_.emplace_back();
    return 0;
  }
  exprs_.push_back(std::move(expr));
  return static_cast<ExprId>(exprs_.size() - 1);
}

ExprId Syntax::Literal(std::string_view bytes) {
  literal_bytes_ += bytes.size();
  if (literal_bytes_ <= kMaxLiteralBytes) texts_.emplace_back(bytes);
  return Add({.kind = ExprKind::kLiteral, .index = static_cast<uint32_t>(texts_.size()) - 1});
}

ExprId Syntax::Chars(CharSet set) {
  sets_.push_back(std::move(set));
  nodes_ += sets_.back().ranges().size();
  return Add({.kind = ExprKind::kChars, .index = static_cast<uint32_t>(sets_.size()) - 1});
}

ExprId Syntax::Sequence(std::vector<ExprId> parts) {
  if (parts.size() == 1) return parts[0];
  return Add({.kind = ExprKind::kSequence, .children = std::move(parts)});
}

ExprId Syntax::Choice(std::vector<ExprId> options) {
  if (options.size() == 1) return options[0];
  return Add({.kind = ExprKind::kChoice, .children = std::move(options)});
}

ExprId Syntax::Repeat(ExprId child, uint32_t min, uint32_t max) {
  TENFOLD_CHECK(min <= max, "a repetition's bounds are in order");
  repetition_too_large_ |= min > kMaxRepetition || (max != kNoLimit && max > kMaxRepetition);
  return Add({.kind = ExprKind::kRepeat, .min = min, .max = max, .children = {child}});
}

ExprId Syntax::AnyBytes() { return Add({.kind = ExprKind::kAnyBytes}); }

ExprId Syntax::TextUntil(std::string_view trigger) {
  TENFOLD_CHECK(!trigger.empty() && trigger.size() <= 255, "a trigger has 1 to 255 bytes");
  texts_.emplace_back(trigger);
  return Add({.kind = ExprKind::kTextUntil, .index = static_cast<uint32_t>(texts_.size()) - 1});
}

RuleId Syntax::DeclareRule(std::string name) {
  nodes_ += 1;
  rules_.push_back({.name = std::move(name)});
  return static_cast<RuleId>(rules_.size() - 1);
}

void Syntax::DefineRule(RuleId rule, ExprId body) {
  rules_[rule].body = body;
  rules_[rule].defined = true;
}

ExprId Syntax::Reference(RuleId rule) { return Add({.kind = ExprKind::kRule, .index = rule}); }

ExprId Syntax::NamedRule(std::string name, ExprId body) {
  const RuleId rule = DeclareRule(std::move(name));
  DefineRule(rule, body);
  return Reference(rule);
}

Status Syntax::status() const {
  if (nodes_ > kMaxExpressions || literal_bytes_ > kMaxLiteralBytes) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("the grammar is too large: at most {} expressions and {} bytes of literal text are taken",
                             kMaxExpressions, kMaxLiteralBytes)};
  }
  if (repetition_too_large_) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("a repetition count is above {}; use a smaller one or none", kMaxRepetition)};
  }
  for (const Rule& rule : rules_) {
    if (!rule.defined) return Error{ErrorCode::kInvalidArgument, fmt::format("rule '{}' is not defined", rule.name)};
  }
  return {};
}

}  // namespace tenfold::grammar
