// Splits an answer into reasoning and the rest: "<think>…</think>" at its start, space before it allowed.
//
// The rules: an answer whose prompt already opened <think> starts in reasoning, and a <think> it begins with is markup.
// A missing </think> means that all of it is reasoning. Space around the reasoning and after </think> is dropped. Only
// the first block counts; tags further on are content, and a tool call inside the block is reasoning.
#pragma once

#include <string>
#include <string_view>

#include "chat/output_event.h"
#include "chat/tag_matcher.h"

namespace tenfold::chat {

inline constexpr std::string_view kThinkOpen = "<think>";
inline constexpr std::string_view kThinkClose = "</think>";

// True where a prompt's text ends with an open <think>: its answer starts in reasoning.
bool OpensReasoning(std::string_view prompt);

// One per answer.
class ReasoningParser {
 public:
  explicit ReasoningParser(bool starts_in_reasoning) : in_reasoning_(starts_in_reasoning) {}

  // Adds the reasoning to `out` and returns the text that is not reasoning.
  std::string Push(std::string_view text, OutputEvents& out);
  std::string Finish(OutputEvents& out);

 private:
  enum class State { kStart, kReasoning, kAfter, kRest };

  // True when `c` is dealt with; false when the state has changed and it is to be looked at again.
  bool StepStart(char c, OutputEvents& out, std::string& rest);
  void StepReasoning(char c, OutputEvents& out);
  void Reason(std::string_view text, OutputEvents& out);

  State state_ = State::kStart;
  const bool in_reasoning_;
  bool begun_ = false;  // reasoning that is not space has been seen
  std::string space_;
  TagMatcher open_{std::string(kThinkOpen)};
  TagMatcher close_{std::string(kThinkClose)};
};

}  // namespace tenfold::chat
