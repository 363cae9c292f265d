// Tool calls that are JSON objects: between tags (Hermes, Qwen) or as the answer itself (Llama 3).
//
// Hermes: "<tool_call>" object "</tool_call>", anywhere in the answer, any number; the closing tag may be missing, also
// in place of closing braces. Llama 3: the answer begins with the object, or the object follows <|python_tag|>
// anywhere; further ones follow, after ";" or space. An object is what chat/call_object.h says. Rules:
// chat/tool_call_parser.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "chat/call_object.h"
#include "chat/tag_matcher.h"
#include "chat/tool_call_parser.h"

namespace tenfold::chat {

struct JsonCallMarkup {
  std::string open;         // comes before an object
  std::string close;        // comes after it, "" for nothing
  bool bare_first = false;  // the answer may begin with an object without `open`
  bool bare_next = false;   // a call may follow another without `open`, after ";" or at once
};

class JsonCallParser final : public ToolCallParser {
 public:
  JsonCallParser(JsonCallMarkup markup, std::vector<std::string> names);
  JsonCallParser(const JsonCallParser&) = delete;
  JsonCallParser& operator=(const JsonCallParser&) = delete;

  void Push(std::string_view text, OutputEvents& out) override;
  void Finish(OutputEvents& out) override;

 private:
  enum class State {
    kBareStart,  // nothing but space yet
    kText,
    kOpened,  // behind an opening tag or a separator
    kObject,
    kAfter,  // behind a complete object
  };

  void Step(char c, OutputEvents& out);
  void StepText(char c, OutputEvents& out);
  void StepOpened(char c, OutputEvents& out);
  void StepObject(char c, OutputEvents& out);
  void StepAfter(char c, OutputEvents& out);
  void PushObject(char c, OutputEvents& out);
  void BeginObject(char c, OutputEvents& out);
  void EndCall(OutputEvents& out);
  // What was held back is content, and so is what comes.
  void ReleaseHeld(OutputEvents& out);
  void Content(std::string_view text, OutputEvents& out);

  const JsonCallMarkup markup_;
  const std::vector<std::string> names_;
  State state_;
  std::string held_;  // markup as long as it may turn out to be content
  bool after_separator_ = false;
  bool after_call_ = false;  // nothing but space since the last call
  bool call_open_ = false;   // begun and not ended
  int calls_ = 0;
  TagMatcher open_;
  TagMatcher close_;
  CallObject object_;
};

}  // namespace tenfold::chat
