// The rows of the table that bound what clients can make the server hold. Part of table.cc, for length only.
#pragma once

#include <vector>

#include "config/table.h"

namespace tenfold::config {

std::vector<Setting> LimitRows();

}  // namespace tenfold::config
