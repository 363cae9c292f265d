// For tests of parsers: a text in pieces to events with neighbours joined, and cutting at random.
#pragma once

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "chat/output_event.h"

namespace tenfold::chat {

// The events with neighbours of one kind joined, as a reader of a stream adds them up.
inline OutputEvents Joined(const OutputEvents& events) {
  OutputEvents joined;
  for (const OutputEvent& event : events) AddEvent(joined, event.kind, event.text, event.call);
  return joined;
}

inline std::vector<std::string> CutAtRandom(std::string_view text, std::mt19937& random) {
  std::vector<std::string> pieces;
  const size_t longest = 1 + random() % 12;
  while (!text.empty()) {
    const size_t size = std::min<size_t>(text.size(), 1 + random() % longest);
    pieces.emplace_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return pieces;
}

// "content reason(…) f0(…) f1(…": one line that says what a client would get; a call that did not end has no bracket.
inline std::string Summary(const OutputEvents& events) {
  std::string line;
  for (const OutputEvent& event : events) {
    switch (event.kind) {
      case OutputEvent::Kind::kContent:
        line += "[" + event.text + "]";
        break;
      case OutputEvent::Kind::kReasoning:
        line += "think(" + event.text + ")";
        break;
      case OutputEvent::Kind::kCallBegin:
        line += event.text + std::to_string(event.call) + "(";
        break;
      case OutputEvent::Kind::kCallArguments:
        line += event.text;
        break;
      case OutputEvent::Kind::kCallEnd:
        line += ")";
        break;
    }
  }
  return line;
}

}  // namespace tenfold::chat
