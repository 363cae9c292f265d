#include "chat/tool_call_parser.h"

#include "chat/json_call_parser.h"
#include "chat/xml_call_parser.h"

namespace tenfold::chat {

std::unique_ptr<ToolCallParser> MakeToolCallParser(ToolFormat format, const std::vector<OfferedTool>& tools) {
  std::vector<std::string> names;
  names.reserve(tools.size());
  for (const OfferedTool& tool : tools) names.push_back(tool.name);
  switch (format) {
    case ToolFormat::kNone:
      return nullptr;
    case ToolFormat::kHermes:
      return std::make_unique<JsonCallParser>(JsonCallMarkup{.open = "<tool_call>", .close = "</tool_call>"},
                                              std::move(names));
    case ToolFormat::kLlama3:
      return std::make_unique<JsonCallParser>(
          JsonCallMarkup{.open = "<|python_tag|>", .close = "", .bare_first = true, .bare_next = true},
          std::move(names));
    case ToolFormat::kQwenCoder:
      return std::make_unique<XmlCallParser>(tools);
  }
  return nullptr;
}

}  // namespace tenfold::chat
