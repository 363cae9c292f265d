// Tool calls as Qwen3-Coder writes them: "<tool_call>", "<function=NAME>", for each argument "<parameter=KEY>", a line
// break, its value as plain text, a line break, "</parameter>", then "</function>" and "</tool_call>".
//
// Arguments become a JSON object, one parameter at a time: the value of a parameter whose schema says string is a JSON
// string of its text; another value is its text where that is JSON, and otherwise a JSON string of it. A parameter that
// the schema does not have counts as a string. A value ends at the first "</parameter>". What stands between parameters
// and is no tag ends the call and is content. An answer that ends inside a value leaves the object open there. Rules:
// chat/tool_call_parser.h.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "chat/tag_matcher.h"
#include "chat/tool_call_parser.h"

namespace tenfold::chat {

class XmlCallParser final : public ToolCallParser {
 public:
  explicit XmlCallParser(const std::vector<OfferedTool>& tools);

  void Push(std::string_view text, OutputEvents& out) override;
  void Finish(OutputEvents& out) override;

 private:
  enum class State {
    kText,
    kOpened,  // behind <tool_call>
    kName,    // behind <function=
    kBody,    // between parameters
    kKey,     // behind <parameter=
    kValue,
    kAfter,  // behind </function>
  };
  struct Tool {
    std::string name;
    std::set<std::string> others;  // parameters whose schema says something else than string
  };

  void Step(char c, OutputEvents& out);
  void StepText(char c, OutputEvents& out);
  void StepOpened(char c, OutputEvents& out);
  void StepName(char c, OutputEvents& out);
  void StepBody(char c, OutputEvents& out);
  void StepKey(char c, OutputEvents& out);
  void StepValue(char c, OutputEvents& out);
  void StepAfter(char c, OutputEvents& out);
  void EndValue(OutputEvents& out);
  void EndCall(OutputEvents& out);
  void Arguments(std::string_view text, OutputEvents& out);
  void ReleaseHeld(OutputEvents& out);
  void Content(std::string_view text, OutputEvents& out);

  std::vector<Tool> tools_;
  State state_ = State::kText;
  std::string held_;  // markup as long as it may turn out to be content
  std::string word_;  // the tag, name or key being read
  std::string value_;
  const Tool* tool_ = nullptr;
  std::string key_;
  bool has_parameters_ = false;
  bool after_call_ = false;  // nothing but space since the last call
  int calls_ = 0;
  TagMatcher open_{"<tool_call>"};
  TagMatcher value_end_{"</parameter>"};
};

}  // namespace tenfold::chat
