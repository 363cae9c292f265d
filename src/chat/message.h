// A conversation as the chat room takes it: what an OpenAI-style request says, nothing rendered yet.
//
// What it does not: validate. JSON travels as text (RFC 8259, already checked by whoever parsed the request), because
// templates want it as values and tool parsers want it as it was sent.
#pragma once

#include <string>
#include <vector>

namespace tenfold::chat {

// One call that an assistant's earlier message made.
struct ToolCall {
  std::string id{};              // "" when the client sent none
  std::string name{};            // of the function
  std::string arguments_json{};  // as the model wrote it; usually an object, not always JSON
};

struct Message {
  std::string role;  // "system", "user", "assistant", "tool", ...
  std::string content;
  bool content_is_null = false;  // null or absent, which templates tell from ""; then content is ""
  std::string reasoning_content{};
  std::vector<ToolCall> tool_calls{};
  std::string tool_call_id{};  // of a "tool" message: which call it answers
  std::string name{};
};

// All of a request that a chat template may look at.
struct ChatInput {
  std::vector<Message> messages{};
  std::string tools_json{};            // the request's array, "" for none
  std::string documents_json{};        // an array, "" for none
  std::string template_kwargs_json{};  // an object ("enable_thinking", ...), "" for none
  bool add_generation_prompt = true;
  bool continue_final_message = false;  // the answer goes on where the last message ends
};

}  // namespace tenfold::chat
