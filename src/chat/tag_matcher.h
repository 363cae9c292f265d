// Recognises one tag in a text that arrives byte by byte.
//
// Why no more than a counter: a tag's first byte occurs in it only once, so a failed match can only begin anew with the
// byte that failed it.
#pragma once

#include <string>
#include <string_view>

#include "base/check.h"

namespace tenfold::chat {

class TagMatcher {
 public:
  // An empty tag never matches.
  explicit TagMatcher(std::string tag) : tag_(std::move(tag)) {
    TENFOLD_CHECK(tag_.empty() || tag_.find(tag_[0], 1) == std::string::npos,
                  "a tag's first byte must be unique in it");
  }

  // True when `c` continues the match or, where nothing is matched, begins one.
  bool Takes(char c) const { return matched_ < tag_.size() && tag_[matched_] == c; }
  // Needs Takes(c). True when the tag is complete; then nothing is matched any more.
  bool Take(char) {
    if (++matched_ < tag_.size()) return false;
    matched_ = 0;
    return true;
  }
  bool partial() const { return matched_ > 0; }
  // The part matched so far, which turned out to be no tag.
  std::string_view Give() {
    const std::string_view part = std::string_view(tag_).substr(0, matched_);
    matched_ = 0;
    return part;
  }
  const std::string& tag() const { return tag_; }

 private:
  std::string tag_;
  size_t matched_ = 0;
};

}  // namespace tenfold::chat
