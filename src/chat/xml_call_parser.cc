#include "chat/xml_call_parser.h"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "chat/call_object.h"

namespace tenfold::chat {
namespace {

namespace json = boost::json;
using Kind = OutputEvent::Kind;

constexpr std::string_view kFunction = "<function=";
constexpr std::string_view kFunctionEnd = "</function>";
constexpr std::string_view kParameter = "<parameter=";
constexpr std::string_view kClose = "</tool_call>";
constexpr size_t kMaxKeyBytes = 256;

bool Continues(std::string_view tag, std::string_view word) { return tag.starts_with(word); }

// Whether a value of this schema is to be read as plain text.
bool SaysString(const json::value& schema) {
  if (!schema.is_object()) return false;
  const json::value* type = schema.get_object().if_contains("type");
  if (type != nullptr) return type->is_string() && type->get_string() == "string";
  const json::value* values = schema.get_object().if_contains("enum");
  if (values == nullptr || !values->is_array()) return false;
  for (const json::value& value : values->get_array()) {
    if (!value.is_string()) return false;
  }
  return true;
}

std::set<std::string> OtherThanStrings(const std::string& parameters_json) {
  std::set<std::string> names;
  json::error_code error;
  const json::value schema = json::parse(parameters_json, error);
  if (error || !schema.is_object()) return names;
  const json::value* properties = schema.get_object().if_contains("properties");
  if (properties == nullptr || !properties->is_object()) return names;
  for (const auto& property : properties->get_object()) {
    if (!SaysString(property.value())) names.emplace(property.key());
  }
  return names;
}

// A JSON string without its quotes; bytes that are no UTF-8 stay as they are, as everywhere in an answer's text.
std::string Escaped(std::string_view text) {
  const std::string quoted = json::serialize(json::string_view(text.data(), text.size()));
  return quoted.substr(1, quoted.size() - 2);
}

std::string_view WithoutLineBreaks(std::string_view value) {
  if (value.starts_with('\n')) value.remove_prefix(1);
  if (value.ends_with('\n')) value.remove_suffix(1);
  return value;
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && IsMarkupSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsMarkupSpace(text.back())) text.remove_suffix(1);
  return text;
}

bool IsJson(std::string_view text) {
  json::error_code error;
  json::parse(json::string_view(text.data(), text.size()), error);
  return !error;
}

}  // namespace

XmlCallParser::XmlCallParser(const std::vector<OfferedTool>& tools) {
  for (const OfferedTool& tool : tools) tools_.push_back({tool.name, OtherThanStrings(tool.parameters_json)});
}

void XmlCallParser::Push(std::string_view text, OutputEvents& out) {
  for (const char c : text) Step(c, out);
}

void XmlCallParser::Step(char c, OutputEvents& out) {
  switch (state_) {
    case State::kText:
      return StepText(c, out);
    case State::kOpened:
      return StepOpened(c, out);
    case State::kName:
      return StepName(c, out);
    case State::kBody:
      return StepBody(c, out);
    case State::kKey:
      return StepKey(c, out);
    case State::kValue:
      return StepValue(c, out);
    case State::kAfter:
      return StepAfter(c, out);
  }
}

// held_ is the space that came last, which belongs to a call's markup if one follows.
void XmlCallParser::StepText(char c, OutputEvents& out) {
  if (open_.partial() && !open_.Takes(c)) {
    Content(std::exchange(held_, std::string()), out);
    Content(open_.Give(), out);
  }
  if (open_.Takes(c)) {
    if (!open_.Take(c)) return;
    held_ += open_.tag();
    word_.clear();
    state_ = State::kOpened;
  } else if (IsMarkupSpace(c)) {
    held_ += c;
  } else {
    Content(std::exchange(held_, std::string()), out);
    Content(std::string_view(&c, 1), out);
  }
}

void XmlCallParser::StepOpened(char c, OutputEvents& out) {
  const bool space = word_.empty() && IsMarkupSpace(c);
  if (!space && !Continues(kFunction, word_ + c)) {
    // What looked like <function= may be the beginning of another <tool_call>.
    const std::string part = word_;
    held_.resize(held_.size() - part.size());
    ReleaseHeld(out);
    for (const char other : part) Step(other, out);
    return Step(c, out);
  }
  held_ += c;
  if (space) return;
  word_ += c;
  if (word_ != kFunction) return;
  word_.clear();
  state_ = State::kName;
}

