// Two servers asked in turns: is one faster, round by round, beyond the noise?
//
// Each round is one pair: its mean response on the one over its mean response on the other (failures count as
// figures.h says), so what disturbs both of a round cancels. The ratios' median stands with the sign test's interval
// (stats/paired.h). Statements are made about several numbers of users at once, so each interval is widened
// (Bonferroni) until *all* statements together are wrong at most once in twenty times where nothing differs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "results/figures.h"
#include "stats/paired.h"

namespace tenfold::results {

struct Comparison {
  enum class Says { kFaster, kSlower, kNoDifference, kTooFewRounds };

  Phase phase = Phase::kUsers;
  int64_t users = 1;
  stats::PairedRatio ratio;    // response of `a` over response of `b`
  double needed_coverage = 0;  // of the interval, so that all comparisons together err once in twenty
  Says says = Says::kTooFewRounds;
};

// Of every group that both servers have in the same rounds; rounds that only one of them has are left out. Cold starts
// are one of a kind and not compared.
std::vector<Comparison> Compare(const ResultFile& file, int64_t a, int64_t b);
// The same for two lists of rounds; `comparisons`: how many such statements are made together, at least 1.
Comparison CompareRounds(const std::vector<double>& a, const std::vector<double>& b, size_t comparisons);

// Rounds needed before `comparisons` statements can say anything but "too few": 6 for one, 7 for two, 8 for up to six.
int64_t RoundsNeeded(size_t comparisons);

// "0.45 of the time (0.41 to 0.52 in 8 rounds): faster".
std::string TextOf(const Comparison& comparison);

}  // namespace tenfold::results
