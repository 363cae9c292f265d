// The messages of a conversation: roles, text parts, earlier tool calls and their answers.
//
// Checked here: every role and field by name, and that a tool's message answers a call which an earlier message of the
// conversation made. Not checked: that every call is answered, or answered once, or in order; templates can show all of
// that to a model, and clients that cut old turns off a conversation rely on it.
#pragma once

#include <string>
#include <vector>

#include "api/json_body.h"

namespace tenfold::api {

inline constexpr size_t kMaxMessages = 4096;

// One call that an assistant's earlier message made.
struct ToolCall {
  std::string id{};
  std::string name{};            // of the function
  std::string arguments_json{};  // as the client sent it; usually an object, not always JSON
};

struct ChatMessage {
  std::string role;  // "system" (also for "developer"), "user", "assistant" or "tool"
  std::string content;
  bool content_is_null = false;  // null or absent, which templates tell from ""; then content is ""
  std::string reasoning_content{};
  std::vector<ToolCall> tool_calls{};
  std::string tool_call_id{};
  std::string name{};
};

// Takes `messages`; at least one when it does not fail.
void ReadMessages(FieldReader& reader, std::vector<ChatMessage>* out);

}  // namespace tenfold::api
