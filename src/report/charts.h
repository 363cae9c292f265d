// The report's pictures as inline SVG. Colours are classes, which the page's style gives a light and a dark meaning.
#pragma once

#include <string>
#include <vector>

#include "gate/rules.h"
#include "report/document.h"

namespace tenfold::report {

// Each empty where there is nothing to draw. Pure.
std::string ResponsePerUser(const Subject& subject, const gate::Rules& rules);
std::string LatencyDistribution(const std::vector<Subject>& subjects, const gate::Rules& rules);
std::string ThroughputByUsers(const std::vector<Subject>& subjects);
// Warm-ups included (timeline.cc).
std::string Timeline(const Subject& subject);
std::string BeforeAfter(const Subject& before, const Subject& after, const gate::Rules& rules);

// What is told of one bar: who, how long, how it ended.
std::string TipOf(const results::Request& request);

// Of the numbers of users measured, the largest: whom pictures of one load are about. 0: none.
int64_t MostUsers(const Subject& subject);

}  // namespace tenfold::report
