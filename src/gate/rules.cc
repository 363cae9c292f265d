#include "gate/rules.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <array>
#include <cmath>
#include <vector>

#include "base/nearest_name.h"

namespace tenfold::gate {
namespace {

// Where a number goes: one of the two pointers, and its range.
struct Row {
  std::string_view key;
  double Rules::*amount;
  int64_t Rules::*count;
  double least, most;
};
constexpr std::array<Row, 10> kRows = {{
    {"fast_s", &Rules::fast_s, nullptr, 0.001, 1e6},
    {"target_s", &Rules::target_s, nullptr, 0.001, 1e6},
    {"users", nullptr, &Rules::users, 1, 1e6},
    {"degrade_users", nullptr, &Rules::degrade_users, 1, 1e6},
    {"overrun", &Rules::overrun, nullptr, 1, 100},
    {"least_success", &Rules::least_success, nullptr, 0, 1},
    {"least_runs", nullptr, &Rules::least_runs, 1, 1000},
    {"most_spread", &Rules::most_spread, nullptr, 0, 100},
    {"cores", nullptr, &Rules::cores, 0, 1e5},
    {"reference_cores", nullptr, &Rules::reference_cores, 1, 1e5},
}};

Error At(const std::string& path, unsigned line, const std::string& what) {
  return {ErrorCode::kInvalidArgument, fmt::format("{}:{}: {}", path, line, what)};
}

Error Unknown(const std::string& path, unsigned line, std::string_view key) {
  std::vector<std::string> names = {"evidence"};
  for (const Row& row : kRows) names.emplace_back(row.key);
  const std::string nearest = NearestName(key, names);
  return At(
      path, line,
      fmt::format("there is no rule '{}'{}", key, nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest)));
}

Status Take(const toml::node& node, const Row& row, const std::string& path, Rules& rules) {
  const unsigned line = node.source().begin.line;
  const bool whole = node.is_integer();
  if (!whole && (row.count != nullptr || !node.is_floating_point())) {
    return At(path, line, fmt::format("{} must be a {}number", row.key, row.count != nullptr ? "whole " : ""));
  }
  const double value = *node.value<double>();
  if (!(value >= row.least && value <= row.most)) {
    return At(path, line, fmt::format("{} must lie between {} and {}", row.key, row.least, row.most));
  }
  if (row.count != nullptr) {
    rules.*row.count = static_cast<int64_t>(value);
  } else {
    rules.*row.amount = value;
  }
  return {};
}

Status TakeEvidence(const toml::node& node, const std::string& path, Rules& rules) {
  const std::string text = node.value<std::string>().value_or("");
  if (text != "repeated" && text != "single-run") {
    return At(path, node.source().begin.line, "evidence must be \"repeated\" or \"single-run\"");
  }
  rules.single_run = text == "single-run";
  return {};
}

}  // namespace

Result<Rules> ParseRules(std::string_view text, const std::string& path) {
  toml::table table;
  try {  // the packaged library reports errors by throwing; they end here
    table = toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    return At(path, error.source().begin.line, std::string(error.description()));
  }
  Rules rules;
  for (const auto& [key, node] : table) {
    if (key.str() == "evidence") {
      TENFOLD_TRY_STATUS(TakeEvidence(node, path, rules));
      continue;
    }
    const Row* found = nullptr;
    for (const Row& row : kRows) {
      if (row.key == key.str()) found = &row;
    }
    if (found == nullptr) return Unknown(path, node.source().begin.line, key.str());
    TENFOLD_TRY_STATUS(Take(node, *found, path, rules));
  }
  if (rules.fast_s > rules.target_s) return At(path, 1, "fast_s must not be more than target_s");
  if (rules.degrade_users > rules.users) return At(path, 1, "degrade_users must not be more than users");
  return rules;
}

}  // namespace tenfold::gate
