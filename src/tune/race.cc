#include "tune/race.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace tenfold::tune {
namespace {

constexpr size_t kRoundsToWin = 6;  // the fewest with which the sign test says anything at 95 %
constexpr double kFinalCoverage = 0.99;

std::vector<double> RatiosOf(const Pairs& pairs) {
  std::vector<double> ratios;
  for (size_t i = 0; i < pairs.rounds(); ++i) ratios.push_back(pairs.arm_s[i] / pairs.best_s[i]);
  return ratios;
}

bool Clears(const stats::PairedRatio& ratio, const Bar& bar) {
  return ratio.high < (bar.whole ? 1 - bar.least_gain : 1) && ratio.median <= 1 - bar.least_gain;
}

}  // namespace

stats::PairedRatio Pairs::Ratio(double coverage) const {
  const auto ratio = stats::ComparePairs(arm_s, best_s, coverage);
  TENFOLD_CHECK(ratio.ok(), "measured seconds are positive, and come in pairs");
  return *ratio;
}

std::optional<Says> Judge(const Pairs& pairs, const Bar& bar) {
  const size_t n = pairs.rounds();
  if (n < 2) return std::nullopt;
  const std::vector<double> ratios = RatiosOf(pairs);
  const double least = *std::min_element(ratios.begin(), ratios.end());
  const double most = *std::max_element(ratios.begin(), ratios.end());
  const stats::PairedRatio ratio = pairs.Ratio();
  if (least >= 1.05) return Says::kSlower;
  if (n >= 3 && least >= 1 && ratio.median >= 1.02) return Says::kSlower;
  if (most <= 0.8 || (n >= 3 && most <= 0.9)) return Says::kFaster;
  if (n >= 4 && ratio.median > 1 - bar.least_gain / 2) return Says::kNoDifference;
  if (n >= kRoundsToWin && Clears(ratio, bar)) return Says::kFaster;
  if (n >= kMostRounds) return Says::kUndecided;
  return std::nullopt;
}

// Looked at after 8, 12, 16 and 20 pairs only: whoever looks often enough sees what is not there.
std::optional<Says> JudgeFinally(const Pairs& pairs, const Bar& bar) {
  const size_t n = pairs.rounds();
  if (n < kFinalRounds || n % 4 != 0) return std::nullopt;
  const stats::PairedRatio ratio = pairs.Ratio(kFinalCoverage);
  if (Clears(ratio, bar)) return Says::kFaster;
  if (ratio.median > 1 - bar.least_gain / 2) return ratio.low > 1 ? Says::kSlower : Says::kNoDifference;
  if (n >= 20) return Says::kUndecided;
  return std::nullopt;
}

std::string TextOf(const stats::PairedRatio& ratio) {
  return fmt::format("{:.2f} of the time ({:.2f} to {:.2f} in {} round{})", ratio.median, ratio.low, ratio.high,
                     ratio.pairs, ratio.pairs == 1 ? "" : "s");
}

std::string_view NameOf(Says says) {
  switch (says) {
    case Says::kFaster:
      return "faster";
    case Says::kSlower:
      return "slower";
    case Says::kNoDifference:
      return "no difference";
    case Says::kUndecided:
      return "not decided";
    case Says::kFailed:
      return "failed";
    case Says::kNotTried:
      return "not tried";
  }
  return "";
}

}  // namespace tenfold::tune
