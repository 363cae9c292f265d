// One variant against what is best so far, pair by pair: what the pairs say, and whether more are needed. Pure.
//
// Successive elimination: what is plainly slower goes after two or three pairs, what brings nothing after four, so that
// time is spent where something may be won. To win takes six pairs (the sign test at 95 %) or three that are far apart;
// a win found so is only a candidate: search.h measures it against the default once more, from nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "stats/paired.h"

namespace tenfold::tune {

enum class Says {
  kFaster,        // beyond the noise, and by enough to be worth it
  kSlower,        // so plainly that more pairs were not worth their time
  kNoDifference,  // that would be worth leaving the simpler setting for
  kUndecided,     // rounds or time ran out before the noise was beaten: the simpler setting stays
  kFailed,        // could not be measured
  kNotTried,      // no time was left
};

struct Pairs {
  std::vector<double> arm_s;   // seconds of the variant
  std::vector<double> best_s;  // of what it was compared with, in the same round
  size_t rounds() const { return arm_s.size(); }
  stats::PairedRatio Ratio(double coverage = 0.95) const;  // arm over best; at least one pair
};

// A round that nobody needs more than: the noise is then too large for anything that could still be won.
inline constexpr size_t kMostRounds = 16;

// What a variant must bring to be worth leaving a simpler one for.
struct Bar {
  double least_gain = 0.02;  // part of the time that the median ratio must save
  bool whole = false;        // the whole interval must, not only the median: where something else is given up for it
};

// nullopt: another round is needed.
std::optional<Says> Judge(const Pairs& pairs, const Bar& bar);

// The same for a final comparison with the default, where a wrong "faster" is what a user would live with: kFaster
// needs at least eight pairs and 99 %, whatever they show.
std::optional<Says> JudgeFinally(const Pairs& pairs, const Bar& bar);
inline constexpr size_t kFinalRounds = 8;

// "1.31 of the time (1.28 to 1.33 in 3 rounds)".
std::string TextOf(const stats::PairedRatio& ratio);
std::string_view NameOf(Says says);  // "faster", "slower", "no difference", ...

}  // namespace tenfold::tune