void XmlCallParser::StepName(char c, OutputEvents& out) {
  if (IsToolNameByte(c) && word_.size() < kMaxToolNameBytes) {
    held_ += c;
    word_ += c;
    return;
  }
  tool_ = nullptr;
  for (const Tool& tool : tools_) {
    if (c == '>' && tool.name == word_) tool_ = &tool;
  }
  if (tool_ == nullptr) {
    ReleaseHeld(out);
    return Step(c, out);
  }
  held_.clear();
  word_.clear();
  has_parameters_ = false;
  AddEvent(out, Kind::kCallBegin, tool_->name, calls_);
  state_ = State::kBody;
}

void XmlCallParser::StepBody(char c, OutputEvents& out) {
  held_ += c;
  if (word_.empty() && IsMarkupSpace(c)) return;
  word_ += c;
  if (word_ == kParameter) {
    held_.clear();
    word_.clear();
    state_ = State::kKey;
  } else if (word_ == kFunctionEnd || word_ == kClose) {
    held_.clear();
    state_ = word_ == kClose ? State::kText : State::kAfter;
    word_.clear();
    EndCall(out);
  } else if (!Continues(kParameter, word_) && !Continues(kFunctionEnd, word_) && !Continues(kClose, word_)) {
    held_.pop_back();
    EndCall(out);
    ReleaseHeld(out);
    Step(c, out);
  }
}

// A key is whatever stands before ">"; one that is too long or holds a line break is none, and ends the call.
void XmlCallParser::StepKey(char c, OutputEvents& out) {
  if (c == '>') {
    key_ = std::exchange(word_, std::string());
    held_.clear();
    value_.clear();
    state_ = State::kValue;
    return;
  }
  if (c == '\n' || word_.size() >= kMaxKeyBytes) {
    held_ = std::string(kParameter) + std::exchange(word_, std::string());
    EndCall(out);
    ReleaseHeld(out);
    return Step(c, out);
  }
  word_ += c;
}

void XmlCallParser::StepValue(char c, OutputEvents& out) {
  if (value_end_.partial() && !value_end_.Takes(c)) value_ += value_end_.Give();
  if (!value_end_.Takes(c)) {
    value_ += c;
  } else if (value_end_.Take(c)) {
    EndValue(out);
    state_ = State::kBody;
  }
}

void XmlCallParser::EndValue(OutputEvents& out) {
  Arguments((has_parameters_ ? ", \"" : "{\"") + Escaped(key_) + "\": ", out);
  has_parameters_ = true;
  const std::string_view text = WithoutLineBreaks(value_);
  const std::string_view bare = Trimmed(text);
  if (tool_->others.count(key_) > 0 && IsJson(bare)) {
    Arguments(bare, out);
  } else {
    Arguments("\"" + Escaped(text) + "\"", out);
  }
}

void XmlCallParser::StepAfter(char c, OutputEvents& out) {
  if (word_.empty() && IsMarkupSpace(c)) {
    held_ += c;
  } else if (Continues(kClose, word_ + c)) {
    word_ += c;
    if (word_ != kClose) return;
    held_.clear();
    state_ = State::kText;
  } else {
    state_ = State::kText;
    for (const char part : std::exchange(word_, std::string())) Step(part, out);
    Step(c, out);
  }
}

void XmlCallParser::EndCall(OutputEvents& out) {
  Arguments(has_parameters_ ? "}" : "{}", out);
  AddEvent(out, Kind::kCallEnd, "", calls_++);
  after_call_ = true;
}

void XmlCallParser::Arguments(std::string_view text, OutputEvents& out) {
  AddEvent(out, Kind::kCallArguments, text, calls_);
}

void XmlCallParser::ReleaseHeld(OutputEvents& out) {
  word_.clear();
  state_ = State::kText;
  Content(std::exchange(held_, std::string()), out);
}

void XmlCallParser::Content(std::string_view text, OutputEvents& out) {
  if (text.empty()) return;
  after_call_ = false;
  AddEvent(out, Kind::kContent, text);
}

void XmlCallParser::Finish(OutputEvents& out) {
  switch (state_) {
    case State::kText: {
      const bool only_space = !open_.partial();
      held_ += open_.Give();
      if (!after_call_ || !only_space) Content(held_, out);
      break;
    }
    case State::kOpened:
    case State::kName:
      Content(held_, out);
      break;
    case State::kValue:
      value_ += value_end_.Give();
      if (value_.starts_with('\n')) value_.erase(0, 1);
      Arguments((has_parameters_ ? ", \"" : "{\"") + Escaped(key_) + "\": \"" + Escaped(value_), out);
      AddEvent(out, Kind::kCallEnd, "", calls_);
      break;
    case State::kBody:
    case State::kKey:
      EndCall(out);
      break;
    case State::kAfter:
      break;
  }
  held_.clear();
}

}  // namespace tenfold::chat
