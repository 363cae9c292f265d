// Answers of models: any text in any pieces gives the events of the whole text, calls in their order, and content that
// stands in the text. The first byte chooses the format and whether there is reasoning, the second how the text is cut.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "chat/reasoning_parser.h"
#include "chat/tool_call_parser.h"

namespace {

using tenfold::chat::OutputEvent;
using tenfold::chat::OutputEvents;

OutputEvents Parse(uint8_t mode, std::string_view text, size_t piece) {
  using tenfold::chat::ToolFormat;
  const auto format = mode / 8 % 2 == 1 ? ToolFormat::kQwenCoder
                      : mode % 2 == 0   ? ToolFormat::kHermes
                                        : ToolFormat::kLlama3;
  const auto calls = tenfold::chat::MakeToolCallParser(format, {{"f"}, {"get"}});
  tenfold::chat::ReasoningParser reasoning(mode / 2 % 2 == 1);
  const bool with_reasoning = mode / 4 % 2 == 1;
  OutputEvents events;
  const auto push = [&](std::string_view part) {
    OutputEvents now;
    calls->Push(with_reasoning ? reasoning.Push(part, now) : std::string(part), now);
    events.insert(events.end(), now.begin(), now.end());
  };
  for (size_t at = 0, size = piece; at < text.size(); at += size) {
    size = piece == 0 ? text.size() : 1 + (size * 7 + at) % piece;
    push(text.substr(at, size));
  }
  OutputEvents last;
  if (with_reasoning) calls->Push(reasoning.Finish(last), last);
  calls->Finish(last);
  events.insert(events.end(), last.begin(), last.end());
  OutputEvents joined;
  for (const OutputEvent& event : events) tenfold::chat::AddEvent(joined, event.kind, event.text, event.call);
  return joined;
}

void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const OutputEvents events = Parse(data[0], text, 0);
  Require(events == Parse(data[0], text, 1 + data[1] % 32));
  size_t at = 0;
  int calls = 0;
  bool open = false;
  for (const OutputEvent& event : events) {
    const bool in_call = event.kind == OutputEvent::Kind::kCallArguments || event.kind == OutputEvent::Kind::kCallEnd;
    Require(open == in_call);
    if (event.kind == OutputEvent::Kind::kCallBegin || in_call) Require(event.call == calls);
    if (event.kind == OutputEvent::Kind::kCallBegin) open = true;
    if (event.kind == OutputEvent::Kind::kCallEnd) {
      open = false;
      ++calls;
    }
    if (event.call >= 0) continue;
    const size_t found = text.find(event.text, at);
    Require(found != std::string_view::npos);
    at = found + event.text.size();
  }
  Require(!open);
  if (calls == 0 && data[0] / 4 % 2 == 0) {
    Require(text.empty() ? events.empty() : events.size() == 1 && events[0].text == text);
  }
  return 0;
}
