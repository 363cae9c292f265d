#include "api/neutral_fields.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/string.hpp>

namespace tenfold::api {
namespace {
namespace json = boost::json;

bool IsEmpty(const json::value& v) {
  return (v.is_array() && v.get_array().empty()) || (v.is_object() && v.get_object().empty()) ||
         (v.is_string() && v.get_string().empty());
}
bool IsNumber(const json::value& v, double number) { return v.is_number() && v.to_number<double>() == number; }
bool IsZero(const json::value& v) { return IsNumber(v, 0); }
bool IsOne(const json::value& v) { return IsNumber(v, 1); }
bool IsFalse(const json::value& v) { return v.is_bool() && !v.get_bool(); }
bool IsBool(const json::value& v) { return v.is_bool(); }
bool IsString(const json::value& v) { return v.is_string(); }
bool IsNothing(const json::value&) { return false; }
bool IsOneOf(const json::value& v, std::initializer_list<std::string_view> words) {
  if (!v.is_string()) return false;
  for (std::string_view word : words) {
    if (v.get_string() == word) return true;
  }
  return false;
}
bool IsDefaultTier(const json::value& v) { return IsOneOf(v, {"auto", "default"}); }
bool IsStringMap(const json::value& v) {
  if (!v.is_object()) return false;
  for (const auto& field : v.get_object()) {
    if (!field.value().is_string()) return false;
  }
  return true;
}
bool IsTextFormat(const json::value& v) {
  if (!v.is_object() || v.get_object().size() != 1) return false;
  const json::value* type = v.get_object().if_contains("type");
  return type != nullptr && IsOneOf(*type, {"text"});
}
bool IsTextOnly(const json::value& v) {
  return v.is_array() && v.get_array().size() == 1 && IsOneOf(v.get_array()[0], {"text"});
}

struct NeutralField {
  std::string_view name;
  bool (*neutral)(const json::value&);
  std::string_view accepted;  // for the refusal
};

// In both routes. `user`, `metadata`, `safety_identifier` and `prompt_cache_key` only label a request; a label that
// nobody reads changes no answer. `cache_prompt` is a permission, not a demand.
constexpr NeutralField kBoth[] = {
    {"presence_penalty", IsZero, "0"},
    {"frequency_penalty", IsZero, "0"},
    {"repeat_penalty", IsOne, "1"},
    {"repetition_penalty", IsOne, "1"},
    {"typical_p", IsOne, "1"},
    {"mirostat", IsZero, "0"},
    {"dry_multiplier", IsZero, "0"},
    {"xtc_probability", IsZero, "0"},
    {"dynatemp_range", IsZero, "0"},
    {"n_keep", IsZero, "0"},
    {"logit_bias", IsEmpty, "{}"},
    {"grammar", IsEmpty, "\"\""},
    {"json_schema", IsEmpty, "{}"},
    {"response_format", IsTextFormat, "{\"type\":\"text\"}"},
    {"user", IsString, "a string"},
    {"safety_identifier", IsString, "a string"},
    {"prompt_cache_key", IsString, "a string"},
    {"metadata", IsStringMap, "an object of strings"},
    {"cache_prompt", IsBool, "a boolean"},
    {"service_tier", IsDefaultTier, "\"auto\" or \"default\""},
    {"lora", IsEmpty, "[]"},
};

constexpr NeutralField kChatOnly[] = {
    {"store", IsFalse, "false"},
    {"modalities", IsTextOnly, "[\"text\"]"},
    {"audio", IsNothing, "null"},
    {"prediction", IsNothing, "null"},
    {"reasoning_effort", IsNothing, "null"},
    {"verbosity", IsNothing, "null"},
    {"web_search_options", IsNothing, "null"},
    {"chat_template_kwargs", IsEmpty, "{}"},
    {"prompt", IsNothing, "null; /v1/completions takes prompts"},
};

constexpr NeutralField kCompletionOnly[] = {
    {"best_of", IsOne, "1"},
    {"echo", IsFalse, "false"},
    {"suffix", IsEmpty, "\"\""},
    {"messages", IsNothing, "null; /v1/chat/completions takes messages"},
};

void TakeAll(FieldReader& reader, const NeutralField* begin, const NeutralField* end) {
  for (const NeutralField* field = begin; field != end; ++field) {
    const json::value* value = reader.Take(field->name);
    if (value == nullptr || field->neutral(*value)) continue;
    reader.Fail(NotSupported(
        std::string(field->name),
        fmt::format("'{}' is not supported yet; leave it out (accepted: {}).", field->name, field->accepted)));
  }
}

}  // namespace

void TakeNeutralFields(FieldReader& reader, Route route) {
  TakeAll(reader, std::begin(kBoth), std::end(kBoth));
  if (route == Route::kChat) {
    TakeAll(reader, std::begin(kChatOnly), std::end(kChatOnly));
  } else {
    TakeAll(reader, std::begin(kCompletionOnly), std::end(kCompletionOnly));
  }
}

}  // namespace tenfold::api
