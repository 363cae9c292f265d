#include "api/chat_message.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/string.hpp>
#include <set>

namespace tenfold::api {
namespace {
namespace json = boost::json;

std::string Text(const json::value& value) { return {value.get_string().data(), value.get_string().size()}; }

void FailMissing(FieldReader& reader, std::string_view name) {
  const std::string full = reader.FullName(name);
  reader.Fail(InvalidRequest(full, fmt::format("'{}' is missing.", full)));
}

// Text parts one after another, with nothing between them: where a part ends says nothing about lines.
void ReadContent(FieldReader& message, ChatMessage* out) {
  const json::value* value = message.Take("content");
  if (value == nullptr) {
    out->content_is_null = true;
    if (!out->tool_calls.empty()) return;
    if (!message.failed()) {
      message.Fail(
          InvalidRequest(message.FullName("content"), fmt::format("'{}' is missing.", message.FullName("content"))));
    }
    return;
  }
  if (value->is_string()) {
    out->content = Text(*value);
    return;
  }
  if (!value->is_array()) return message.FailInvalid("content", "a string or an array of text parts", *value);
  size_t index = 0;
  for (const json::value& item : value->get_array()) {
    const std::string prefix = fmt::format("{}[{}].", message.FullName("content"), index++);
    if (!item.is_object()) return message.FailInvalid("content", "a string or an array of text parts", *value);
    FieldReader part(item.get_object(), prefix);
    std::string type;
    std::string text;
    part.String("type", &type);
    if (!part.failed() && type != "text") {
      return message.Fail(NotSupported(
          prefix + "type",
          fmt::format("'{}type' is '{}'; only \"text\" parts are supported.", prefix, type.substr(0, 100))));
    }
    if (const json::value* got = part.Take("text"); got == nullptr && !part.failed()) {
      part.Fail(InvalidRequest(prefix + "text", fmt::format("'{}text' is missing.", prefix)));
    }
    part.String("text", &text);
    part.RefuseRest();
    if (part.failed()) return message.Fail(part.error());
    out->content += text;
  }
}

void ReadCall(FieldReader& call, ToolCall* out) {
  call.String("id", &out->id);
  std::string type = "function";
  call.String("type", &type);
  int64_t index = 0;  // of a stream's delta; clients that add up deltas send it back
  call.Integer("index", 0, kMaxMessages, &index);
  if (!call.failed() && out->id.empty()) return FailMissing(call, "id");
  if (!call.failed() && type != "function") {
    const std::string full = call.FullName("type");
    return call.Fail(NotSupported(full, fmt::format("'{}' must be \"function\"; no other calls are supported.", full)));
  }
  const json::value* function = call.Take("function");
  if (call.failed()) return;
  if (function == nullptr) return FailMissing(call, "function");
  if (!function->is_object()) return call.FailInvalid("function", "an object", *function);
  FieldReader reader(function->get_object(), call.FullName("function."));
  reader.String("name", &out->name);
  if (!reader.failed() && out->name.empty()) FailMissing(reader, "name");
  const json::value* arguments = reader.Take("arguments");
  if (!reader.failed() && arguments == nullptr) FailMissing(reader, "arguments");
  reader.String("arguments", &out->arguments_json);
  reader.RefuseRest();
  if (reader.failed()) return call.Fail(reader.error());
  call.RefuseRest();
}

void ReadCalls(FieldReader& message, std::vector<ToolCall>* out) {
  const json::value* value = message.Take("tool_calls");
  if (value == nullptr) return;
  if (!value->is_array()) return message.FailInvalid("tool_calls", "an array", *value);
  for (const json::value& item : value->get_array()) {
    const std::string name = fmt::format("{}[{}]", message.FullName("tool_calls"), out->size());
    if (!item.is_object()) {
      return message.Fail(InvalidRequest(name, fmt::format("'{}' must be an object, not {}.", name, KindName(item))));
    }
    FieldReader call(item.get_object(), name + ".");
    ReadCall(call, &out->emplace_back());
    if (call.failed()) return message.Fail(call.error());
  }
}

void ReadRole(FieldReader& message, std::string* role) {
  message.String("role", role);
  if (message.failed()) return;
  const std::string full = message.FullName("role");
  if (role->empty()) return FailMissing(message, "role");
  if (*role == "developer") *role = "system";
  if (*role == "function") {
    return message.Fail(InvalidRequest(
        full, fmt::format("'{}' is \"function\", which was replaced by \"tool\" with a tool_call_id.", full)));
  }
  if (*role != "system" && *role != "user" && *role != "assistant" && *role != "tool") {
    message.Fail(InvalidRequest(
        full, fmt::format("'{}' must be \"system\", \"developer\", \"user\", \"assistant\" or \"tool\".", full)));
  }
}

// Empty values of fields that belong to another role, or that we do not do, change nothing and come back from clients.
void RefuseUnlessEmpty(FieldReader& message, std::initializer_list<std::string_view> names, std::string_view why) {
  for (std::string_view name : names) {
    const json::value* value = message.Take(name);
    if (value == nullptr || (value->is_array() && value->get_array().empty()) ||
        (value->is_string() && value->get_string().empty())) {
      continue;
    }
    message.Fail(NotSupported(message.FullName(name), fmt::format("'{}' {}", message.FullName(name), why)));
  }
}

// `calls`: the ids of all calls so far.
void ReadMessage(FieldReader& message, std::set<std::string>& calls, ChatMessage* out) {
  ReadRole(message, &out->role);
  if (message.failed()) return;
  message.String("name", &out->name);
  if (out->role == "assistant") {
    message.String("reasoning_content", &out->reasoning_content);
    ReadCalls(message, &out->tool_calls);
    for (const ToolCall& call : out->tool_calls) calls.insert(call.id);
  } else {
    RefuseUnlessEmpty(message, {"reasoning_content", "tool_calls"}, "belongs to an assistant's message.");
  }
  if (out->role == "tool") {
    message.String("tool_call_id", &out->tool_call_id);
    const std::string full = message.FullName("tool_call_id");
    if (!message.failed() && out->tool_call_id.empty()) return FailMissing(message, "tool_call_id");
    if (!message.failed() && calls.count(out->tool_call_id) == 0) {
      return message.Fail(InvalidRequest(full, fmt::format("'{}' is '{}', which no earlier message's tool_calls holds.",
                                                           full, out->tool_call_id.substr(0, 100))));
    }
  } else {
    RefuseUnlessEmpty(message, {"tool_call_id"}, "belongs to a tool's message.");
  }
  ReadContent(message, out);
  // What our own answers carry beside the text comes back in the next turn of a conversation.
  RefuseUnlessEmpty(message, {"refusal", "function_call", "audio", "annotations"}, "is not supported; leave it out.");
  message.RefuseRest();
}

}  // namespace

void ReadMessages(FieldReader& reader, std::vector<ChatMessage>* out) {
  const json::value* value = reader.Take("messages");
  if (value == nullptr) return reader.Fail(InvalidRequest("messages", "'messages' is missing."));
  if (!value->is_array()) return reader.FailInvalid("messages", "an array", *value);
  const json::array& array = value->get_array();
  if (array.empty() || array.size() > kMaxMessages) {
    return reader.Fail(InvalidRequest(
        "messages", fmt::format("'messages' must hold 1 to {} messages, not {}.", kMaxMessages, array.size())));
  }
  out->reserve(array.size());
  std::set<std::string> calls;
  for (const json::value& item : array) {
    const std::string prefix = fmt::format("messages[{}].", out->size());
    if (!item.is_object()) {
      return reader.Fail(InvalidRequest(
          "messages", fmt::format("'messages[{}]' must be an object, not {}.", out->size(), KindName(item))));
    }
    FieldReader message(item.get_object(), prefix);
    ReadMessage(message, calls, &out->emplace_back());
    if (message.failed()) return reader.Fail(message.error());
  }
}

}  // namespace tenfold::api
