// Where the log goes: lines on stderr, and on a terminal a bar below them while a model loads.
#pragma once

#include <string>
#include <string_view>

namespace tenfold::apps {

struct LogChoice {
  std::string level = "info";    // debug, info, warning, error
  std::string format = "human";  // human, json
};
// Before other threads start; lines may then come from any thread.
void StartLog(const LogChoice& choice);

// How far a load is, 0 to 1; eta_s < 0: not known. On a terminal the bar is redrawn in place; elsewhere a line comes
// every few seconds. Any thread.
void ShowProgress(std::string_view stage, double progress, double eta_s);
// The bar goes away.
void EndProgress();

}  // namespace tenfold::apps
