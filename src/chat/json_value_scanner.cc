#include "chat/json_value_scanner.h"

#include "chat/output_event.h"

namespace tenfold::chat {

JsonValueScanner::Step JsonValueScanner::Push(char c) {
  if (in_string_) {
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
      return depth_ == 0 ? Step::kLast : Step::kMore;
    }
    return Step::kMore;
  }
  if (c == '{' || c == '[') {
    if (begun_ && depth_ == 0) return Step::kPast;
    ++depth_;
  } else if (c == '}' || c == ']') {
    if (depth_ == 0) return Step::kPast;
    if (--depth_ == 0) return Step::kLast;
  } else if (c == '"') {
    if (begun_ && depth_ == 0) return Step::kPast;
    in_string_ = true;
  } else if (depth_ == 0 && (c == ',' || IsMarkupSpace(c))) {
    return Step::kPast;
  }
  begun_ = true;
  return Step::kMore;
}

}  // namespace tenfold::chat
