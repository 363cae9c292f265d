// What an answer is made of once its markup is understood: content, reasoning, and the parts of tool calls.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tenfold::chat {

struct OutputEvent {
  enum class Kind { kContent, kReasoning, kCallBegin, kCallArguments, kCallEnd };
  Kind kind = Kind::kContent;
  std::string text{};  // of the content, reasoning or arguments; the function's name in kCallBegin
  int call = -1;       // which call of the answer, from 0; -1 in content and reasoning
  bool operator==(const OutputEvent&) const = default;
};

// In the order of the text. Joining neighbours of one kind gives the same list however the text was cut into pieces.
using OutputEvents = std::vector<OutputEvent>;

// Appends `text` to the last event where that is of the same kind and call, and adds an event otherwise. No empty event
// is added, except kCallBegin and kCallEnd.
void AddEvent(OutputEvents& events, OutputEvent::Kind kind, std::string_view text, int call = -1);

// Space as the formats and trimming around them see it.
inline bool IsMarkupSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\v' || c == '\f'; }

}  // namespace tenfold::chat
