#include "chat/output_event.h"

namespace tenfold::chat {

void AddEvent(OutputEvents& events, OutputEvent::Kind kind, std::string_view text, int call) {
  const bool marks = kind == OutputEvent::Kind::kCallBegin || kind == OutputEvent::Kind::kCallEnd;
  if (text.empty() && !marks) return;
  if (!marks && !events.empty() && events.back().kind == kind && events.back().call == call) {
    events.back().text += text;
    return;
  }
  events.push_back({kind, std::string(text), call});
}

}  // namespace tenfold::chat
