#include "chat/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace tenfold::chat {
namespace {

// fallback[i]: the length of the longest proper beginning of text[0..i] that also ends it (Knuth, Morris, Pratt 1977).
std::vector<uint32_t> Fallbacks(std::string_view text) {
  std::vector<uint32_t> fallback(text.size(), 0);
  uint32_t length = 0;
  for (size_t i = 1; i < text.size(); ++i) {
    while (length > 0 && text[i] != text[length]) length = fallback[length - 1];
    if (text[i] == text[length]) ++length;
    fallback[i] = length;
  }
  return fallback;
}

}  // namespace

StopMatcher::StopMatcher(std::vector<std::string> stops) {
  for (std::string& text : stops) {
    if (text.empty()) continue;
    std::vector<uint32_t> fallback = Fallbacks(text);
    stops_.push_back({std::move(text), std::move(fallback), 0});
  }
}

// True when c completes the stop string.
bool StopMatcher::Advance(Stop& stop, char c) {
  while (stop.matched > 0 && stop.text[stop.matched] != c) stop.matched = stop.fallback[stop.matched - 1];
  if (stop.text[stop.matched] == c) ++stop.matched;
  return stop.matched == stop.text.size();
}

std::string StopMatcher::Push(std::string_view text) {
  if (stopped_) return "";
  for (const char c : text) {
    held_.push_back(c);
    size_t match_bytes = 0;
    for (Stop& stop : stops_) {
      if (Advance(stop, c)) match_bytes = std::max(match_bytes, stop.text.size());
    }
    if (match_bytes > 0) {
      stopped_ = true;
      held_.resize(held_.size() - match_bytes);
      return std::exchange(held_, std::string()).substr(held_begin_);
    }
  }
  size_t keep = 0;
  for (const Stop& stop : stops_) keep = std::max<size_t>(keep, stop.matched);
  const size_t release_end = held_.size() - keep;
  std::string released = held_.substr(held_begin_, release_end - held_begin_);
  held_begin_ = release_end;
  if (held_begin_ >= held_.size() / 2) {
    held_.erase(0, held_begin_);
    held_begin_ = 0;
  }
  return released;
}

std::string StopMatcher::Finish() {
  if (stopped_) return "";
  std::string rest = held_.substr(held_begin_);
  held_.clear();
  held_begin_ = 0;
  for (Stop& stop : stops_) stop.matched = 0;
  return rest;
}

}  // namespace tenfold::chat
