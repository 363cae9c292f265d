// A compiled grammar, and the matcher that follows it for one sequence: which tokens may come next.
//
// What it does: compiles expressions (grammar/syntax.h; GBNF and JSON schemas become those) for one model's vocabulary,
// and gives masks. A state's mask is computed once and kept for all sequences with this grammar, within a bound on
// memory. What it does not: draw tokens, or cache grammars (server/grammar_cache.h does).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/result.h"
#include "grammar/automaton.h"
#include "grammar/state_space.h"
#include "grammar/syntax.h"
#include "grammar/vocabulary.h"

namespace tenfold::grammar {

// Of states, transitions and masks; beyond it all are forgotten and made anew as they are met.
inline constexpr size_t kMaxSpaceBytes = 8U << 20;

// Any thread.
class Grammar {
 public:
  // kInvalidArgument: what Automaton::Compile refuses, or a first state that is too ambiguous to hold.
  static Result<std::shared_ptr<const Grammar>> Compile(const Syntax& syntax, ExprId root,
                                                        std::shared_ptr<const Vocabulary> vocabulary,
                                                        size_t max_space_bytes = kMaxSpaceBytes);

  const Vocabulary& vocabulary() const { return *vocabulary_; }
  const Automaton& automaton() const { return automaton_; }
  // The states known now; a fresh space once the last has passed the bound.
  std::shared_ptr<StateSpace> space() const;

  Grammar(Automaton automaton, std::shared_ptr<const Vocabulary> vocabulary, size_t max_space_bytes);

 private:
  const Automaton automaton_;
  const std::shared_ptr<const Vocabulary> vocabulary_;
  const size_t max_space_bytes_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<StateSpace> space_;
};

// One per sequence; used by one thread at a time.
class Matcher {
 public:
  // trigger_tokens: nothing is constrained until one of them is accepted; the grammar begins behind it. None: at once.
  explicit Matcher(std::shared_ptr<const Grammar> grammar, std::vector<int32_t> trigger_tokens = {});

  // (vocabulary.mask_words()) words: the tokens that may come next, end tokens exactly where the text may end. Empty
  // while nothing is constrained. Valid until the next call. Errors are one sentence: no token of the vocabulary can go
  // on (kInvalidArgument), or the grammar proved too ambiguous (kResourceExhausted).
  Result<std::span<const uint64_t>> Mask();
  // Follows a token that the mask allows; an end token changes nothing. kInternal for any other.
  Status Accept(int32_t token);

  // The text so far is a whole one.
  bool CanEnd() const;
  // It is, and nothing may follow.
  bool MustEnd() const;

 private:
  void MoveToCurrentSpace();

  std::shared_ptr<const Grammar> grammar_;
  std::vector<int32_t> trigger_tokens_;
  bool active_ = true;
  std::shared_ptr<StateSpace> space_;
  const State* state_ = nullptr;
  WorkBudget budget_;
  std::vector<uint64_t> bits_;
};

}  // namespace tenfold::grammar
