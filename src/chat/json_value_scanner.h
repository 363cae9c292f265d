// Finds where one JSON value ends in a text that arrives byte by byte.
//
// What it does: follows strings, escapes and the depth of brackets. What it does not: check the value, because a
// model's malformed JSON still has to end somewhere: brackets are counted without their kind, and what is neither
// string nor bracketed ends at a comma, a closing bracket or a space.
#pragma once

#include <cstdint>

namespace tenfold::chat {

class JsonValueScanner {
 public:
  enum class Step {
    kMore,  // the byte belongs to the value, which may go on
    kLast,  // the byte is the value's last
    kPast,  // the value has ended before this byte
  };

  // Not to be called again after kLast or kPast.
  Step Push(char c);
  // The next byte is inside a string.
  bool in_string() const { return in_string_; }

 private:
  bool begun_ = false;
  bool in_string_ = false;
  bool escaped_ = false;
  int64_t depth_ = 0;
};

}  // namespace tenfold::chat
