// Where the time of forward passes goes, phase by phase: an optional stopwatch that Step carries.
//
// What it does: adds up, for each phase, the wall time (with the serial work before the threads start: plans, buffers),
// and what the threads were busy for in it; the difference is waiting for the slowest. What it does not: exist when
// nobody asks; without one a step runs as if this file were not there. With one, two looks at the clock are added to
// each work item (some 50 ns to items of 1 us and more).
//
// A thread that loses its CPU inside an item counts as busy; what it makes the others wait for counts as waiting.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tenfold::model {

enum class Phase {
  kPrepare,  // token lists, rotation angles
  kEmbed,
  kNormQuantise,  // both norms of a layer, with the quantisation that follows them
  kQkv,
  kRotateStore,  // norms of heads, RoPE, keys and values into their pages
  kAttention,
  kQuantise,  // of the attention's and the feed-forward layer's inner results
  kAttentionOut,
  kGateUp,
  kDown,
  kHead,  // norm, quantisation and product of the rows that want logits
  kCount,
};
std::string_view NameOf(Phase phase);

struct PhaseTime {
  int64_t wall_ns = 0;
  int64_t serial_ns = 0;  // part of wall: one thread, before the others start
  int64_t busy_ns = 0;    // all threads, from a thread's first item to its last
  int64_t runs = 0;       // times the threads were started
  // Threads times parallel wall time, less what they were busy for.
  int64_t WaitingNs(int threads) const { return (wall_ns - serial_ns) * threads - busy_ns; }
};

// Driven by the thread that drives the step; Enter and Leave by the workers.
class StepProfile {
 public:
  explicit StepProfile(int threads) : workers_(static_cast<size_t>(threads)) {}

  // Forgets everything.
  void Clear() { phases_ = {}; }
  // A step begins now.
  void Start();
  // The threads start on `phase` now; what has passed since the last Start or EndParallel is its serial part.
  void BeginParallel(Phase phase);
  void EndParallel();
  // Around each item.
  void Enter(int worker);
  void Leave(int worker);

  const PhaseTime& operator[](Phase phase) const { return phases_[static_cast<size_t>(phase)]; }
  int threads() const { return static_cast<int>(workers_.size()); }
  int64_t TotalNs() const;

 private:
  struct alignas(64) Worker {
    int64_t first_ns = 0;  // 0: no item of this phase yet
    int64_t last_ns = 0;
  };
  std::array<PhaseTime, static_cast<size_t>(Phase::kCount)> phases_{};
  std::vector<Worker> workers_;
  Phase phase_ = Phase::kPrepare;
  int64_t last_ns_ = 0;   // when the last parallel part ended
  int64_t begin_ns_ = 0;  // when this one began
};

}  // namespace tenfold::model
