#include "chat/call_object.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "chat/output_event.h"

namespace tenfold::chat {
namespace {

constexpr size_t kMaxKeyBytes = 16;  // longer than any key a header may hold

void AppendUtf8(unsigned code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

bool IsHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

}  // namespace

bool IsToolNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

void JsonStringDecoder::Push(char c, std::string& out) {
  if (!escape_.empty()) {
    escape_ += c;
    return PushEscape(c, out);
  }
  if (c == '\\') {
    escape_ = c;
    return;
  }
  if (high_surrogate_ != 0) AppendUtf8(0xFFFD, out);
  high_surrogate_ = 0;
  out += c;
}

void JsonStringDecoder::Finish(std::string& out) {
  if (high_surrogate_ != 0) AppendUtf8(0xFFFD, out);
  high_surrogate_ = 0;
  out += escape_;
  escape_.clear();
}

// escape_ holds the backslash and at least `c`, its last byte.
void JsonStringDecoder::PushEscape(char c, std::string& out) {
  if (escape_[1] == 'u' && escape_.size() <= 6) {
    if (escape_.size() == 2) return;
    if (IsHex(c)) {
      if (escape_.size() == 6) AppendCodeUnit(out);
      return;
    }
  }
  if (high_surrogate_ != 0) AppendUtf8(0xFFFD, out);
  high_surrogate_ = 0;
  constexpr std::string_view kLetters = "bfnrt\"\\/";
  constexpr std::string_view kMeanings = "\b\f\n\r\t\"\\/";
  const size_t letter = escape_.size() == 2 ? kLetters.find(c) : std::string_view::npos;
  if (letter != std::string_view::npos) {
    out += kMeanings[letter];
  } else {
    out += escape_;
  }
  escape_.clear();
}

void JsonStringDecoder::AppendCodeUnit(std::string& out) {
  unsigned unit = 0;
  std::from_chars(escape_.data() + 2, escape_.data() + 6, unit, 16);
  escape_.clear();
  const bool low = unit >= 0xDC00 && unit < 0xE000;
  if (high_surrogate_ != 0) {
    if (low) {
      AppendUtf8(0x10000 + ((high_surrogate_ - 0xD800) << 10) + (unit - 0xDC00), out);
      high_surrogate_ = 0;
      return;
    }
    AppendUtf8(0xFFFD, out);
    high_surrogate_ = 0;
  }
  if (unit >= 0xD800 && unit < 0xDC00) {
    high_surrogate_ = unit;
  } else {
    AppendUtf8(low ? 0xFFFD : unit, out);
  }
}

bool CallObject::in_string() const {
  return at_ == At::kKey || at_ == At::kName || (at_ == At::kInValue && value_.in_string());
}

std::string CallObject::TakeArguments() { return std::exchange(arguments_, std::string()); }

CallObject::Stage CallObject::Push(char c) {
  last_byte_in_tail_ = stage_ == Stage::kTail;
  const bool space = IsMarkupSpace(c);
  switch (at_) {
    case At::kOpen:
      at_ = At::kFirstKey;
      break;
    case At::kFirstKey:
    case At::kNextKey:
      if (c == '"') {
        key_.clear();
        at_ = At::kKey;
      } else if (c == '}' && at_ == At::kFirstKey) {
        Close();
      } else if (!space) {
        Reject();
      }
      break;
    case At::kKey:
      PushKey(c);
      break;
    case At::kColon:
      if (c == ':') {
        at_ = At::kValue;
      } else if (!space) {
        Reject();
      }
      break;
    case At::kValue:
      if (!space) BeginValue(c);
      break;
    case At::kName:
      PushName(c);
      break;
    case At::kInValue:
      PushValue(c);
      break;
    case At::kAfterValue:
      if (c == ',') {
        at_ = At::kNextKey;
      } else if (c == '}') {
        Close();
      } else if (!space) {
        Reject();
      }
      break;
  }
  return stage_;
}

void CallObject::PushKey(char c) {
  if (stage_ == Stage::kHeader) {
    if (c == '"') return EndKey();
    key_ += c;
    if (key_.size() > kMaxKeyBytes) Reject();
    return;
  }
  if (key_escaped_) {
    key_escaped_ = false;
  } else if (c == '\\') {
    key_escaped_ = true;
  } else if (c == '"') {
    EndKey();
  }
}

void CallObject::EndKey() {
  at_ = At::kColon;
  member_ = Member::kOther;
  if (stage_ != Stage::kHeader) return;
  if (key_ == "name") {
    member_ = Member::kName;
    if (name_known_) Reject();
  } else if (key_ == "arguments" || key_ == "parameters") {
    member_ = Member::kArguments;
    if (has_arguments_) Reject();
  } else if (key_ != "type" && key_ != "id") {
    Reject();
  }
}

void CallObject::BeginValue(char c) {
  if (c == ',' || c == ':' || c == '}' || c == ']') return Reject();
  if (member_ == Member::kName) {
    if (c != '"') return Reject();
    at_ = At::kName;
    return;
  }
  value_ = JsonValueScanner();
  if (member_ == Member::kArguments) {
    has_arguments_ = true;
    arguments_are_string_ = c == '"';
    if (name_known_) stage_ = Stage::kArguments;
  }
  at_ = At::kInValue;
  PushValue(c);
}

void CallObject::PushName(char c) {
  if (c != '"') {
    name_ += c;
    if (!IsToolNameByte(c) || name_.size() > kMaxToolNameBytes) Reject();
    return;
  }
  if (std::find(names_->begin(), names_->end(), name_) == names_->end()) return Reject();
  name_known_ = true;
  at_ = At::kAfterValue;
  if (has_arguments_) stage_ = Stage::kTail;
}

void CallObject::PushValue(char c) {
  const bool was_in_string = value_.in_string();
  const JsonValueScanner::Step step = value_.Push(c);
  if (step != JsonValueScanner::Step::kPast && member_ == Member::kArguments) {
    if (!arguments_are_string_) {
      arguments_ += c;
    } else if (was_in_string && step == JsonValueScanner::Step::kMore) {
      decoder_.Push(c, arguments_);
    } else if (was_in_string) {
      decoder_.Finish(arguments_);
    }
  }
  if (step == JsonValueScanner::Step::kMore) return;
  at_ = At::kAfterValue;
  if (stage_ == Stage::kArguments) stage_ = Stage::kTail;
  if (step == JsonValueScanner::Step::kPast) Push(c);
}

void CallObject::Close() {
  if (!name_known_) return Reject();
  if (!has_arguments_) arguments_ = "{}";
  stage_ = Stage::kDone;
}

}  // namespace tenfold::chat
