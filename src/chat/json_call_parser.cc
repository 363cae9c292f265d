#include "chat/json_call_parser.h"

#include <utility>

namespace tenfold::chat {

using Kind = OutputEvent::Kind;
using Stage = CallObject::Stage;

JsonCallParser::JsonCallParser(JsonCallMarkup markup, std::vector<std::string> names)
    : markup_(std::move(markup)),
      names_(std::move(names)),
      state_(markup_.bare_first ? State::kBareStart : State::kText),
      open_(markup_.open),
      close_(markup_.close),
      object_(names_) {}

void JsonCallParser::Push(std::string_view text, OutputEvents& out) {
  for (const char c : text) Step(c, out);
}

void JsonCallParser::Step(char c, OutputEvents& out) {
  switch (state_) {
    case State::kBareStart:
      if (c == '{') return BeginObject(c, out);
      if (!IsMarkupSpace(c)) state_ = State::kText;
      return StepText(c, out);
    case State::kText:
      return StepText(c, out);
    case State::kOpened:
      return StepOpened(c, out);
    case State::kObject:
      return StepObject(c, out);
    case State::kAfter:
      return StepAfter(c, out);
  }
}

// held_ is the space that came last, which belongs to a call's markup if one follows.
void JsonCallParser::StepText(char c, OutputEvents& out) {
  if (open_.partial() && !open_.Takes(c)) {
    Content(std::exchange(held_, std::string()), out);
    Content(open_.Give(), out);
  }
  if (open_.Takes(c)) {
    if (!open_.Take(c)) return;
    held_ += markup_.open;
    after_separator_ = false;
    state_ = State::kOpened;
  } else if (IsMarkupSpace(c)) {
    held_ += c;
  } else {
    Content(std::exchange(held_, std::string()), out);
    Content(std::string_view(&c, 1), out);
  }
}

void JsonCallParser::StepOpened(char c, OutputEvents& out) {
  if (IsMarkupSpace(c)) {
    held_ += c;
  } else if (c == '{') {
    BeginObject(c, out);
  } else {
    ReleaseHeld(out);
    Step(c, out);
  }
}

void JsonCallParser::BeginObject(char c, OutputEvents& out) {
  object_ = CallObject(names_);
  state_ = State::kObject;
  PushObject(c, out);
}

// Outside of strings the closing tag ends a call wherever it comes once the call has begun.
void JsonCallParser::StepObject(char c, OutputEvents& out) {
  if (close_.partial() && !close_.Takes(c)) {
    const std::string part(close_.Give());
    PushObject(part[0], out);
    for (const char more : part.substr(1)) Step(more, out);
    return Step(c, out);
  }
  const bool may_close = object_.stage() != Stage::kHeader && !object_.in_string();
  if (!may_close || !close_.Takes(c)) return PushObject(c, out);
  if (!close_.Take(c)) return;
  EndCall(out);
  held_.clear();
  state_ = State::kText;
}

void JsonCallParser::PushObject(char c, OutputEvents& out) {
  const Stage before = object_.stage();
  const Stage now = object_.Push(c);
  if (before == Stage::kHeader) {
    if (now == Stage::kRejected) {
      ReleaseHeld(out);
      return Step(c, out);
    }
    held_ += c;
    if (now == Stage::kHeader) return;
    held_.clear();
    call_open_ = true;
    AddEvent(out, Kind::kCallBegin, object_.name(), calls_);
  }
  AddEvent(out, Kind::kCallArguments, object_.TakeArguments(), calls_);
  if (now != Stage::kArguments && call_open_) EndCall(out);
  if (now == Stage::kTail && object_.last_byte_in_tail()) held_ += c;
  if (now == Stage::kDone) {
    held_.clear();
    state_ = State::kAfter;
  }
  if (now == Stage::kRejected) {
    ReleaseHeld(out);
    Step(c, out);
  }
}

void JsonCallParser::EndCall(OutputEvents& out) {
  if (!call_open_) return;
  AddEvent(out, Kind::kCallEnd, "", calls_++);
  call_open_ = false;
  after_call_ = true;
}

void JsonCallParser::StepAfter(char c, OutputEvents& out) {
  if (close_.Takes(c)) {
    if (!close_.Take(c)) return;
    held_.clear();
    state_ = State::kText;
    return;
  }
  if (!close_.partial()) {
    if (IsMarkupSpace(c)) {
      held_ += c;
      return;
    }
    if (markup_.bare_next && c == '{') {
      after_separator_ = true;
      return BeginObject(c, out);
    }
    if (markup_.bare_next && c == ';') {
      held_ += c;
      after_separator_ = true;
      state_ = State::kOpened;
      return;
    }
  }
  state_ = State::kText;
  for (const char part : std::string(close_.Give())) Step(part, out);
  Step(c, out);
}

void JsonCallParser::ReleaseHeld(OutputEvents& out) {
  state_ = State::kText;
  Content(std::exchange(held_, std::string()), out);
}

void JsonCallParser::Content(std::string_view text, OutputEvents& out) {
  if (text.empty()) return;
  after_call_ = false;
  AddEvent(out, Kind::kContent, text);
}

void JsonCallParser::Finish(OutputEvents& out) {
  held_ += open_.Give();
  switch (state_) {
    case State::kBareStart:
    case State::kText: {
      const bool only_space = held_.empty() || IsMarkupSpace(held_.back());
      if (!after_call_ || !only_space) Content(held_, out);
      break;
    }
    case State::kOpened:
      if (!after_separator_) Content(held_, out);
      break;
    case State::kObject:
      if (object_.stage() == Stage::kHeader) Content(held_, out);
      EndCall(out);
      break;
    case State::kAfter:
      break;
  }
  held_.clear();
}

}  // namespace tenfold::chat
