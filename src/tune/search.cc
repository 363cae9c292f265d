#include "tune/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "stats/summary.h"

namespace tenfold::tune {
namespace {

constexpr std::array<double, 4> kScales = {1, 0.5, 0.25, 0.125};  // largest first
constexpr double kUsualRounds = 4.5;                              // of an arm, winners and losers together
constexpr double kPlannedFinalRounds = 14;
constexpr double kFinalShare = 0.35;   // of the time left, kept back for them where 14 do not fit
constexpr double kSearchShare = 0.75;  // of the bound that the search is planned to fill
constexpr double kSlack = 1.15;        // by which a measurement may take longer than those before it
constexpr double kPatience = 3;        // times the best's seconds after which a candidate has lost
constexpr double kStartPatience = 10;  // the same for the user's start: how bad it is, is worth knowing
constexpr int kFullRuns = 3;           // of the choice, where no confirmation has shown them

class Searcher {
 public:
  Searcher(const Space& space, const SearchOptions& options, Measuring& measuring, const Observer& observer)
      : space_(space), bound_s_(options.bound_s), measuring_(measuring), observer_(observer) {}

  Outcome Run();

 private:
  struct Arm {
    Candidate candidate;
    ArmResult result;
    bool decided = false;
    bool told = false;

    // The median would be enough, if only the noise allowed to say so.
    bool promising(const Bar& bar) const {
      return !decided && result.pairs.rounds() > 0 && result.pairs.Ratio().median <= 1 - bar.least_gain;
    }
  };
  // When a race should be over, and when also what looks good must be decided.
  struct Until {
    double usual_s = 0;
    double promising_s = 0;
  };

  double Left() const { return bound_s_ * 0.98 - out_.spent_s; }
  // Seconds that a trial of this scale costs where its server is up.
  double Expected(double scale) const { return kSlack * full_s_ * scale + overhead_s_; }
  Measured Take(const Candidate& candidate, double scale, const std::string& what);
  bool FindReference();
  bool ChooseScale();
  void TurnKnobs();
  void Race(std::vector<Arm>& arms, const Candidate& best, double scale, const Bar& bar, const Until& until,
            const std::string& name, const Knob* knob);
  static void Decide(Arm& arm, Says says) {
    arm.decided = true;
    arm.result.says = says;
  }
  bool RunRound(std::vector<Arm>& arms, const Candidate& best, double scale, const std::string& what, bool backward);
  void JudgeArms(std::vector<Arm>& arms, const Bar& bar, const Knob* knob);
  void TurnKnob(size_t k, const Until& until);
  static const Arm* Winner(const std::vector<Arm>& arms, const Bar& bar);
  void Confirm();
  void MeasureWhole();
  void Say(const std::string& line) const {
    if (observer_.on_line) observer_.on_line(line);
  }

