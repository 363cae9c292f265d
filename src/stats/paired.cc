#include "stats/paired.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "stats/summary.h"

namespace tenfold::stats {
namespace {

// P(Binomial(n, 1/2) = k), through logarithms so that no n overflows.
double FairCoin(size_t n, size_t k) {
  const auto log_factorial = [](size_t m) { return std::lgamma(static_cast<double>(m) + 1); };
  const double log_p =
      log_factorial(n) - log_factorial(k) - log_factorial(n - k) - static_cast<double>(n) * std::log(2);
  return std::exp(log_p);
}

}  // namespace

Result<PairedRatio> ComparePairs(std::span<const double> a, std::span<const double> b, double wanted_coverage) {
  TENFOLD_CHECK(wanted_coverage > 0 && wanted_coverage < 1, "a coverage lies between 0 and 1");
  if (a.size() != b.size() || a.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{} values cannot be paired with {}; a comparison needs as many of both, at least one",
                             a.size(), b.size())};
  }
  std::vector<double> ratios;
  for (size_t i = 0; i < a.size(); ++i) {
    const bool usable = std::isfinite(a[i]) && std::isfinite(b[i]) && a[i] > 0 && b[i] > 0;
    if (!usable) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("pair {} is ({}, {}); both must be positive and finite", i, a[i], b[i])};
    }
    ratios.push_back(a[i] / b[i]);
  }
  std::sort(ratios.begin(), ratios.end());

  // The interval from the r-th smallest to the r-th largest misses the median when fewer than r ratios fall on one side
  // of it: probability 2 * P(Binomial(n, 1/2) < r). Take the largest r that is good enough, at least 1.
  const size_t n = ratios.size();
  size_t rank = 1;
  double tail = FairCoin(n, 0);
  while (2 * (rank + 1) <= n) {
    const double next = tail + FairCoin(n, rank);
    if (1 - 2 * next < wanted_coverage) break;
    tail = next;
    ++rank;
  }
  return PairedRatio{.pairs = n,
                     .median = Median(ratios),
                     .low = ratios[rank - 1],
                     .high = ratios[n - rank],
                     .coverage = std::max(0.0, 1 - 2 * tail)};
}

}  // namespace tenfold::stats
