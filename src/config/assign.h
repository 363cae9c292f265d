// One value into one setting, checked: the text of a flag or an environment variable, or a typed value of the file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/settings.h"
#include "config/table.h"
#include "config/toml_file.h"

namespace tenfold::config {

// `where`: how an error calls the place, as "--port" or "tenfold.toml:3: port". Texts of lists are split at commas and
// appended: the caller empties the list when a new source begins.
Status AssignText(const Setting& setting, std::string_view where, std::string_view text, Settings* settings);
Status AssignToml(const Setting& setting, std::string_view where, const TomlEntry& entry, Settings* settings);
void ClearList(const Setting& setting, Settings* settings);

}  // namespace tenfold::config
