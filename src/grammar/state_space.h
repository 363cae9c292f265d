// The states that following an automaton byte by byte can be in, made when first met and kept: a lazy deterministic
// automaton over configurations with stacks.
//
// What it does: a state is a set of (position, counter, frame); a frame is where a called rule returns to, shared by
// all callers at the same place of the text. Equal states are one object, so what was learned about one (its
// transitions, its token mask) serves every sequence. What it does not: know tokens (grammar/token_mask.h does).
// Why this way: merging callers into one frame keeps ambiguous grammars polynomial, as Earley's and the GLL parsers
// do; a return to the mere end of a rule is skipped, so right recursion as in `ws ::= (" " ws)?` stays in few states.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "grammar/automaton.h"
#include "grammar/token_mask.h"

namespace tenfold::grammar {

using FrameId = uint32_t;

inline constexpr uint32_t kMaxFrameDepth = 256;     // calls within calls; what would go deeper is not allowed
inline constexpr size_t kMaxConfigurations = 4096;  // of one state, and links of one frame
inline constexpr uint32_t kEndlessRun = UINT32_MAX;

// What was spent on making states, in configurations looked at. Bounds what a hostile grammar can cost.
struct WorkBudget {
  int64_t left = 0;
};

struct Configuration {
  PositionId position = 0;
  uint32_t count = 0;  // of the counted repetition it is in
  FrameId frame = 0;
  auto operator<=>(const Configuration&) const = default;
};

struct State;

struct Transitions {
  std::array<uint8_t, 256> class_of{};
  std::vector<State*> targets;  // (classes); null: this byte is not allowed
  State* Next(uint8_t byte) const { return targets[class_of[byte]]; }
};

// The first three are fixed before anybody else sees the state.
struct State {
  std::vector<Configuration> configurations;  // sorted; each at a position with byte edges
  bool accepts = false;                       // the text may end here
  uint32_t plain_run = 0;                     // so many plain-text characters, at least, are certainly allowed next
  std::atomic<const Transitions*> transitions{nullptr};
  std::atomic<const TokenMask*> mask{nullptr};
  State* same_hash = nullptr;
};

// Any thread; transitions that are there are read without a lock.
class StateSpace {
 public:
  explicit StateSpace(const Automaton& automaton);
  ~StateSpace();
  StateSpace(const StateSpace&) = delete;
  StateSpace& operator=(const StateSpace&) = delete;

  const State* start() const { return start_; }

  // The state after `byte`: null when it is not allowed. kResourceExhausted when the budget ends or a state grows
  // beyond kMaxConfigurations.
  Result<const State*> Next(const State* state, uint8_t byte, WorkBudget& budget) {
    const Transitions* transitions = state->transitions.load(std::memory_order_acquire);
    if (transitions == nullptr) {
      TENFOLD_TRY(transitions, Expand(state, budget));
    }
    return transitions->Next(byte);
  }
  Result<const Transitions*> Expand(const State* state, WorkBudget& budget);

  // Keeps the mask, or drops it when another thread was faster; gives the one kept.
  const TokenMask* Keep(const State* state, std::unique_ptr<const TokenMask> mask);

  // The same state in this space, for one of another space of the same automaton.
  const State* Adopt(StateSpace& from, const State* state);

  size_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }

 private:
  struct Link {
    PositionId position = 0;
    uint32_t count = 0;
    FrameId frame = 0;
    auto operator<=>(const Link&) const = default;
  };
  struct Frame {
    std::vector<Link> links;  // sorted
    uint32_t depth = 0;
  };
  // A set that keeps what was put in, in order.
  class Agenda {
   public:
    void Clear();
    void Add(const Configuration& c);
    size_t size() const { return items_.size(); }
    const Configuration& operator[](size_t i) const { return items_[i]; }

   private:
    void Index(size_t item);
    std::vector<Configuration> items_;
    std::vector<uint32_t> slots_ = std::vector<uint32_t>(64, 0);  // index + 1 into items_
  };

  // All below need the lock. Close: everything that the configurations lead to without a byte, as one state; null:
  // nothing.
  Result<State*> Close(const std::vector<Configuration>& from, WorkBudget& budget);
  void Follow(const Configuration& c, bool entered, State& state);
  void Call(RuleId rule, const Link& link);
  State* Intern(State& made);
  FrameId InternFrame(std::vector<Link> links);
  Result<std::unique_ptr<Transitions>> MakeTransitions(const State& state, WorkBudget& budget);

  const Automaton& automaton_;
  std::mutex mutex_;  // guards everything below but memory_bytes_
  std::deque<State> states_;
  std::deque<Frame> frames_;
  std::unordered_map<uint64_t, State*> by_hash_;
  std::unordered_map<uint64_t, std::vector<FrameId>> frames_by_hash_;
  std::vector<std::unique_ptr<const Transitions>> transitions_;
  std::vector<std::unique_ptr<const TokenMask>> masks_;
  State* start_ = nullptr;
  std::atomic<size_t> memory_bytes_ = 0;
  // Scratch of Close.
  Agenda agenda_;
  std::map<uint32_t, std::pair<RuleId, std::vector<Link>>> calls_;  // by rank
};

}  // namespace tenfold::grammar
