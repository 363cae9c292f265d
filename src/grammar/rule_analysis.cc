#include "grammar/rule_analysis.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenfold::grammar {
namespace {

// Marks every position that its rule's start reaches. With `by_bytes` byte edges count as steps and a rule is done
// when it matches something; without, only what needs no byte does, and a rule is done when it may match nothing.
class Reach {
 public:
  Reach(const Automaton& automaton, bool by_bytes)
      : automaton_(automaton),
        by_bytes_(by_bytes),
        reached(automaton.positions.size(), false),
        done(automaton.rules.size(), false),
        waiting_(automaton.rules.size()) {
    for (const CompiledRule& rule : automaton.rules) Visit(rule.start);
    while (!work_.empty()) {
      const PositionId at = work_.back();
      work_.pop_back();
      Follow(at);
    }
  }

 private:
  void Visit(PositionId at) {
    if (reached[at]) return;
    reached[at] = true;
    work_.push_back(at);
  }

  void Follow(PositionId at) {
    const Position& p = automaton_.positions[at];
    switch (p.kind) {
      case PositionKind::kBytes:
        for (uint32_t i = 0; by_bytes_ && i < p.size; ++i) Visit(automaton_.edges[p.first + i].target);
        return;
      case PositionKind::kSplit:
        for (uint32_t i = 0; i < p.size; ++i) Visit(automaton_.splits[p.first + i]);
        return;
      case PositionKind::kLoop:
        if (p.min == 0) Visit(p.next);
        [[fallthrough]];
      case PositionKind::kCall:
        if (done[p.first]) {
          Visit(p.next);
        } else {
          waiting_[p.first].push_back(p.next);
        }
        return;
      case PositionKind::kEnd:
        done[p.rule] = true;
        for (const PositionId next : waiting_[p.rule]) Visit(next);
        waiting_[p.rule].clear();
        return;
      case PositionKind::kAccept:
        return;
    }
  }

  const Automaton& automaton_;
  const bool by_bytes_;

 public:
  std::vector<bool> reached;
  std::vector<bool> done;

 private:
  std::vector<std::vector<PositionId>> waiting_;  // (rule): where its callers continue
  std::vector<PositionId> work_;
};

// alive: the rule's end can be reached. Backwards over edges, splits, and calls of rules that match something.
void MarkAlive(Automaton& automaton) {
  std::vector<std::vector<PositionId>> before(automaton.positions.size());
  std::vector<PositionId> work;
  for (PositionId at = 0; at < automaton.positions.size(); ++at) {
    const Position& p = automaton.positions[at];
    if (p.kind == PositionKind::kEnd) work.push_back(at);
    for (uint32_t i = 0; p.kind == PositionKind::kBytes && i < p.size; ++i) {
      before[automaton.edges[p.first + i].target].push_back(at);
    }
    for (uint32_t i = 0; p.kind == PositionKind::kSplit && i < p.size; ++i) {
      before[automaton.splits[p.first + i]].push_back(at);
    }
    const bool calls = p.kind == PositionKind::kCall || p.kind == PositionKind::kLoop;
    if (calls && (automaton.rules[p.first].productive || (p.kind == PositionKind::kLoop && p.min == 0))) {
      before[p.next].push_back(at);
    }
  }
  for (const PositionId at : work) automaton.positions[at].alive = true;
  while (!work.empty()) {
    const PositionId at = work.back();
    work.pop_back();
    for (const PositionId from : before[at]) {
      if (automaton.positions[from].alive) continue;
      automaton.positions[from].alive = true;
      work.push_back(from);
    }
  }
}

Error LeftRecursion(const Automaton& automaton, const std::vector<RuleId>& path, RuleId again) {
  std::string names;
  auto from = std::find(path.begin(), path.end(), again);
  int shown = 0;
  for (; from != path.end() && shown < 8; ++from, ++shown) names += fmt::format("{} -> ", automaton.rules[*from].name);
  if (from != path.end()) names += "... -> ";
  return {ErrorCode::kInvalidArgument,
          fmt::format("left recursion: {}{}: a rule must not reach itself before it matched a character; put something "
                      "in front, or write a repetition",
                      names, automaton.rules[again].name)};
}

// Depth first, without recursion: a cycle is left recursion, and the reverse of the finishing order ranks the rules.
Status RankRules(Automaton& automaton, const std::vector<bool>& reached) {
  const size_t count = automaton.rules.size();
  std::vector<std::vector<RuleId>> calls(count);
  for (PositionId at = 0; at < automaton.positions.size(); ++at) {
    const Position& p = automaton.positions[at];
    const bool is_call = p.kind == PositionKind::kCall || p.kind == PositionKind::kLoop;
    if (is_call && reached[at]) calls[p.rule].push_back(p.first);
  }
  enum class Mark : uint8_t { kNew, kOpen, kDone };
  std::vector<Mark> marks(count, Mark::kNew);
  std::vector<size_t> next_call(count, 0);
  std::vector<RuleId> path;
  auto rank = static_cast<uint32_t>(count);
  for (RuleId root = 0; root < count; ++root) {
    if (marks[root] != Mark::kNew) continue;
    path.push_back(root);
    marks[root] = Mark::kOpen;
    while (!path.empty()) {
      const RuleId rule = path.back();
      if (next_call[rule] == calls[rule].size()) {
        marks[rule] = Mark::kDone;
        automaton.rules[rule].rank = --rank;
        path.pop_back();
        continue;
      }
      const RuleId callee = calls[rule][next_call[rule]++];
      if (marks[callee] == Mark::kOpen) return LeftRecursion(automaton, path, callee);
      if (marks[callee] == Mark::kDone) continue;
      marks[callee] = Mark::kOpen;
      path.push_back(callee);
    }
  }
  return {};
}

}  // namespace

Status AnalyseRules(Automaton& automaton) {
  const Reach productive(automaton, /*by_bytes=*/true);
  const Reach nullable(automaton, /*by_bytes=*/false);
  for (RuleId rule = 0; rule < automaton.rules.size(); ++rule) {
    automaton.rules[rule].productive = productive.done[rule];
    automaton.rules[rule].nullable = nullable.done[rule];
  }
  TENFOLD_TRY_STATUS(RankRules(automaton, nullable.reached));
  if (!automaton.rules[automaton.root].productive) {
    return Error{ErrorCode::kInvalidArgument,
                 "no finite text matches the grammar: some rule calls itself on every way to an end"};
  }
  MarkAlive(automaton);
  return {};
}

}  // namespace tenfold::grammar
