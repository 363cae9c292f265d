// A grammar's expressions as a network over bytes: one small automaton for each rule, which call one another.
//
// What it does: compiles a Syntax, and learns what following it needs: which rules may match nothing, which can end at
// all, in which order rules call each other without consuming a byte. Left recursion is refused here.
// What it does not: run (grammar/state_space.h does).
// Why over bytes: tokens end anywhere, also inside a character. Why rules that call instead of copies: recursion, and
// a counted repetition stays one position with a counter however large its bounds are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "grammar/syntax.h"

namespace tenfold::grammar {

using PositionId = uint32_t;

enum class PositionKind : uint8_t {
  kBytes,   // byte edges [first, first + size)
  kSplit,   // continues at any of splits [first, first + size) without a byte
  kCall,    // runs rule `first`, then continues at `next`
  kLoop,    // runs rule `first`, again and again: its rule's only position beside the end; min, max: how often
  kEnd,     // of its rule
  kAccept,  // the whole text matches
};

struct Position {
  PositionKind kind = PositionKind::kEnd;
  // Any number of plain-text characters may follow and lead back here (kLoop: as many as the counter allows).
  bool plain_run = false;
  bool alive = false;  // its rule's end can be reached from here
  uint32_t first = 0;
  uint32_t size = 0;
  PositionId next = 0;
  uint32_t min = 0;
  uint32_t max = 0;
  RuleId rule = 0;  // the rule it belongs to
};

struct ByteEdge {
  uint8_t low = 0;
  uint8_t high = 0;  // inclusive
  PositionId target = 0;
};

struct CompiledRule {
  std::string name;
  PositionId start = 0;
  PositionId end = 0;
  bool nullable = false;    // may match nothing
  bool productive = false;  // matches something at all
  uint32_t rank = 0;        // a rule that calls another before it consumed a byte has the smaller rank
};

inline constexpr size_t kMaxPositions = 400'000;
inline constexpr int kMaxExpressionDepth = 1000;
inline constexpr int kMaxCoverDepth = 8;  // calls within calls that a plain_run may hide
inline constexpr PositionId kAcceptPosition = 0;

// Immutable; any thread.
struct Automaton {
  std::vector<Position> positions;  // [0] is kAccept
  std::vector<ByteEdge> edges;
  std::vector<PositionId> splits;
  std::vector<CompiledRule> rules;
  RuleId root = 0;

  // kInvalidArgument: an undefined or left-recursive rule (named), a grammar that no finite text matches, or one
  // beyond the limits.
  static Result<Automaton> Compile(const Syntax& syntax, ExprId root);

  size_t memory_bytes() const;
};

}  // namespace tenfold::grammar
