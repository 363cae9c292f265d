// The tool fields of a chat request: which functions a model may call, and which it must.
//
// `tools` holds functions only. `functions` and `function_call`, which OpenAI replaced by them, are refused with that
// advice. With tool_choice "none" the tools are not shown to the model at all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/json_body.h"

namespace tenfold::api {

inline constexpr size_t kMaxTools = 128;
inline constexpr size_t kMaxToolNameLength = 64;

struct ToolSpec {
  std::string name;               // 1..64 of a-z A-Z 0-9 _ -, unique in its request
  std::string parameters_json{};  // a JSON schema, an object; "" for none
  bool strict = false;            // arguments must match the schema
};

enum class ToolChoice { kNone, kAuto, kRequired, kNamed };

struct ToolOptions {
  std::vector<ToolSpec> tools{};
  ToolChoice choice = ToolChoice::kAuto;
  std::string named{};   // kNamed: which of `tools`
  bool parallel = true;  // an answer may hold several calls
};

// Takes tools, tool_choice, parallel_tool_calls, functions and function_call. *tools_json becomes the array as the
// client sent it, or "" where none is to be called.
void ReadTools(FieldReader& reader, ToolOptions* out, std::string* tools_json);

}  // namespace tenfold::api
