// Cuts generated text at the first stop string, however the tokens divide it.
//
// What it does: lets text through as soon as it cannot be the beginning of a stop string, and never earlier. The match
// that ends first wins; of those that end together, the longest. So the result depends on the text alone, not on how
// it was cut into tokens, and generation can end with the very token that completes a match.
// Why Knuth-Morris-Pratt once per stop string: time is O(text) for each, also on text made to almost match, and memory
// is four bytes per stop byte; one automaton for all of them would need a transition table per byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenfold::chat {

// One per answer, used by one thread at a time.
class StopMatcher {
 public:
  // Empty stop strings are ignored. Stop strings and pushed texts are whole UTF-8 characters.
  explicit StopMatcher(std::vector<std::string> stops);

  // The text that can be released now, "" after a match.
  std::string Push(std::string_view text);
  // What was held back, now that no more text comes; "" after a match.
  std::string Finish();
  // True once a stop string has appeared; what Push and Finish gave is the text before it.
  bool stopped() const { return stopped_; }

 private:
  struct Stop {
    std::string text;
    std::vector<uint32_t> fallback;  // (text.size()) longest proper border of each beginning
    uint32_t matched = 0;            // how much of `text` ends the text seen so far
  };

  static bool Advance(Stop& stop, char c);

  std::vector<Stop> stops_;
  std::string held_;       // seen and not released, from held_begin_ on
  size_t held_begin_ = 0;  // so that releasing little does not move much
  bool stopped_ = false;
};

}  // namespace tenfold::chat
