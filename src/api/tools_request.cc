#include "api/tools_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>

namespace tenfold::api {
namespace {
namespace json = boost::json;

bool IsToolName(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= kMaxToolNameLength && std::all_of(name.begin(), name.end(), fits);
}

void ReadParameters(FieldReader& function, std::string* out) {
  const json::value* value = function.Take("parameters");
  if (value == nullptr) return;
  if (!value->is_object()) return function.FailInvalid("parameters", "a JSON schema (an object)", *value);
  const json::value* type = value->get_object().if_contains("type");
  if (type != nullptr && (!type->is_string() || type->get_string() != "object")) {
    const std::string full = function.FullName("parameters.type");
    return function.Fail(
        InvalidRequest(full, fmt::format("'{}' must be \"object\": arguments are always an object.", full)));
  }
  *out = json::serialize(*value);
}

void ReadFunction(FieldReader& function, ToolSpec* out) {
  function.String("name", &out->name);
  std::string description;  // for the template, which gets the whole array
  function.String("description", &description);
  ReadParameters(function, &out->parameters_json);
  function.Bool("strict", &out->strict);
  function.RefuseRest();
  if (function.failed() || IsToolName(out->name)) return;
  const std::string full = function.FullName("name");
  function.Fail(InvalidRequest(
      full, fmt::format("'{}' must be 1 to {} of the characters a-z, A-Z, 0-9, _ and -.", full, kMaxToolNameLength)));
}

void ReadTool(FieldReader& tool, ToolSpec* out) {
  std::string type;
  tool.String("type", &type);
  const json::value* function = tool.Take("function");
  if (tool.failed()) return;
  if (type != "function") {
    const std::string full = tool.FullName("type");
    return tool.Fail(type.empty() ? InvalidRequest(full, fmt::format("'{}' is missing; it must be \"function\".", full))
                                  : NotSupported(full, fmt::format("'{}' is '{}'; only \"function\" is supported.",
                                                                   full, type.substr(0, 100))));
  }
  if (function == nullptr) {
    const std::string full = tool.FullName("function");
    return tool.Fail(InvalidRequest(full, fmt::format("'{}' is missing.", full)));
  }
  if (!function->is_object()) return tool.FailInvalid("function", "an object", *function);
  FieldReader reader(function->get_object(), tool.FullName("function."));
  ReadFunction(reader, out);
  if (reader.failed()) return tool.Fail(reader.error());
  tool.RefuseRest();
}

void ReadToolList(FieldReader& reader, std::vector<ToolSpec>* out, std::string* tools_json) {
  const json::value* value = reader.Take("tools");
  if (value == nullptr) return;
  if (!value->is_array()) return reader.FailInvalid("tools", "an array", *value);
  const json::array& array = value->get_array();
  if (array.empty()) return;
  if (array.size() > kMaxTools) {
    return reader.Fail(
        InvalidRequest("tools", fmt::format("'tools' holds {} tools; at most {} are taken.", array.size(), kMaxTools)));
  }
  for (const json::value& item : array) {
    const std::string name = fmt::format("tools[{}]", out->size());
    if (!item.is_object()) {
      return reader.Fail(InvalidRequest(name, fmt::format("'{}' must be an object, not {}.", name, KindName(item))));
    }
    FieldReader tool(item.get_object(), name + ".");
    ToolSpec spec;
    ReadTool(tool, &spec);
    if (tool.failed()) return reader.Fail(tool.error());
    for (const ToolSpec& other : *out) {
      if (other.name != spec.name) continue;
      const std::string full = name + ".function.name";
      return reader.Fail(InvalidRequest(full, fmt::format("'{}' is '{}', as is an earlier tool's.", full, spec.name)));
    }
    out->push_back(std::move(spec));
  }
  *tools_json = json::serialize(*value);
}

void ReadNamedChoice(FieldReader& reader, const json::object& object, ToolOptions* out) {
  FieldReader choice(object, "tool_choice.");
  std::string type;
  choice.String("type", &type);
  const json::value* function = choice.Take("function");
  if (!choice.failed() && type != "function") {
    choice.Fail(
        NotSupported("tool_choice.type", "'tool_choice.type' must be \"function\"; nothing else is supported."));
  } else if (!choice.failed() && (function == nullptr || !function->is_object())) {
    choice.Fail(InvalidRequest("tool_choice.function", "'tool_choice.function' must be an object with a name."));
  }
  choice.RefuseRest();
  if (choice.failed()) return reader.Fail(choice.error());
  FieldReader named(function->get_object(), "tool_choice.function.");
  named.String("name", &out->named);
  named.RefuseRest();
  if (named.failed()) return reader.Fail(named.error());
  out->choice = ToolChoice::kNamed;
  for (const ToolSpec& tool : out->tools) {
    if (tool.name == out->named) return;
  }
  reader.Fail(InvalidRequest("tool_choice.function.name",
                             fmt::format("'tool_choice.function.name' is '{}', which is none of 'tools'.",
                                         out->named.substr(0, kMaxToolNameLength))));
}

void ReadChoice(FieldReader& reader, ToolOptions* out) {
  const json::value* value = reader.Take("tool_choice");
  if (value == nullptr) return;
  if (value->is_object()) return ReadNamedChoice(reader, value->get_object(), out);
  const std::string expected = "\"none\", \"auto\", \"required\" or an object that names a function";
  if (!value->is_string()) return reader.FailInvalid("tool_choice", expected, *value);
  const json::string& word = value->get_string();
  if (word == "none") {
    out->choice = ToolChoice::kNone;
  } else if (word == "required") {
    out->choice = ToolChoice::kRequired;
    if (out->tools.empty()) {
      reader.Fail(InvalidRequest("tool_choice", "'tool_choice' is \"required\", but there are no 'tools'."));
    }
  } else if (word != "auto") {
    reader.Fail(InvalidRequest("tool_choice", fmt::format("'tool_choice' must be {}.", expected)));
  }
}

// What OpenAI replaced: accepted only where it says nothing.
void RefuseLegacy(FieldReader& reader) {
  const json::value* functions = reader.Take("functions");
  if (functions != nullptr && !(functions->is_array() && functions->get_array().empty())) {
    reader.Fail(InvalidRequest("functions", "'functions' was replaced by 'tools'; send the functions there."));
  }
  const json::value* call = reader.Take("function_call");
  if (call != nullptr && !(call->is_string() && (call->get_string() == "none" || call->get_string() == "auto"))) {
    reader.Fail(InvalidRequest("function_call", "'function_call' was replaced by 'tool_choice'; say it there."));
  }
}

}  // namespace

void ReadTools(FieldReader& reader, ToolOptions* out, std::string* tools_json) {
  ReadToolList(reader, &out->tools, tools_json);
  ReadChoice(reader, out);
  reader.Bool("parallel_tool_calls", &out->parallel);
  RefuseLegacy(reader);
  if (out->choice == ToolChoice::kNone) tools_json->clear();
}

}  // namespace tenfold::api
