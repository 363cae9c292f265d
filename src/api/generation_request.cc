#include "api/generation_request.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/string.hpp>
#include <limits>

#include "api/json_body.h"
#include "api/neutral_fields.h"
#include "api/prompt_fields.h"
#include "api/sampling_fields.h"
#include "api/template_fields.h"

namespace tenfold::api {
namespace {
namespace json = boost::json;

constexpr int64_t kMaxTokensLimit = 1 << 30;
constexpr int64_t kMaxDeadlineMs = 24LL * 3600 * 1000;

std::string Text(const json::value& value) { return {value.get_string().data(), value.get_string().size()}; }

void ReadStop(FieldReader& reader, std::vector<std::string>* out) {
  const json::value* value = reader.Take("stop");
  if (value == nullptr) return;
  const auto add = [&](const json::value& item) {
    if (!item.is_string()) return reader.FailInvalid("stop", "a string or an array of strings", item);
    if (item.get_string().empty()) return reader.Fail(InvalidRequest("stop", "'stop' must not hold an empty string."));
    if (item.get_string().size() > kMaxStopBytes) {
      return reader.Fail(
          InvalidRequest("stop", fmt::format("A string in 'stop' is longer than {} bytes.", kMaxStopBytes)));
    }
    out->push_back(Text(item));
  };
  if (!value->is_array()) {
    if (!value->is_string()) return reader.FailInvalid("stop", "a string or an array of strings", *value);
    return add(*value);
  }
  if (value->get_array().size() > kMaxStops) {
    return reader.Fail(InvalidRequest(
        "stop", fmt::format("'stop' has {} strings; at most {} are taken.", value->get_array().size(), kMaxStops)));
  }
  for (const json::value& item : value->get_array()) {
    if (reader.failed()) return;
    add(item);
  }
}

// Three names for one number; llama-server's -1 means "no limit of mine" under each of them. 0 draws nothing, which
// only an echo makes an answer of.
void ReadMaxTokens(FieldReader& reader, GenerationOptions* out) {
  std::string_view first_name;
  for (std::string_view name : {"max_completion_tokens", "max_tokens", "n_predict"}) {
    std::optional<int64_t> value;
    reader.Integer(name, -1, kMaxTokensLimit, &value);
    if (!value || reader.failed()) continue;
    if (*value == 0 && !out->echo) {
      return reader.Fail(InvalidRequest(
          std::string(name), fmt::format("'{}' must be at least 1, or -1 for what the context leaves; 0 is for a "
                                         "completion with \"echo\": true.",
                                         name)));
    }
    if (!first_name.empty() && out->max_tokens != *value) {
      return reader.Fail(
          InvalidRequest(std::string(name), fmt::format("'{}' and '{}' differ; send one of them.", first_name, name)));
    }
    first_name = name;
    out->max_tokens = *value;
  }
}

void ReadStreamOptions(FieldReader& reader, GenerationOptions* out) {
  const json::value* value = reader.Take("stream_options");
  if (value == nullptr) return;
  if (!value->is_object()) return reader.FailInvalid("stream_options", "an object", *value);
  if (!out->stream) {
    return reader.Fail(InvalidRequest("stream_options", "'stream_options' is only allowed with \"stream\": true."));
  }
  FieldReader nested(value->get_object(), "stream_options.");
  nested.Bool("include_usage", &out->include_usage);
  bool obfuscation = false;  // padding against traffic analysis; on a machine of one's own there is none to add
  nested.Bool("include_obfuscation", &obfuscation);
  nested.RefuseRest();
  if (nested.failed()) reader.Fail(nested.error());
}

// An empty salt would look like one and separate nothing, so it is refused, as vLLM does.
void ReadCaching(FieldReader& reader, GenerationOptions* out) {
  reader.Bool("cache_prompt", &out->cache_prompt);
  const json::value* salt = reader.Take("cache_salt");
  if (salt == nullptr || reader.failed()) return;
  if (!salt->is_string() || salt->get_string().empty() || salt->get_string().size() > kMaxSaltBytes) {
    return reader.FailInvalid("cache_salt", fmt::format("a string of 1 to {} bytes", kMaxSaltBytes), *salt);
  }
  out->cache_salt = Text(*salt);
}

// OpenAI's old name for who asks, and its new one.
void ReadUser(FieldReader& reader, std::string* out) {
  reader.String("safety_identifier", out);
  reader.String("user", out);
}

void ReadShared(FieldReader& reader, Route route, GenerationOptions* out) {
  reader.String("model", &out->model);
  ReadSamplingFields(reader, out);
  reader.Integer("n", 1, static_cast<int64_t>(kMaxChoices), &out->n);
  ReadStop(reader, &out->stop);
  ReadCaching(reader, out);
  if (route == Route::kCompletion) reader.Bool("echo", &out->echo);
  ReadMaxTokens(reader, out);
  reader.Bool("stream", &out->stream);
  ReadStreamOptions(reader, out);
  std::optional<int64_t> deadline_ms;
  reader.Integer("deadline_ms", 1, kMaxDeadlineMs, &deadline_ms);
  out->deadline_ms = deadline_ms.value_or(-1);
  ReadUser(reader, &out->user);
  ReadOutputFormat(reader, &out->format);
  TakeNeutralFields(reader, route);
}

// llama-server's names. "auto" and "deepseek" are the same thing here: reasoning_content apart, tags dropped.
void ReadReasoningFormat(FieldReader& reader, bool* separate) {
  std::string format = "auto";
  reader.String("reasoning_format", &format);
  if (reader.failed()) return;
  if (format == "deepseek-legacy") {
    return reader.Fail(NotSupported("reasoning_format",
                                    "'reasoning_format' \"deepseek-legacy\" is not supported; use \"deepseek\" for "
                                    "reasoning apart or \"none\" for its tags in the content."));
  }
  if (format != "none" && format != "auto" && format != "deepseek") {
    return reader.Fail(
        InvalidRequest("reasoning_format", "'reasoning_format' must be \"none\", \"auto\" or \"deepseek\"."));
  }
  *separate = format != "none";
}

void ReadChatLogprobs(FieldReader& reader, int* n_top) {
  bool logprobs = false;
  std::optional<int64_t> top;
  reader.Bool("logprobs", &logprobs);
  reader.Integer("top_logprobs", 0, 20, &top);
  if (top && !logprobs) {
    reader.Fail(InvalidRequest("top_logprobs", "'top_logprobs' is only allowed with \"logprobs\": true."));
  }
  if (logprobs) *n_top = static_cast<int>(top.value_or(0));
}

}  // namespace

Parsed<ChatRequest> ParseChatRequest(std::string_view body) {
  Parsed<json::object> object = ParseObject(body);
  if (!object.ok()) return object.error();
  ChatRequest request;
  FieldReader reader(*object);
  ReadMessages(reader, &request.messages);
  ReadTools(reader, &request.tools, &request.tools_json);
  ReadReasoningFormat(reader, &request.separate_reasoning);
  ReadTemplateFields(reader, &request);
  ReadShared(reader, Route::kChat, &request.options);
  ReadChatLogprobs(reader, &request.options.n_top);
  reader.RefuseRest();
  if (reader.failed()) return reader.error();
  return request;
}

Parsed<CompletionRequest> ParseCompletionRequest(std::string_view body) {
  Parsed<json::object> object = ParseObject(body);
  if (!object.ok()) return object.error();
  CompletionRequest request;
  FieldReader reader(*object);
  ReadPrompts(reader, &request.prompts);
  ReadShared(reader, Route::kCompletion, &request.options);
  ReadBestOf(reader, request);
  std::optional<int64_t> logprobs;
  reader.Integer("logprobs", 0, 100, &logprobs);
  if (logprobs) request.options.n_top = static_cast<int>(*logprobs);
  reader.RefuseRest();
  if (reader.failed()) return reader.error();
  return request;
}

}  // namespace tenfold::api
