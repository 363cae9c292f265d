// What must be known of a network of rules before it runs: see AnalyseRules.
#pragma once

#include "base/result.h"
#include "grammar/automaton.h"

namespace tenfold::grammar {

// Fills `nullable`, `productive` and `rank` of every rule and `alive` of every position. Linear in the automaton.
// kInvalidArgument: a rule that calls itself before it consumed a byte (the cycle is named), or a root that no finite
// text matches.
Status AnalyseRules(Automaton& automaton);

}  // namespace tenfold::grammar
