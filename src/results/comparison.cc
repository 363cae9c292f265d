#include "results/comparison.h"

#include <fmt/format.h>

#include <cmath>
#include <map>

namespace tenfold::results {
namespace {

constexpr double kWrongAtMost = 0.05;  // of all statements together

double NeededCoverage(size_t comparisons) { return 1 - kWrongAtMost / static_cast<double>(comparisons); }

std::map<int64_t, double> MeanByRound(const Group& group, double timeout_s) {
  std::map<int64_t, double> means;
  for (const Group& round : RoundsOf(group)) {
    means[round.requests.front().round] = FiguresOf(round, timeout_s).response_s.mean;
  }
  return means;
}

struct Rounds {
  Phase phase;
  int64_t users;
  std::vector<double> a, b;
};

Comparison::Says Judge(const stats::PairedRatio& ratio, double needed_coverage) {
  if (ratio.coverage < needed_coverage) return Comparison::Says::kTooFewRounds;
  if (!ratio.differs()) return Comparison::Says::kNoDifference;
  return ratio.high < 1 ? Comparison::Says::kFaster : Comparison::Says::kSlower;
}

}  // namespace

Comparison CompareRounds(const std::vector<double>& a, const std::vector<double>& b, size_t comparisons) {
  Comparison out;
  out.needed_coverage = NeededCoverage(comparisons);
  const Result<stats::PairedRatio> ratio = stats::ComparePairs(a, b, out.needed_coverage);
  if (!ratio.ok()) return out;  // no pair at all
  out.ratio = *ratio;
  out.says = Judge(out.ratio, out.needed_coverage);
  return out;
}

std::vector<Comparison> Compare(const ResultFile& file, int64_t a, int64_t b) {
  std::vector<Rounds> all;
  const std::vector<Group> of_b = GroupsOf(file, b);
  for (const Group& group : GroupsOf(file, a)) {
    if (group.phase == Phase::kCold) continue;
    for (const Group& other : of_b) {
      if (other.phase != group.phase || other.users != group.users) continue;
      Rounds rounds{group.phase, group.users, {}, {}};
      const std::map<int64_t, double> means = MeanByRound(other, file.plan.timeout_s);
      for (const auto& [round, mean_s] : MeanByRound(group, file.plan.timeout_s)) {
        const auto pair = means.find(round);
        if (pair == means.end() || mean_s <= 0 || pair->second <= 0) continue;
        rounds.a.push_back(mean_s);
        rounds.b.push_back(pair->second);
      }
      if (!rounds.a.empty()) all.push_back(std::move(rounds));
    }
  }
  std::vector<Comparison> out;
  for (const Rounds& rounds : all) {
    Comparison comparison = CompareRounds(rounds.a, rounds.b, all.size());
    comparison.phase = rounds.phase;
    comparison.users = rounds.users;
    out.push_back(comparison);
  }
  return out;
}

int64_t RoundsNeeded(size_t comparisons) {
  // The widest interval, smallest to largest ratio of n, misses the median with probability 2 / 2^n.
  return static_cast<int64_t>(std::ceil(1 + std::log2(static_cast<double>(comparisons) / kWrongAtMost)));
}

std::string TextOf(const Comparison& c) {
  const std::string figure = fmt::format("{:.2f} of the time ({:.2f} to {:.2f} in {} round{})", c.ratio.median,
                                         c.ratio.low, c.ratio.high, c.ratio.pairs, c.ratio.pairs == 1 ? "" : "s");
  switch (c.says) {
    case Comparison::Says::kFaster:
      return figure + ": faster";
    case Comparison::Says::kSlower:
      return figure + ": slower";
    case Comparison::Says::kNoDifference:
      return figure + ": no difference";
    case Comparison::Says::kTooFewRounds:
      break;
  }
  return figure + ": too few rounds to say";
}

}  // namespace tenfold::results
