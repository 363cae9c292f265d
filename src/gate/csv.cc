#include "gate/csv.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <vector>

namespace tenfold::gate {
namespace {

using results::Phase;
using results::Request;

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> CellsOf(std::string_view line) {
  std::vector<std::string_view> cells;
  while (true) {
    const size_t comma = line.find(',');
    cells.push_back(Trimmed(line.substr(0, comma)));
    if (comma == std::string_view::npos) return cells;
    line.remove_prefix(comma + 1);
  }
}

// The cells of one line by their columns' names.
class Row {
 public:
  Row(const std::vector<std::string_view>& columns, const std::vector<std::string_view>& cells) {
    for (size_t i = 0; i < columns.size(); ++i) cells_[columns[i]] = cells[i];
  }
  // "" where there is no such column.
  std::string_view Text(std::string_view column) const {
    const auto cell = cells_.find(column);
    return cell == cells_.end() ? std::string_view() : cell->second;
  }
  // A finite number, 0 or more; `fallback` where nothing is written.
  Result<double> Amount(std::string_view column, double fallback) const {
    const std::string_view text = Text(column);
    if (text.empty()) return fallback;
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) || value < 0 || value > 1e9) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("{} must be a number, 0 or more", column)};
    }
    return value;
  }
  Result<int64_t> Count(std::string_view column, int64_t fallback) const {
    TENFOLD_TRY(const double value, Amount(column, static_cast<double>(fallback)));
    if (value == std::floor(value)) return static_cast<int64_t>(value);
    return Error{ErrorCode::kInvalidArgument, fmt::format("{} must be a whole number", column)};
  }

 private:
  std::map<std::string_view, std::string_view> cells_;
};

Result<Request> RequestOf(const Row& row, double timeout_s) {
  Request r;
  TENFOLD_TRY(r.users, row.Count("users", 0));
  TENFOLD_TRY(r.round, row.Count("run", 0));
  TENFOLD_TRY(r.first_token_s, row.Amount("first_token_s", 0));
  TENFOLD_TRY(r.tokens, row.Count("tokens", 0));
  const auto phase = results::PhaseFromName(row.Text("phase").empty() ? "users" : row.Text("phase"));
  if (phase != Phase::kUsers && phase != Phase::kCold) {
    return Error{ErrorCode::kInvalidArgument, "phase must be users or cold"};
  }
  const auto outcome = results::OutcomeFromName(row.Text("outcome").empty() ? "ok" : row.Text("outcome"));
  if (!outcome) return Error{ErrorCode::kInvalidArgument, "outcome must be ok, timeout, ... (docs/results.md)"};
  r.phase = *phase;
  r.outcome = *outcome;
  if (r.users < 1) return Error{ErrorCode::kInvalidArgument, "users must be 1 or more"};
  TENFOLD_TRY(r.waited_s, row.Amount("response_s", r.ok() ? 0 : timeout_s));
  if (r.ok() && r.waited_s == 0)
    return Error{ErrorCode::kInvalidArgument, "response_s must be more than 0 where outcome is ok"};
  if (r.ok() && r.waited_s >= timeout_s) r.outcome = results::Outcome::kTimeout;  // nobody waited for it
  return r;
}

Status CheckColumns(const std::vector<std::string_view>& columns) {
  const std::set<std::string_view> known = {"users", "response_s",    "phase", "outcome",
                                            "run",   "first_token_s", "tokens"};
  std::set<std::string_view> seen;
  for (const std::string_view column : columns) {
    if (!known.contains(column)) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("unknown column '{}'; there are {}", column, fmt::join(known, ", "))};
    }
    if (!seen.insert(column).second) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("column '{}' is there twice", column)};
    }
  }
  for (const char* needed : {"users", "response_s"}) {
    if (!seen.contains(needed))
      return Error{ErrorCode::kInvalidArgument, fmt::format("there is no column '{}'", needed)};
  }
  return {};
}

Status TakeLine(std::string_view line, std::vector<std::string_view>& columns, results::ResultFile& out) {
  const std::vector<std::string_view> cells = CellsOf(line);
  if (columns.empty()) {
    columns = cells;
    return CheckColumns(columns);
  }
  if (cells.size() != columns.size()) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{} cells where the head has {}", cells.size(), columns.size())};
  }
  TENFOLD_TRY(Request request, RequestOf(Row(columns, cells), out.plan.timeout_s));
  out.requests.push_back(std::move(request));
  return {};
}

void AddRuns(results::ResultFile& out) {
  std::map<std::tuple<Phase, int64_t, int64_t>, double> walls;
  for (const Request& r : out.requests) {
    double& wall_s = walls[{r.phase, r.users, r.round}];
    wall_s = std::max(wall_s, r.waited_s);
  }
  for (const auto& [key, wall_s] : walls) {
    const auto& [phase, users, round] = key;
    out.runs.push_back({.server = 0, .phase = phase, .users = users, .round = round, .start_s = 0, .wall_s = wall_s});
  }
}

}  // namespace

Result<results::ResultFile> ParseCsv(std::string_view text, const std::string& path, double timeout_s) {
  results::ResultFile out;
  out.path = path;
  out.plan.timeout_s = timeout_s;
  out.plan.imported = true;
  out.servers.push_back({.index = 0, .url = path, .model = "", .facts = {}});
  std::vector<std::string_view> columns;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string_view line = Trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.front() == '#') continue;
    const Status taken = TakeLine(line, columns, out);
    if (!taken.ok())
      return Error{ErrorCode::kInvalidArgument, fmt::format("{}:{}: {}", path, number, taken.error().message)};
  }
  if (out.requests.empty()) return Error{ErrorCode::kInvalidArgument, fmt::format("{}: no request in it", path)};
  AddRuns(out);
  return out;
}

}  // namespace tenfold::gate
