#include "grammar/automaton.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/check.h"
#include "grammar/rule_analysis.h"

namespace tenfold::grammar {
namespace {

// Repetitions of one character up to this often are written out: cheaper to follow than a counter.
constexpr uint32_t kMaxUnrolled = 8;

// Builds positions from the back: Build(expr, next) gives where to enter so that matching `expr` leads to `next`.
class Builder {
 public:
  explicit Builder(const Syntax& syntax) : syntax_(syntax) {}

  Result<Automaton> Run(ExprId root) {
    TENFOLD_TRY_STATUS(syntax_.status());
    out_.positions.push_back({.kind = PositionKind::kAccept, .alive = true});
    for (RuleId rule = 0; rule < syntax_.rules(); ++rule) {
      out_.rules.push_back({.name = syntax_.rule(rule).name});
      bodies_.push_back(syntax_.rule(rule).body);
    }
    out_.root = AddRule("the whole answer", root);
    // Compiling a rule may add more at the end.
    for (RuleId rule = 0; rule < bodies_.size() && !full_; ++rule) CompileRule(rule);
    if (too_deep_) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("the grammar is nested deeper than {} levels; use rules", kMaxExpressionDepth)};
    }
    if (full_) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("the grammar is too large: it needs more than {} automaton positions", kMaxPositions)};
    }
    TENFOLD_TRY_STATUS(AnalyseRules(out_));
    return std::move(out_);
  }

 private:
  RuleId AddRule(std::string name, ExprId body) {
    out_.rules.push_back({.name = std::move(name)});
    bodies_.push_back(body);
    return static_cast<RuleId>(bodies_.size() - 1);
  }

  void CompileRule(RuleId rule) {
    rule_ = rule;
    if (out_.rules[rule].start != 0) return;  // a counted repetition, already there
    const PositionId end = Add({.kind = PositionKind::kEnd});
    out_.rules[rule].end = end;
    const PositionId start = Build(bodies_[rule], end, 0);
    out_.rules[rule].start = start;
  }

  PositionId Add(Position position) {
    full_ |= out_.positions.size() >= kMaxPositions || out_.edges.size() >= 4 * kMaxPositions ||
             out_.splits.size() >= 4 * kMaxPositions;
    if (full_) return static_cast<PositionId>(out_.positions.size() - 1);
    position.rule = rule_;
    out_.positions.push_back(position);
    return static_cast<PositionId>(out_.positions.size() - 1);
  }

  PositionId AddBytes(const std::vector<ByteEdge>& edges) {
    const auto first = static_cast<uint32_t>(out_.edges.size());
    out_.edges.insert(out_.edges.end(), edges.begin(), edges.end());
    return Add({.kind = PositionKind::kBytes, .first = first, .size = static_cast<uint32_t>(edges.size())});
  }

  void SetSplit(PositionId at, const std::vector<PositionId>& targets) {
    out_.positions[at].first = static_cast<uint32_t>(out_.splits.size());
    out_.positions[at].size = static_cast<uint32_t>(targets.size());
    out_.splits.insert(out_.splits.end(), targets.begin(), targets.end());
  }

  PositionId AddSplit(const std::vector<PositionId>& targets) {
    const PositionId at = Add({.kind = PositionKind::kSplit});
    SetSplit(at, targets);
    return at;
  }

  PositionId Build(ExprId id, PositionId next, int depth) {
    too_deep_ |= depth > kMaxExpressionDepth;
    full_ |= too_deep_;
    if (full_) return next;
    const Expr& expr = syntax_.expr(id);
    switch (expr.kind) {
      case ExprKind::kLiteral: {
        const std::string& bytes = syntax_.text(expr.index);
        for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) {
          next = AddBytes({{static_cast<uint8_t>(*byte), static_cast<uint8_t>(*byte), next}});
        }
        return next;
      }
      case ExprKind::kChars:
        return BuildChars(syntax_.chars(expr.index), next);
      case ExprKind::kSequence:
        for (auto part = expr.children.rbegin(); part != expr.children.rend(); ++part) {
          next = Build(*part, next, depth + 1);
        }
        return next;
      case ExprKind::kChoice: {
        std::vector<PositionId> targets;
        for (const ExprId option : expr.children) targets.push_back(Build(option, next, depth + 1));
        return AddSplit(targets);
      }
      case ExprKind::kRepeat:
        return BuildRepeat(expr, next, depth);
      case ExprKind::kRule:
        return Add({.kind = PositionKind::kCall, .first = expr.index, .next = next});
      case ExprKind::kAnyBytes: {
        const PositionId loop = Add({.kind = PositionKind::kSplit, .plain_run = true});
        const PositionId byte = AddBytes({{0, 255, loop}});
        SetSplit(loop, {byte, next});
        return loop;
      }
      case ExprKind::kTextUntil:
        return BuildTextUntil(syntax_.text(expr.index), next);
    }
    return next;
  }

  // Trailing bytes that several runs share are built once.
  PositionId BuildChars(const CharSet& set, PositionId next) {
    std::map<std::tuple<uint8_t, uint8_t, PositionId>, PositionId> tails;
    std::vector<ByteEdge> edges;
    for (const ByteRun& run : Utf8Runs(set)) {
      PositionId at = next;
      for (int i = run.length - 1; i > 0; --i) {
        const ByteRange range = run.bytes[i];
        const auto [it, is_new] = tails.try_emplace({range.low, range.high, at}, 0);
        if (is_new) it->second = AddBytes({{range.low, range.high, at}});
        at = it->second;
      }
      if (!edges.empty() && edges.back().target == at && edges.back().high + 1 == run.bytes[0].low) {
        edges.back().high = run.bytes[0].high;
      } else {
        edges.push_back({run.bytes[0].low, run.bytes[0].high, at});
      }
    }
    return AddBytes(edges);
  }

  PositionId BuildRepeat(const Expr& expr, PositionId next, int depth) {
    const ExprId child = expr.children[0];
    if (expr.max == 0) return next;
    if (expr.min == 0 && expr.max == 1) return AddSplit({Build(child, next, depth + 1), next});
    if (expr.min <= 1 && expr.max == kNoLimit) {
      const bool plain = CoversPlainText(child, 0);
      const PositionId again = Add({.kind = PositionKind::kSplit, .plain_run = plain});
      const PositionId body = Build(child, again, depth + 1);
      SetSplit(again, {body, next});
      if (expr.min == 0 || full_) return again;
      const PositionId first = AddSplit({body});
      out_.positions[first].plain_run = plain;
      return first;
    }
    const ExprKind kind = syntax_.expr(child).kind;
    if (expr.max <= kMaxUnrolled && (kind == ExprKind::kChars || kind == ExprKind::kLiteral)) {
      PositionId at = next;
      for (uint32_t i = expr.max; i > 0; --i) {
        at = Build(child, at, depth + 1);
        if (i > expr.min) at = AddSplit({at, next});
      }
      return at;
    }
    return Add({.kind = PositionKind::kCall, .first = AddCounted(expr), .next = next});
  }

  // A rule of its own: its frame holds the counter.
  RuleId AddCounted(const Expr& expr) {
    const RuleId outer = rule_;
    const std::string name = out_.rules[outer].name;
    const RuleId body = AddRule(name, expr.children[0]);
    const RuleId counted = AddRule(name, expr.children[0]);
    rule_ = counted;
    const PositionId end = Add({.kind = PositionKind::kEnd});
    const PositionId loop = Add({.kind = PositionKind::kLoop,
                                 .plain_run = CoversPlainText(expr.children[0], 0),
                                 .first = body,
                                 .next = end,
                                 .min = expr.min,
                                 .max = expr.max});
    out_.rules[counted].start = loop;
    out_.rules[counted].end = end;
    rule_ = outer;
    return counted;
  }

  // The automaton of Knuth, Morris and Pratt: position i has seen the first i bytes of the trigger.
  PositionId BuildTextUntil(const std::string& trigger, PositionId next) {
    const size_t length = trigger.size();
    std::vector<PositionId> at(length + 1, next);
    for (size_t i = 0; i < length; ++i) at[i] = Add({.kind = PositionKind::kBytes});
    size_t border = 0;  // where the trigger's longest border of the first i bytes leads
    std::vector<std::vector<size_t>> step(length, std::vector<size_t>(256, 0));
    for (size_t i = 0; i < length && !full_; ++i) {
      const auto byte = static_cast<uint8_t>(trigger[i]);
      if (i > 0) step[i] = step[border];
      step[i][byte] = i + 1;
      if (i > 0) border = step[border][byte];
      Position& position = out_.positions[at[i]];
      position.first = static_cast<uint32_t>(out_.edges.size());
      for (int value = 0; value < 256; ++value) {
        const PositionId target = at[step[i][static_cast<size_t>(value)]];
        const auto as_byte = static_cast<uint8_t>(value);
        if (value > 0 && out_.edges.back().target == target) {
          out_.edges.back().high = as_byte;
        } else {
          out_.edges.push_back({as_byte, as_byte, target});
        }
      }
      position.size = static_cast<uint32_t>(out_.edges.size()) - position.first;
    }
    return at[0];
  }

  // True only if every plain-text character alone matches.
  bool CoversPlainText(ExprId id, int depth) const {
    if (depth > kMaxCoverDepth) return false;
    const Expr& expr = syntax_.expr(id);
    switch (expr.kind) {
      case ExprKind::kChars:
        return syntax_.chars(expr.index).ContainsAll(CharSet::PlainText());
      case ExprKind::kChoice:
        return std::any_of(expr.children.begin(), expr.children.end(),
                           [&](ExprId option) { return CoversPlainText(option, depth + 1); });
      case ExprKind::kRule:
        return CoversPlainText(syntax_.rule(expr.index).body, depth + 1);
      default:
        return false;
    }
  }

  const Syntax& syntax_;
  Automaton out_;
  std::vector<ExprId> bodies_;  // of out_.rules
  RuleId rule_ = 0;             // the one being compiled
  bool full_ = false;
  bool too_deep_ = false;
};

}  // namespace

Result<Automaton> Automaton::Compile(const Syntax& syntax, ExprId root) { return Builder(syntax).Run(root); }

size_t Automaton::memory_bytes() const {
  return positions.size() * sizeof(Position) + edges.size() * sizeof(ByteEdge) + splits.size() * sizeof(PositionId) +
         rules.size() * sizeof(CompiledRule);
}

}  // namespace tenfold::grammar
