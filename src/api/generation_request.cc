#include "api/generation_request.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/string.hpp>
#include <limits>

#include "api/json_body.h"
#include "api/neutral_fields.h"

namespace tenfold::api {
namespace {
namespace json = boost::json;

constexpr int64_t kMaxTokensLimit = 1 << 30;

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

// Three names for one number; llama-server's -1 means "no limit of mine" under each of them.
void ReadMaxTokens(FieldReader& reader, int64_t* out) {
  std::string_view first_name;
  for (std::string_view name : {"max_completion_tokens", "max_tokens", "n_predict"}) {
    std::optional<int64_t> value;
    reader.Integer(name, -1, kMaxTokensLimit, &value);
    if (!value || reader.failed()) continue;
    if (*value == 0) {
      return reader.Fail(InvalidRequest(std::string(name), fmt::format("'{}' must be at least 1, or -1 for what the "
                                                                       "context leaves.",
                                                                       name)));
    }
    if (!first_name.empty() && *out != *value) {
      return reader.Fail(
          InvalidRequest(std::string(name), fmt::format("'{}' and '{}' differ; send one of them.", first_name, name)));
    }
    first_name = name;
    *out = *value;
  }
}

void ReadSeed(FieldReader& reader, std::optional<uint64_t>* out) {
  const json::value* value = reader.Take("seed");
  if (value == nullptr) return;
  if (value->is_uint64()) {
    *out = value->get_uint64();
    return;
  }
  const std::optional<int64_t> integer = AsInteger(*value);
  if (!integer) return reader.FailInvalid("seed", "an integer", *value);
  if (*integer != -1) *out = static_cast<uint64_t>(*integer);  // -1: llama-server's "any"
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

void ReadShared(FieldReader& reader, Route route, GenerationOptions* out) {
  reader.String("model", &out->model);
  reader.Number("temperature", 0, 2, &out->temperature);
  reader.Number("top_p", 0, 1, &out->top_p);
  reader.Integer("top_k", -1, std::numeric_limits<int32_t>::max(), &out->top_k);
  if (out->top_k < 0) out->top_k = 0;
  reader.Number("min_p", 0, 1, &out->min_p);
  ReadSeed(reader, &out->seed);
  reader.Integer("n", 1, static_cast<int64_t>(kMaxChoices), &out->n);
  ReadStop(reader, &out->stop);
  ReadMaxTokens(reader, &out->max_tokens);
  reader.Bool("ignore_eos", &out->ignore_eos);
  reader.Bool("stream", &out->stream);
  ReadStreamOptions(reader, out);
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

// One array of token ids. `name` is "prompt" or "prompt[3]".
void ReadIds(FieldReader& reader, const json::array& array, const std::string& name, Prompt* out) {
  std::vector<int32_t> ids;
  ids.reserve(array.size());
  for (const json::value& item : array) {
    const std::optional<int64_t> id = AsInteger(item);
    if (!id || *id < 0 || *id > std::numeric_limits<int32_t>::max()) {
      return reader.Fail(
          InvalidRequest("prompt", fmt::format("'{}[{}]' is not a token id (an integer >= 0).", name, ids.size())));
    }
    ids.push_back(static_cast<int32_t>(*id));
  }
  *out = std::move(ids);
}

// A string, an array of token ids, or an array of several of either kind.
void ReadPrompts(FieldReader& reader, std::vector<Prompt>* out) {
  constexpr std::string_view kExpected = "a string, an array of token ids, or an array of these";
  const json::value* value = reader.Take("prompt");
  if (value == nullptr) return reader.Fail(InvalidRequest("prompt", "'prompt' is missing."));
  if (value->is_string()) return static_cast<void>(out->emplace_back(Text(*value)));
  if (!value->is_array()) return reader.FailInvalid("prompt", kExpected, *value);
  const json::array& array = value->get_array();
  if (array.empty()) return reader.Fail(InvalidRequest("prompt", "'prompt' must not be an empty array."));
  if (array[0].is_number()) return ReadIds(reader, array, "prompt", &out->emplace_back());
  if (array.size() > kMaxChoices) {
    return reader.Fail(InvalidRequest(
        "prompt", fmt::format("'prompt' holds {} prompts; at most {} are taken.", array.size(), kMaxChoices)));
  }
  for (const json::value& item : array) {
    const std::string name = fmt::format("prompt[{}]", out->size());
    if (item.is_string()) {
      out->emplace_back(Text(item));
    } else if (item.is_array()) {
      ReadIds(reader, item.get_array(), name, &out->emplace_back());
    } else {
      return reader.Fail(InvalidRequest(
          "prompt", fmt::format("'{}' must be a string or an array of token ids, not {}.", name, KindName(item))));
    }
    if (reader.failed()) return;
  }
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
  const size_t choices = request.prompts.size() * static_cast<size_t>(request.options.n);
  if (choices > kMaxChoices) {
    reader.Fail(InvalidRequest("n", fmt::format("'n' is {} for each of {} prompts, {} choices in all; at most {} are "
                                                "made for one request.",
                                                request.options.n, request.prompts.size(), choices, kMaxChoices)));
  }
  std::optional<int64_t> logprobs;
  reader.Integer("logprobs", 0, 100, &logprobs);
  if (logprobs) request.options.n_top = static_cast<int>(*logprobs);
  reader.RefuseRest();
  if (reader.failed()) return reader.error();
  return request;
}

}  // namespace tenfold::api
