// How many tokens an answer had: what the server says, unless that cannot be true of the text it sent.
#pragma once

#include <cstdint>
#include <string>

namespace tenfold::load {

struct TextSeen {
  int64_t events = 0;  // that carried text
  uint64_t bytes = 0;  // of text
  int64_t most = 0;    // tokens that were asked for at most
};

struct TokenCount {
  int64_t tokens = 0;
  bool estimated = false;  // events were counted, because the server said nothing or nothing true
  std::string doubt;       // why what it said cannot be true; "" where it may be
};

// said: by usage; negative: it said nothing. Lies a client can see: more tokens than were allowed, fewer than the
// events they came in (one more is granted: the last text held back), or so many that a token would have less than half
// a byte (special tokens have none, so a few are granted). A server that merges tokens into one event is believed.
// Pure.
TokenCount CountTokens(int64_t said, const TextSeen& seen);

}  // namespace tenfold::load
