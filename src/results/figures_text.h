// Figures as lines for a terminal: what `tenfold bench load` prints when a phase ends.
#pragma once

#include <string>

#include "results/figures.h"

namespace tenfold::results {

// Several lines, each with a newline. Pure.
std::string FormatFigures(const Figures& figures, const Group& group, double timeout_s);

}  // namespace tenfold::results
