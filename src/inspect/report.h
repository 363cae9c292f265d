// An inspection as a page for people and as JSON for machines.
#pragma once

#include <string>

#include "inspect/inspection.h"

namespace tenfold::inspect {

// Lines that end in '\n'; no control characters, whatever the file holds. Pure.
std::string ToText(const Inspection& inspection, const Machine& machine);
// One JSON object and '\n'. What is not known is null. Pure.
std::string ToJson(const Inspection& inspection, const Machine& machine);

}  // namespace tenfold::inspect
