// Which settings answer N users soonest: a search over a measuring interface, which knows neither servers nor clocks.
//
// What it does: finds out how long one measurement takes and how large it may be (`scale`, the part of the users' real
// prompts and answers), drops a bad start for the default, turns one knob at a time around the best so far (race.h),
// then measures the winner against the default once more, from nothing, and keeps it only if it is faster beyond noise.
// What it does not: measure, print, or store. Time is the sum of what measurements say they cost, so that the same
// measurements give the same decision, also when they are read back from a file (journal.h).
//
// Why one knob at a time: all combinations of six knobs are hundreds, an hour of a slow machine each dozen, and the
// knobs hardly act on each other; threads come first because the others are measured with the right number of them.
// Why the order alternates (a b c, c b a): a machine that grows slower meanwhile favours nobody.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tune/race.h"
#include "tune/space.h"

namespace tenfold::tune {

// One measurement that is asked for. Whoever takes it must be back within both limits together.
struct Trial {
  Candidate candidate;
  double scale = 1;           // part of the real prompts and answers, in (0, 1]
  double start_limit_s = 0;   // to make the candidate ready, where it is not
  double answer_limit_s = 0;  // for all users' answers
};

struct Measured {
  double seconds = 0;     // until the last user had the whole answer; only without a failure
  double start_s = 0;     // of cost_s, what making the candidate ready took; 0: it was
  double cost_s = 0;      // everything
  std::string failure{};  // why there are no seconds; "" when there are
};

class Measuring {
 public:
  virtual ~Measuring() = default;
  virtual Measured Measure(const Trial& trial) = 0;
  virtual bool stopped() const = 0;  // the user wants an end; a trial given up for it counts nowhere
};

struct ArmResult {
  size_t variant = 0;  // of the knob; of `Outcome::start` it means nothing
  Says says = Says::kNotTried;
  Pairs pairs;
  std::string failure;  // kFailed
};

struct KnobResult {
  size_t knob = 0;
  size_t before = 0;  // variant
  size_t after = 0;
  std::vector<ArmResult> arms;  // all variants but `before`
};

struct Confirmation {
  double scale = 1;
  Says says = Says::kNotTried;
  Pairs pairs;  // the winner over the default
};

enum class Ending {
  kDone,
  kStopped,      // by the user: nothing is decided
  kUnmeasurable  // neither the default nor the start could be measured: `failure`
};

struct Outcome {
  Ending ending = Ending::kDone;
  std::string failure;
  Candidate reference;  // what the choice is compared with: the defaults, or the start if they fail
  std::string defaults_failure;
  Candidate chosen;
  double scale = 1;                // of the search
  std::optional<ArmResult> start;  // the start against the defaults, where they differ
  std::vector<KnobResult> knobs;
  Candidate winner;                          // of the search, before it was confirmed
  std::optional<Confirmation> confirmation;  // where the winner is not the reference
  std::vector<double> chosen_full_s;         // whole runs of what was chosen, as far as there was time
  double spent_s = 0;
  int64_t trials = 0;
};

struct SearchOptions {
  double bound_s = 1200;  // never exceeded while every trial keeps its limits
};

struct Progress {
  double spent_s = 0;
  double bound_s = 0;
  std::string what;  // "threads 1, round 2"
};

// Called from within; each may be empty.
struct Observer {
  std::function<void(const Progress&)> on_trial;  // before each
  std::function<void(const Knob&, const ArmResult&)> on_arm;
  std::function<void(const std::string&)> on_line;  // one sentence on what comes next or was decided
};

Outcome Search(const Space& space, const SearchOptions& options, Measuring& measuring, const Observer& observer);

}  // namespace tenfold::tune
