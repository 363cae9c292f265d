#include "stats/summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/check.h"

namespace tenfold::stats {
namespace {

void CheckSamples(std::span<const double> samples) {
  TENFOLD_CHECK(!samples.empty(), "a summary of no samples");
  TENFOLD_CHECK(std::none_of(samples.begin(), samples.end(), [](double x) { return std::isnan(x); }),
                "a sample is not a number");
}

}  // namespace

double Mean(std::span<const double> samples) {
  CheckSamples(samples);
  return std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
}

double Percentile(std::span<const double> samples, double percent) {
  CheckSamples(samples);
  TENFOLD_CHECK(percent >= 0 && percent <= 100, "a percentile lies between 0 and 100");
  std::vector<double> sorted(samples.begin(), samples.end());
  std::sort(sorted.begin(), sorted.end());
  const double place = static_cast<double>(sorted.size() - 1) * percent / 100;
  const auto below = static_cast<size_t>(place);
  const double part = place - static_cast<double>(below);
  if (part == 0) return sorted[below];  // also keeps infinite neighbours out of a sum
  return sorted[below] + part * (sorted[below + 1] - sorted[below]);
}

double Median(std::span<const double> samples) { return Percentile(samples, 50); }

}  // namespace tenfold::stats
