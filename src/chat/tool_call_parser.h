// Generated text to content and tool calls, in whatever pieces it comes.
//
// The rules, the same for every format:
// 1. A text is a call once it names, in the format's shape, a tool that was offered and its arguments begin. Until
//    then it is held back; when it turns out to be something else, all of it is content, unchanged.
// 2. From then on the arguments are passed on as the model writes them, whether or not they are right: they cannot be
//    taken back from a client that streams. An answer that ends inside them ends the call there.
// 3. Markup around calls is dropped, and with it space between calls, before the first and after the last. What follows
//    a call and is neither markup nor another call is content.
// 4. A tag inside a JSON string belongs to the string.
// Nothing else is lost, nothing is said twice, and no text is an error. Time is linear in the text.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "chat/output_event.h"
#include "chat/tool_format.h"

namespace tenfold::chat {

// One per answer, used by one thread at a time.
class ToolCallParser {
 public:
  virtual ~ToolCallParser() = default;
  virtual void Push(std::string_view text, OutputEvents& out) = 0;
  // No more text comes.
  virtual void Finish(OutputEvents& out) = 0;
};

// Null for ToolFormat::kNone: then all text is content.
std::unique_ptr<ToolCallParser> MakeToolCallParser(ToolFormat format, const std::vector<OfferedTool>& tools);

}  // namespace tenfold::chat
