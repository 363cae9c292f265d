#include "chat/tool_format.h"

#include "chat/reasoning_parser.h"

namespace tenfold::chat {
namespace {

bool Has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

ToolFormat DetectToolFormat(std::string_view chat_template) {
  // XML inside the same tag, which is not JSON.
  if (Has(chat_template, "<function=") && Has(chat_template, "<parameter=")) return ToolFormat::kQwenCoder;
  if (Has(chat_template, "<tool_call>")) return ToolFormat::kHermes;
  // The templates of Llama 3 show the call's shape to the model, or write an earlier call that way.
  if (Has(chat_template, "<|start_header_id|>") &&
      (Has(chat_template, R"({"name": function name, "parameters":)") || Has(chat_template, R"("parameters": )"))) {
    return ToolFormat::kLlama3;
  }
  return ToolFormat::kNone;
}

std::vector<std::string_view> MarkupTags(ToolFormat format, bool reasoning) {
  std::vector<std::string_view> tags;
  if (reasoning) tags = {kThinkOpen, kThinkClose};
  if (format == ToolFormat::kHermes || format == ToolFormat::kQwenCoder)
    tags.insert(tags.end(), {"<tool_call>", "</tool_call>"});
  if (format == ToolFormat::kLlama3) tags.emplace_back("<|python_tag|>");
  return tags;
}

std::string_view ToolFormatName(ToolFormat format) {
  switch (format) {
    case ToolFormat::kNone:
      return "none";
    case ToolFormat::kHermes:
      return "hermes";
    case ToolFormat::kLlama3:
      return "llama3";
    case ToolFormat::kQwenCoder:
      return "qwen3-coder";
  }
  return "none";
}

}  // namespace tenfold::chat