  const Space& space_;
  double bound_s_;
  Measuring& measuring_;
  const Observer& observer_;
  Outcome out_;
  bool stopped_ = false;
  double patience_ = kPatience;
  double full_s_ = 0;                // seconds of the whole work with the best so far, as far as it is known
  double overhead_s_ = 0;            // of a trial beside its answers, its server being up
  double start_s_ = 0;               // the longest start so far
  std::map<double, double> best_s_;  // scale -> seconds of the best so far
};

// Limits: before anything is known a quarter of the
// bound may pass, so that four that hang still end in time.
Measured Searcher::Take(const Candidate& candidate, double scale, const std::string& what) {
  const bool known = full_s_ > 0;
  const double left = std::max(0.1, Left());
  Trial trial{.candidate = candidate, .scale = scale};
  const auto best = best_s_.find(scale);
  const double answer = best != best_s_.end() ? best->second : full_s_ * scale * 1.5;
  trial.start_limit_s = std::min(known ? 3 * start_s_ + 10 : bound_s_ / 4, left / 2);
  trial.answer_limit_s = std::min(known ? patience_ * answer + 2 : bound_s_ / 4, left - trial.start_limit_s);
  if (observer_.on_trial) observer_.on_trial({out_.spent_s, bound_s_, what});
  Measured got = measuring_.Measure(trial);
  out_.spent_s += got.cost_s;
  stopped_ |= measuring_.stopped();
  if (stopped_) got.failure = "stopped";
  if (!stopped_) ++out_.trials;
  start_s_ = std::max(start_s_, got.start_s);
  if (got.failure.empty()) overhead_s_ += 0.3 * (got.cost_s - got.start_s - got.seconds - overhead_s_);
  return got;
}

// The defaults at the smallest scale; where they cannot be measured at all, the start stands in for them.
bool Searcher::FindReference() {
  Say("how long one measurement takes");
  std::vector<Candidate> candidates = {space_.defaults()};
  if (space_.start != space_.defaults()) candidates.push_back(space_.start);
  for (const Candidate& candidate : candidates) {
    const Measured got = Take(candidate, kScales.back(), space_.TextOf(candidate));
    if (stopped_) return false;
    if (!got.failure.empty()) {
      out_.failure = fmt::format("{}: {}", space_.TextOf(candidate), got.failure);
      if (candidate == space_.defaults()) out_.defaults_failure = got.failure;
      continue;
    }
    out_.reference = candidate;
    full_s_ = got.seconds / kScales.back();
    best_s_[kScales.back()] = got.seconds;
    return true;
  }
  out_.ending = Ending::kUnmeasurable;
  return false;
}

// The largest scale at which the usual number of measurements fits into the search's share. How long a whole answer
// takes is guessed from a part of it; a first measurement at the chosen scale corrects the guess, once.
bool Searcher::ChooseScale() {
  double trials = 2 * kPlannedFinalRounds;
  for (const Knob& knob : space_.knobs) {
    if (knob.variants.size() > 1) trials += kUsualRounds * static_cast<double>(knob.variants.size());
  }
  if (space_.start != out_.reference) trials += 2 * kUsualRounds;
  for (int attempt = 0; attempt < 2; ++attempt) {
    out_.scale = kScales.back();
    for (const double scale : kScales) {
      if (trials * Expected(scale) > kSearchShare * Left()) continue;
      out_.scale = scale;
      break;
    }
    if (best_s_.contains(out_.scale)) return true;
    const Measured got = Take(out_.reference, out_.scale, space_.TextOf(out_.reference));
    if (stopped_) return false;
    if (!got.failure.empty()) continue;
    full_s_ = got.seconds / out_.scale;
    best_s_[out_.scale] = got.seconds;
  }
  return true;
}

// False when the best itself could not be measured, and the round says nothing.
bool Searcher::RunRound(std::vector<Arm>& arms, const Candidate& best, double scale, const std::string& what,
                        bool backward) {
  std::vector<Arm*> order;
  for (Arm& arm : arms) {
    if (!arm.decided) order.push_back(&arm);
  }
  order.insert(order.begin(), nullptr);  // the best
  if (backward) std::reverse(order.begin(), order.end());
  double best_s = 0;
  std::map<Arm*, double> seconds;
  for (Arm* arm : order) {
    const Candidate& candidate = arm == nullptr ? best : arm->candidate;
    const Measured got = Take(candidate, scale, what);
    if (stopped_) return false;
    if (got.failure.empty()) {
      (arm == nullptr ? best_s : seconds[arm]) = got.seconds;
    } else if (arm != nullptr) {
      Decide(*arm, Says::kFailed);
      arm->result.failure = got.failure;
    }
  }
  if (best_s <= 0) return false;
  best_s_[scale] = best_s;
  for (const auto& [arm, arm_s] : seconds) {
    arm->result.pairs.arm_s.push_back(arm_s);
    arm->result.pairs.best_s.push_back(best_s);
  }
  return true;
}

void Searcher::JudgeArms(std::vector<Arm>& arms, const Bar& bar, const Knob* knob) {
  for (Arm& arm : arms) {
    if (!arm.decided) {
      const std::optional<Says> says = Judge(arm.result.pairs, bar);
      if (says) Decide(arm, *says);
    }
    if (!arm.decided || arm.told || arm.result.says == Says::kNotTried) continue;
    arm.told = true;
    if (knob != nullptr && observer_.on_arm) observer_.on_arm(*knob, arm.result);
  }
}

// Rounds until every arm is decided or its time is over. An arm gets two rounds at least, which show what is plainly
// slower; where not even these fit for all, the last arms are not tried.
void Searcher::Race(std::vector<Arm>& arms, const Candidate& best, double scale, const Bar& bar, const Until& until,
                    const std::string& name, const Knob* knob) {
  const double unit_s = Expected(scale);
  const auto needs_s = [&](size_t n) {
    return 2 * unit_s * static_cast<double>(n + 1) + start_s_ * static_cast<double>(n);
  };
  size_t fit = arms.size();
  while (fit > 0 && needs_s(fit) > until.promising_s - out_.spent_s) --fit;
  for (size_t i = fit; i < arms.size(); ++i) Decide(arms[i], Says::kNotTried);
  int failed_rounds = 0;
  for (int round = 0; !stopped_ && failed_rounds < 2; ++round) {
    size_t open = 0;
    for (Arm& arm : arms) {
      const bool more = arm.result.pairs.rounds() < 2 || arm.promising(bar);
      const double until_s = more ? until.promising_s : until.usual_s;
      if (!arm.decided && out_.spent_s + 2 * unit_s > until_s) Decide(arm, Says::kUndecided);
      open += arm.decided ? 0 : 1;
    }
    if (open == 0) break;
    const bool whole = RunRound(arms, best, scale, fmt::format("{}, round {}", name, round + 1), round % 2 == 1);
    if (stopped_) return;
    failed_rounds += whole ? 0 : 1;
    JudgeArms(arms, bar, knob);
  }
  for (Arm& arm : arms) {
    if (!arm.decided) Decide(arm, Says::kUndecided);
  }
  JudgeArms(arms, bar, knob);
}

// Of the arms that won, the simplest that no other beats beyond noise.
const Searcher::Arm* Searcher::Winner(const std::vector<Arm>& arms, const Bar& bar) {
  const Arm* winner = nullptr;
  for (const Arm& arm : arms) {
    if (arm.result.says != Says::kFaster) continue;
    if (winner == nullptr) {
      winner = &arm;
      continue;
    }
    const size_t common = std::min(arm.result.pairs.rounds(), winner->result.pairs.rounds());
    Pairs between;
    for (size_t i = 0; i < common; ++i) {
      between.arm_s.push_back(arm.result.pairs.arm_s[i] / arm.result.pairs.best_s[i]);
      between.best_s.push_back(winner->result.pairs.arm_s[i] / winner->result.pairs.best_s[i]);
    }
    if (Judge(between, bar) == Says::kFaster) winner = &arm;
  }
  return winner;
}

void Searcher::TurnKnob(size_t k, const Until& until) {
  const Knob& knob = space_.knobs[k];
  KnobResult result{.knob = k, .before = out_.winner[k], .after = out_.winner[k], .arms = {}};
  std::vector<Arm> arms;
  for (size_t v = 0; v < knob.variants.size(); ++v) {
    if (v == result.before) continue;
    Arm& arm = arms.emplace_back();
    arm.candidate = out_.winner;
    arm.candidate[k] = v;
    arm.result.variant = v;
  }
  const double scale = std::max(out_.scale, knob.least_scale);
  Race(arms, out_.winner, scale, knob.bar, until, knob.name, &knob);
  if (!stopped_) {
    if (const Arm* winner = Winner(arms, knob.bar)) {
      result.after = winner->result.variant;
      out_.winner = winner->candidate;
      const double gain = winner->result.pairs.Ratio().median;
      full_s_ *= gain;
      for (auto& [s, seconds] : best_s_) seconds *= gain;
    }
  }
  for (Arm& arm : arms) result.arms.push_back(std::move(arm.result));
  out_.knobs.push_back(std::move(result));
}

// Each knob may take its share of what is left, or half of all where something looks good; what it leaves is for those
// behind it. Enough for the confirmation is kept back.
void Searcher::TurnKnobs() {
  out_.winner = out_.reference;
  if (space_.start != out_.reference) {
    Say("your start against the defaults");
    std::vector<Arm> arms(1);
    arms[0].candidate = space_.start;
    patience_ = kStartPatience;
    const double until_s = out_.spent_s + Left() / 3;
    Race(arms, out_.reference, out_.scale, Bar{}, {until_s, until_s}, "your start", nullptr);
    patience_ = kPatience;
    if (arms[0].result.says == Says::kFaster) out_.winner = space_.start;
    out_.start = std::move(arms[0].result);
  }
  // By arms, not by knobs: a knob with three variants needs more time than one with two.
  const auto weight = [&](size_t k) {
    const size_t variants = space_.knobs[k].variants.size();
    return static_cast<double>(variants > 1 ? variants : 0);
  };
  for (size_t k = 0; k < space_.knobs.size() && !stopped_; ++k) {
    if (weight(k) == 0) continue;
    double weights = 0;
    for (size_t later = k; later < space_.knobs.size(); ++later) weights += weight(later);
    const double least_s = 2 * static_cast<double>(kFinalRounds) * Expected(out_.scale);
    const double planned_s = 2 * kPlannedFinalRounds * Expected(out_.scale);
    const double reserve_s = std::clamp(kFinalShare * Left(), least_s, planned_s) + start_s_;
    const double left_s = std::max(0.0, Left() - reserve_s);
    const double share_s = left_s * weight(k) / weights;
    Say(fmt::format("{}: {} stands against what else there is", space_.knobs[k].name,
                    space_.knobs[k].variants[out_.winner[k]].text));
    TurnKnob(k, {out_.spent_s + share_s, out_.spent_s + std::max(share_s, left_s / 2)});
  }
}

// At the search's scale, or a larger one at which enough rounds fit: seconds that users will see, if possible, but a
// decision first.
void Searcher::Confirm() {
  out_.chosen = out_.reference;
  if (out_.winner == out_.reference) return;
  Confirmation& c = out_.confirmation.emplace();
  const auto rounds_s = [&](double scale, double rounds) { return 2 * rounds * Expected(scale) + 2 * start_s_; };
  c.scale = out_.scale;
  for (const double scale : kScales) {
    if (scale <= out_.scale || rounds_s(scale, kPlannedFinalRounds) > Left()) continue;
    c.scale = scale;
    break;
  }
  Say(fmt::format("{} against {}, once more from nothing", space_.TextOf(out_.winner), space_.TextOf(out_.reference)));
  std::vector<Arm> arms(1);
  arms[0].candidate = out_.winner;
  c.says = Says::kUndecided;
  int failed_rounds = 0;
  for (int round = 0; 2 * Expected(c.scale) <= Left() && failed_rounds < 2; ++round) {
    const bool whole =
        RunRound(arms, out_.reference, c.scale, fmt::format("confirming, round {}", round + 1), round % 2 == 1);
    if (stopped_) return;
    c.pairs = arms[0].result.pairs;
    failed_rounds += whole ? 0 : 1;
    if (arms[0].decided) c.says = Says::kFailed;
    if (arms[0].decided) break;
    const std::optional<Says> says = JudgeFinally(c.pairs, Bar{});
    if (!says) continue;
    c.says = *says;
    break;
  }
  if (c.says == Says::kFaster) out_.chosen = out_.winner;
  if (c.scale == 1) out_.chosen_full_s = c.says == Says::kFaster ? c.pairs.arm_s : c.pairs.best_s;
}

// What users will see with the choice, where the confirmation has not shown it.
void Searcher::MeasureWhole() {
  const Candidate chosen = out_.chosen;
  for (int run = 0; run < kFullRuns && !stopped_; ++run) {
    if (static_cast<int>(out_.chosen_full_s.size()) >= kFullRuns) return;
    if (Expected(1) + start_s_ > Left()) return;
    const Measured got = Take(chosen, 1, "the choice, whole answers");
    if (got.failure.empty()) out_.chosen_full_s.push_back(got.seconds);
  }
}

Outcome Searcher::Run() {
  if (FindReference() && ChooseScale()) {
    Say(fmt::format("{:.1f} s until the last user is answered, about; measuring with {:g} of the prompts and answers",
                    full_s_, out_.scale));
    TurnKnobs();
    if (!stopped_) Confirm();
    if (!stopped_) {  // decided: who stops it from here on loses a figure, not the choice
      MeasureWhole();
      return std::move(out_);
    }
  }
  if (stopped_) out_.ending = Ending::kStopped;
  return std::move(out_);
}

}  // namespace

Outcome Search(const Space& space, const SearchOptions& options, Measuring& measuring, const Observer& observer) {
  return Searcher(space, options, measuring, observer).Run();
}

}  // namespace tenfold::tune
