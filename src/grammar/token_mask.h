// Which tokens a state of a grammar allows next: computed by walking the vocabulary's tries, and kept in little memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "grammar/vocabulary.h"

namespace tenfold::grammar {

class StateSpace;
struct State;
struct WorkBudget;

// Immutable; any thread.
class TokenMask {
 public:
  // `bits`: (vocabulary.mask_words()).
  explicit TokenMask(std::vector<uint64_t> bits);
  // Writes the mask: bit t % 64 of word t / 64 is set when token t is allowed.
  void Fill(std::span<uint64_t> out) const;
  bool empty() const { return ids_.empty() && bits_.empty(); }
  size_t memory_bytes() const {
    return sizeof(*this) + ids_.size() * sizeof(int32_t) + bits_.size() * sizeof(uint64_t);
  }

 private:
  std::vector<int32_t> ids_;    // either these few
  std::vector<uint64_t> bits_;  // or all bits
};

// The tokens whose bytes lead from `state` to a state, and the vocabulary's end tokens where the text may end. At most
// one step for every node of the tries. Errors as StateSpace::Next's.
Result<std::unique_ptr<const TokenMask>> ComputeMask(StateSpace& space, const State* state,
                                                     const Vocabulary& vocabulary, WorkBudget& budget);

}  // namespace tenfold::grammar
