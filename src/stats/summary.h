// Summaries of measured samples, each by one stated definition, so that two tables can be compared.
//
// Pure functions: no units of their own, no allocation kept, any thread. Samples come in any order; NaN among them is
// the caller's bug and stops the process, as does an empty set, which has no median.
#pragma once

#include <span>

namespace tenfold::stats {

double Mean(std::span<const double> samples);

// The value below which `percent` (0 .. 100) of the samples lie, with linear interpolation between neighbours: place
// (n - 1) * percent / 100 of the sorted samples, counted from 0 (definition 7 of Hyndman and Fan 1996; numpy's
// default). So 0 is the smallest, 100 the largest, and the 95th of ten samples lies between the two largest.
double Percentile(std::span<const double> samples, double percent);

// Percentile 50: the middle sample, or the mean of the two middle ones.
double Median(std::span<const double> samples);

}  // namespace tenfold::stats
