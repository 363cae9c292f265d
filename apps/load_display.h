// What `tenfold bench load` shows while it runs: on a terminal one line that is redrawn, and the figures of each phase
// when its last round ends.
#pragma once

#include <string>

#include "load/load.h"

namespace tenfold::apps {

// Redrawn in place on stderr, where that is a terminal; nothing elsewhere.
void ShowLoadProgress(const load::Progress& progress, int64_t rounds, size_t servers);
// The line goes away, so that something else can be printed.
void EndLoadProgress();

}  // namespace tenfold::apps
