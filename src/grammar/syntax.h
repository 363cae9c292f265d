// A grammar as expressions and rules: what GBNF text and JSON schemas become, and what code builds from parts.
//
// What it does: holds literals, character sets, sequences, choices, repetitions, references to rules and free text, and
// the one set of size limits. What it does not: decide what the text may be next (grammar/automaton.h compiles this).
//
//   Syntax s;
//   const ExprId call = s.Sequence({s.Literal("<tool_call>\n{\"name\": \"f\", \"arguments\": "),
//                                   *AddSchema(s, schema), s.Literal("}\n</tool_call>")});
//   const ExprId answer = s.Sequence({s.TextUntil("<tool_call>"), ...});   // "lazy": constrained from the trigger on
//   auto grammar = Grammar::Compile(s, answer, vocabulary);
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "grammar/char_set.h"

namespace tenfold::grammar {

using ExprId = uint32_t;
using RuleId = uint32_t;

inline constexpr uint32_t kNoLimit = UINT32_MAX;      // a repetition without an upper bound
inline constexpr uint32_t kMaxRepetition = 1U << 20;  // largest finite bound
inline constexpr size_t kMaxExpressions = 200'000;    // nodes of one Syntax
inline constexpr size_t kMaxLiteralBytes = 1U << 20;  // of all literals together

enum class ExprKind : uint8_t {
  kLiteral,    // these bytes; the empty literal matches the empty text
  kChars,      // one character of a set, in UTF-8
  kSequence,   // all children in order
  kChoice,     // one of the children; without children: nothing ever matches
  kRepeat,     // the child `min` to `max` times
  kRule,       // what a rule says
  kAnyBytes,   // any bytes at all, none included
  kTextUntil,  // any bytes up to and with the first occurrence of a trigger
};

struct Expr {
  ExprKind kind = ExprKind::kLiteral;
  uint32_t index = 0;  // kLiteral, kTextUntil: text(index); kChars: chars(index); kRule: the rule
  uint32_t min = 0;
  uint32_t max = 0;
  std::vector<ExprId> children{};
};

struct Rule {
  std::string name;  // for messages
  ExprId body = 0;
  bool defined = false;
};

// A value: copy, move, use on one thread at a time. Every method that adds may be called after the limits are passed;
// status() then says so, and compiling refuses. Expressions may be used in several places; each use is compiled anew,
// so what is large and shared belongs into a rule.
class Syntax {
 public:
  ExprId Literal(std::string_view bytes);
  ExprId Empty() { return Literal(""); }
  ExprId Chars(CharSet set);
  ExprId Sequence(std::vector<ExprId> parts);
  ExprId Choice(std::vector<ExprId> options);
  ExprId Repeat(ExprId child, uint32_t min, uint32_t max);
  ExprId Optional(ExprId child) { return Repeat(child, 0, 1); }
  ExprId AnyBytes();
  // Needs a trigger of 1 to 255 bytes. The text before it is not constrained, not even to be UTF-8.
  ExprId TextUntil(std::string_view trigger);

  // A rule may be referred to before it is defined, so rules can be recursive.
  RuleId DeclareRule(std::string name);
  void DefineRule(RuleId rule, ExprId body);
  ExprId Reference(RuleId rule);
  // Declares, defines and refers to one.
  ExprId NamedRule(std::string name, ExprId body);

  const Expr& expr(ExprId id) const { return exprs_[id]; }
  const std::string& text(uint32_t index) const { return texts_[index]; }
  const CharSet& chars(uint32_t index) const { return sets_[index]; }
  const Rule& rule(RuleId id) const { return rules_[id]; }
  size_t rules() const { return rules_.size(); }
  Status status() const;

 private:
  ExprId Add(Expr expr);

  std::vector<Expr> exprs_;
  std::vector<std::string> texts_;
  std::vector<CharSet> sets_;
  std::vector<Rule> rules_;
  size_t nodes_ = 0;
  size_t literal_bytes_ = 0;
  bool repetition_too_large_ = false;
};

}  // namespace tenfold::grammar
