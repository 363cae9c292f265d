// How a model writes tool calls, told from its chat template.
//
// Known: Hermes and Qwen (<tool_call>{"name": …, "arguments": …}</tool_call>), Qwen3-Coder (XML in the same tag), Llama
// 3
// ({"name": …, "parameters": …} as the whole answer). With any other format, DeepSeek's among them, `tools` still reach
// the template, and the answer stays content.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tenfold::chat {

enum class ToolFormat { kNone, kHermes, kLlama3, kQwenCoder };

struct OfferedTool {
  std::string name;
  std::string parameters_json{};  // a JSON schema, "" for none
};

// From the text of a chat template; "" is kNone.
ToolFormat DetectToolFormat(std::string_view chat_template);

// The tags that a format, and reasoning, write into an answer. Where the vocabulary has one of them as a control token
// it must be shown to the parsers, though other control tokens are not shown.
std::vector<std::string_view> MarkupTags(ToolFormat format, bool reasoning);

// "none", "hermes", "llama3", "qwen3-coder"
std::string_view ToolFormatName(ToolFormat format);

}  // namespace tenfold::chat
