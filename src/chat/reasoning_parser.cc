#include "chat/reasoning_parser.h"

namespace tenfold::chat {

bool OpensReasoning(std::string_view prompt) {
  while (!prompt.empty() && IsMarkupSpace(prompt.back())) prompt.remove_suffix(1);
  return prompt.ends_with(kThinkOpen);
}

std::string ReasoningParser::Push(std::string_view text, OutputEvents& out) {
  std::string rest;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    switch (state_) {
      case State::kStart:
        i += StepStart(c, out, rest) ? 1 : 0;
        break;
      case State::kReasoning:
        StepReasoning(c, out);
        ++i;
        break;
      case State::kAfter:
        if (IsMarkupSpace(c)) {
          ++i;
        } else {
          state_ = State::kRest;
        }
        break;
      case State::kRest:
        rest += text.substr(i);
        return rest;
    }
  }
  return rest;
}

bool ReasoningParser::StepStart(char c, OutputEvents& out, std::string& rest) {
  if (open_.Takes(c)) {
    if (open_.Take(c)) {
      space_.clear();
      state_ = State::kReasoning;
    }
    return true;
  }
  if (!open_.partial() && IsMarkupSpace(c)) {
    space_ += c;
    return true;
  }
  if (in_reasoning_) {
    space_.clear();
    state_ = State::kReasoning;
    // What looked like <think> may be the beginning of </think>: both are given to the state they belong to.
    for (const char part : std::string(open_.Give())) StepReasoning(part, out);
  } else {
    state_ = State::kRest;
    rest += space_;
    rest += open_.Give();
    space_.clear();
  }
  return false;
}

void ReasoningParser::StepReasoning(char c, OutputEvents& out) {
  if (!close_.Takes(c) && close_.partial()) Reason(close_.Give(), out);
  if (close_.Takes(c)) {
    if (close_.Take(c)) {
      space_.clear();
      state_ = State::kAfter;
    }
  } else if (IsMarkupSpace(c)) {
    if (begun_) space_ += c;
  } else {
    Reason(std::string_view(&c, 1), out);
  }
}

void ReasoningParser::Reason(std::string_view text, OutputEvents& out) {
  begun_ = true;
  AddEvent(out, OutputEvent::Kind::kReasoning, space_);
  AddEvent(out, OutputEvent::Kind::kReasoning, text);
  space_.clear();
}

std::string ReasoningParser::Finish(OutputEvents& out) {
  std::string rest;
  if (state_ == State::kStart && !in_reasoning_) {
    rest = space_;
    rest += open_.Give();
  } else if (state_ == State::kStart && open_.partial()) {
    Reason(open_.Give(), out);
  } else if (state_ == State::kReasoning && close_.partial()) {
    Reason(close_.Give(), out);
  }
  space_.clear();
  state_ = State::kRest;
  return rest;
}

}  // namespace tenfold::chat
