// Figures that were measured elsewhere, out of a table, as results that can be judged like our own.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "results/result_file.h"

namespace tenfold::gate {

// A head line with the columns' names, then one request a line; blank lines and lines that begin with '#' are skipped.
// Columns: `users` (how many asked at once) and `response_s` must be there; `phase` ("users" or "cold"), `outcome`
// ("ok" or a name of docs/results.md; a failure may leave response_s empty), `run` (0, 1, ...), `first_token_s` and
// `tokens` may be. What is not there stays unknown. Errors name the path, the line and the column. Pure.
Result<results::ResultFile> ParseCsv(std::string_view text, const std::string& path, double timeout_s);

}  // namespace tenfold::gate
