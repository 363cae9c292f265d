// A slow recogniser of a Syntax, for tests only: sets of places by plain recursion over the expressions, without
// automata, frames or sharing. Its answers are the truth the matcher is compared with.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grammar/syntax.h"

namespace tenfold::grammar {

// Needs a grammar without left recursion (Automaton::Compile refuses others) and short texts.
class ReferenceMatcher {
 public:
  ReferenceMatcher(const Syntax& syntax, ExprId root) : syntax_(syntax), root_(root), productive_(syntax.rules()) {
    for (bool changed = true; changed;) {
      changed = false;
      for (RuleId rule = 0; rule < productive_.size(); ++rule) {
        if (productive_[rule] || !Productive(syntax_.rule(rule).body)) continue;
        productive_[rule] = changed = true;
      }
    }
  }

  bool Matches(std::string_view text) { return Ask(text).ends.contains(text.size()); }
  // Some text that begins so matches.
  bool MayBegin(std::string_view text) {
    const Found found = Ask(text);
    return found.open || found.ends.contains(text.size());
  }

 private:
  struct Found {
    std::set<size_t> ends;  // where a match that begins here may end
    bool open = false;      // the text ended inside, and more of it could match
  };

  Found Ask(std::string_view text) {
    text_ = text;
    memo_.clear();
    return Match(root_, 0);
  }

  bool Productive(ExprId id) const {
    const Expr& e = syntax_.expr(id);
    switch (e.kind) {
      case ExprKind::kChars:
        return !syntax_.chars(e.index).empty();
      case ExprKind::kSequence:
        for (const ExprId child : e.children) {
          if (!Productive(child)) return false;
        }
        return true;
      case ExprKind::kChoice:
        for (const ExprId child : e.children) {
          if (Productive(child)) return true;
        }
        return false;
      case ExprKind::kRepeat:
        return e.min == 0 || Productive(e.children[0]);
      case ExprKind::kRule:
        return productive_[e.index];
      default:
        return true;
    }
  }

  Found Match(ExprId id, size_t from) {
    const auto known = memo_.find({id, from});
    if (known != memo_.end()) return known->second;
    Found found = MatchNew(syntax_.expr(id), from);
    memo_[{id, from}] = found;
    return found;
  }

  Found MatchNew(const Expr& e, size_t from) {
    switch (e.kind) {
      case ExprKind::kLiteral:
        return MatchText(syntax_.text(e.index), from);
      case ExprKind::kChars: {
        Found all;
        for (const CharRange& range : syntax_.chars(e.index).ranges()) {
          for (uint32_t c = range.low; c <= std::min(range.high, range.low + 5000); ++c) {
            std::string bytes;
            AppendUtf8(c, &bytes);
            Merge(MatchText(bytes, from), &all);
          }
        }
        return all;
      }
      case ExprKind::kSequence:
        return MatchParts(e.children, from);
      case ExprKind::kChoice: {
        Found all;
        for (const ExprId child : e.children) Merge(Match(child, from), &all);
        return all;
      }
      case ExprKind::kRepeat:
        return MatchRepeat(e, from);
      case ExprKind::kRule:
        return Match(syntax_.rule(e.index).body, from);
      case ExprKind::kAnyBytes: {
        Found all{.ends = {}, .open = true};
        for (size_t end = from; end <= text_.size(); ++end) all.ends.insert(end);
        return all;
      }
      case ExprKind::kTextUntil: {
        const size_t at = text_.find(syntax_.text(e.index), from);
        if (at == std::string_view::npos) return {.ends = {}, .open = true};
        return {.ends = {at + syntax_.text(e.index).size()}, .open = false};
      }
    }
    return {};
  }

  Found MatchText(std::string_view bytes, size_t from) const {
    const std::string_view rest = text_.substr(from);
    if (rest.starts_with(bytes)) return {.ends = {from + bytes.size()}, .open = false};
    return {.ends = {}, .open = bytes.starts_with(rest)};
  }

  Found MatchParts(const std::vector<ExprId>& parts, size_t from) {
    Found now{.ends = {from}, .open = false};
    for (size_t i = 0; i < parts.size(); ++i) {
      bool rest_productive = true;
      for (size_t j = i + 1; j < parts.size(); ++j) rest_productive = rest_productive && Productive(parts[j]);
      Found next{.ends = {}, .open = now.open};
      for (const size_t at : now.ends) {
        const Found part = Match(parts[i], at);
        next.ends.insert(part.ends.begin(), part.ends.end());
        next.open |= part.open && rest_productive;
      }
      now = std::move(next);
    }
    return now;
  }

  Found MatchRepeat(const Expr& e, size_t from) {
    Found all;
    std::set<std::pair<size_t, uint32_t>> seen;  // place and count; counts beyond text and minimum do not matter
    std::vector<std::pair<size_t, uint32_t>> work = {{from, 0}};
    while (!work.empty()) {
      const auto [at, count] = work.back();
      work.pop_back();
      if (!seen.insert({at, count}).second) continue;
      if (count >= e.min) all.ends.insert(at);
      if (count >= e.max || count > text_.size() + e.min) continue;
      const Found one = Match(e.children[0], at);
      all.open |= one.open;
      for (const size_t end : one.ends) work.push_back({end, count + 1});
    }
    return all;
  }

  static void Merge(const Found& from, Found* into) {
    into->ends.insert(from.ends.begin(), from.ends.end());
    into->open |= from.open;
  }

  const Syntax& syntax_;
  const ExprId root_;
  std::vector<bool> productive_;
  std::string_view text_;
  std::map<std::pair<ExprId, size_t>, Found> memo_;
};

}  // namespace tenfold::grammar
