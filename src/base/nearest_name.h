// The name a person most likely meant: the nearest by edit distance, where near enough to be worth saying.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tenfold {

// Edits (insert, delete, replace, swap of neighbours) between two names, in bytes. Names longer than 64 bytes are
// compared by their first 64: a hostile argument costs no more than a long one.
int EditDistance(std::string_view a, std::string_view b);

// "" when nothing is within a third of the name's length. A candidate that begins with the whole name counts as near.
std::string NearestName(std::string_view name, std::span<const std::string> candidates);

}  // namespace tenfold
