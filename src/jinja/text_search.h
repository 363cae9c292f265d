// Searching and cutting marked text, as Python's str methods do. Linear time, whatever the strings.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "jinja/run.h"

namespace tenfold::jinja {

inline constexpr size_t kNowhere = static_cast<size_t>(-1);

// The first byte of the first or last place where `needle` stands in `text`, or kNowhere. An empty needle stands at
// both ends.
size_t FindFirst(std::string_view text, std::string_view needle, size_t from = 0);
size_t FindLast(std::string_view text, std::string_view needle);
// Places that do not overlap; an empty needle stands between all characters and at both ends.
int64_t CountOf(std::string_view text, std::string_view needle);

// Python's replace(); count < 0: all.
MarkedText Replaced(Run& run, const MarkedText& text, const MarkedText& from, const MarkedText& to, int64_t count);
// Which of both ends is meant.
enum class End { kBoth, kLeft, kRight };
// Without white space, or without the characters that `chars` holds, at the ends.
MarkedText Stripped(const MarkedText& text, End end);
MarkedText Stripped(const MarkedText& text, std::string_view chars, End end);
// Python's split() and rsplit(); max_splits < 0: all. `separator` null: runs of white space. It must not be empty.
std::vector<MarkedText> Split(Run& run, const MarkedText& text, const std::string_view* separator, int64_t max_splits,
                              bool from_right);
std::vector<MarkedText> SplitLines(Run& run, const MarkedText& text, bool keep_ends);

}  // namespace tenfold::jinja
