#include "base/nearest_name.h"

#include <algorithm>
#include <array>
#include <vector>

namespace tenfold {
namespace {

constexpr size_t kMostCompared = 64;
constexpr size_t kLeastPrefix = 4;  // "--c" begins too many names to mean one of them

}  // namespace

// Damerau's distance in the restricted form (no edit inside a swapped pair): three rows of the usual table.
int EditDistance(std::string_view a, std::string_view b) {
  a = a.substr(0, kMostCompared);
  b = b.substr(0, kMostCompared);
  std::array<std::array<int, kMostCompared + 1>, 3> rows{};
  for (size_t j = 0; j <= b.size(); ++j) rows[0][j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    auto& row = rows[i % 3];
    const auto& above = rows[(i + 2) % 3];
    const auto& two_above = rows[(i + 1) % 3];
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], two_above[j - 2] + 1);
    }
  }
  return rows[a.size() % 3][b.size()];
}

std::string NearestName(std::string_view name, std::span<const std::string> candidates) {
  std::string best;
  int best_distance = std::max(1, static_cast<int>(name.size()) / 3) + 1;
  for (const std::string& candidate : candidates) {
    const bool begins = name.size() >= kLeastPrefix && candidate.starts_with(name);
    const int distance = begins ? 1 : EditDistance(name, candidate);
    if (distance >= best_distance) continue;
    best = candidate;
    best_distance = distance;
  }
  return best;
}

}  // namespace tenfold
