// Whether a request with a deadline can be answered in time, decided when it arrives.
//
// A request is admitted when a replay of everything that is there, with it served in its fair turn, ends it before its
// deadline, and ends nobody else's after theirs who would have been in time without it. What is not admitted hears so
// at once, with the time after which asking again should succeed: the place is kept for it, which is what makes the
// promise worth something when twice as many ask as can be served. Requests without a deadline are always admitted;
// their number is bounded elsewhere.
//
// Kept places are a calendar, not a queue: in every replay their owners arrive when they were told to. So whoever asks
// while the machine has time left before they come is served, if they are still in time then; and who is told to come
// back is told the first second at which a replay with all others in the calendar has it done in time. (Kept as if
// their owners waited already, each place was padded with its own margins, and the machine idled through a fifth of an
// overload.) Not everybody comes back: of the calendar only the share is counted that did of late.
//
// Predictions are corrected by the ratio of what happened to what was predicted, as learnt so far, and a margin is
// kept. Deterministic: the clock is the caller's. Not thread safe.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "sched/fair_queue.h"
#include "sched/forecast.h"

namespace tenfold::sched {

inline constexpr double kNoDeadline = std::numeric_limits<double>::infinity();

// A request that has been admitted and has not ended. Times in ms of the caller's clock.
struct Admitted {
  SeqId seq = 0;
  TenantId tenant = 0;
  Work work;
  double deadline_ms = kNoDeadline;
};

// Everything that is there. waiting: in the order in which they will be served.
struct Backlog {
  std::vector<Admitted> running;  // oldest first
  std::vector<Admitted> waiting;
  // Where a newcomer of the tenant would stand among `waiting`: how many come before it.
  int64_t place = 0;
};

struct Ask {
  TenantId tenant = 0;
  uint64_t fingerprint = 0;  // the same for the same request asked again
  Work work;
  double deadline_ms = kNoDeadline;
};

struct Verdict {
  bool admitted = true;
  double first_token_ms = 0;  // predicted, from now
  double done_ms = 0;         // predicted, from now
  double retry_after_ms = 0;  // refused only: ask again after this time, in whole seconds, as the header says it
  bool ever = true;           // false: too long for its deadline on an idle machine too; asking again will not help
};

class AdmissionControl {
 public:
  explicit AdmissionControl(Service service) : service_(service) {}

  // `step_ms` is the cost model as it is now. One replay without a deadline, up to four with one, up to 24 more
  // where it is refused: tens of microseconds with ten requests there, milliseconds with a thousand.
  Verdict Decide(const Ask& ask, const Backlog& backlog, const StepTime& step_ms, double now_ms);
  // An admitted request ended by itself after `actual_ms`; `predicted_ms` is what its verdict said.
  void Observe(double predicted_ms, double actual_ms);

  double correction() const { return correction_; }
  int64_t reservations() const { return static_cast<int64_t>(reserved_.size()); }

  // The share of those who were told to come back that did, of late.
  double returning() const { return returning_; }

  // Kept free of a deadline's time: predictions are good to about this.
  static constexpr double kMargin = 0.1;
  static constexpr int64_t kMostReservations = 512;
  // A place is kept for this long after the time at which its owner was told to ask again.
  static constexpr double kGraceMs = 2000;

 private:
  struct Reservation {
    uint64_t fingerprint;
    TenantId tenant;
    Work work;
    double due_ms;
    double patience_ms;  // how long after its return it must be done
  };
  // Who is to be served, in order, and who must not become late by it.
  struct Scene {
    std::vector<Work> running;
    std::vector<Work> waiting;
    std::vector<double> running_patience_ms;  // until their deadlines, from now or from their return
    std::vector<double> waiting_patience_ms;
    size_t place = 0;  // of the newcomer, and of those of its tenant who will come back
    size_t kept = 0;   // places kept, from there on
  };
  struct Outcome {
    double first_token_ms = 0;
    double done_ms = 0;
  };

  void Expire(double now_ms);
  void Learn(const Work& work);
  void Came(bool back);
  Scene Set(const Ask& ask, const Backlog& backlog, double now_ms) const;
  std::vector<Work> Tail(const Scene& scene, double arrives_ms) const;
  static size_t PlaceOf(const Scene& scene, const Work& work);
  Outcome Serve(const Scene& scene, const Work& work, bool with_successors, const StepTime& step_ms) const;
  double HarmedUntil(const Scene& scene, const Work& work, bool spare_kept, const StepTime& step_ms) const;
  double FirstPlace(const Scene& scene, Work work, double patience_ms, double from_ms, const StepTime& step_ms) const;
  void Reserve(const Ask& ask, double due_ms, double patience_ms);

  Service service_;
  std::deque<Reservation> reserved_;  // in order of due_ms
  double correction_ = 1;
  double returning_ = 1;
  double typical_prompt_ = 0;  // tokens, of those that asked
  double typical_answer_ = 0;
  bool learnt_ = false;
};

}  // namespace tenfold::sched
