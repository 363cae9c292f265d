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
bool IsTrue(const json::value& v) { return v.is_bool() && v.get_bool(); }
bool IsMinusOne(const json::value& v) { return IsNumber(v, -1); }
bool IsAtMostZero(const json::value& v) { return v.is_number() && v.to_number<double>() <= 0; }
bool IsAnyNumber(const json::value& v) { return v.is_number(); }
bool IsStrings(const json::value& v) {
  if (!v.is_array()) return false;
  for (const json::value& item : v.get_array()) {
    if (!item.is_string()) return false;
  }
  return true;
}
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
bool IsTextOnly(const json::value& v) {
  return v.is_array() && v.get_array().size() == 1 && IsOneOf(v.get_array()[0], {"text"});
}

struct NeutralField {
  std::string_view name;
  bool (*neutral)(const json::value&);
  std::string_view accepted;  // for the refusal
};

// In both routes. `metadata` and `prompt_cache_key` only label a request; a label that nobody reads changes no answer.
// What steers speculation is a permission, no demand. The other
// parameters of a sampler that is off (dry_base beside dry_multiplier 0) have nothing to act on: any number will do.
constexpr NeutralField kBoth[] = {
    {"mirostat", IsZero, "0"},
    {"mirostat_tau", IsAnyNumber, "a number"},
    {"mirostat_eta", IsAnyNumber, "a number"},
    {"dry_multiplier", IsZero, "0"},
    {"dry_base", IsAnyNumber, "a number"},
    {"dry_allowed_length", IsAnyNumber, "a number"},
    {"dry_penalty_last_n", IsAnyNumber, "a number"},
    {"dry_sequence_breakers", IsStrings, "an array of strings"},
    {"xtc_probability", IsZero, "0"},
    {"xtc_threshold", IsAnyNumber, "a number"},
    {"dynatemp_range", IsZero, "0"},
    {"dynatemp_exponent", IsAnyNumber, "a number"},
    {"top_n_sigma", IsAtMostZero, "0 or less"},
    {"adaptive_target", IsAtMostZero, "0 or less"},
    {"adaptive_decay", IsAnyNumber, "a number"},
    {"min_keep", IsZero, "0"},
    {"samplers", IsNothing, "null; the order is penalties, top_k, typical_p, top_p, min_p, temperature"},
    {"n_probs", IsZero, "0; 'logprobs' tells probabilities"},
    {"post_sampling_probs", IsFalse, "false"},
    {"n_cmpl", IsOne, "1; 'n' makes several"},
    {"n_keep", IsZero, "0"},
    {"n_discard", IsZero, "0"},
    {"n_indent", IsZero, "0"},
    {"n_cache_reuse", IsZero, "0"},
    {"t_max_prompt_ms", IsAtMostZero, "0 or less"},
    {"t_max_predict_ms", IsAtMostZero, "0 or less"},
    {"id_slot", IsMinusOne, "-1"},
    {"return_tokens", IsFalse, "false"},
    {"return_progress", IsFalse, "false"},
    {"timings_per_token", IsFalse, "false"},
    {"response_fields", IsEmpty, "[]"},
    {"backend_sampling", IsBool, "a boolean"},
    {"speculative.n_min", IsAnyNumber, "a number"},
    {"speculative.n_max", IsAnyNumber, "a number"},
    {"speculative.p_min", IsAnyNumber, "a number"},
    {"multimodal_data", IsEmpty, "[]"},
    {"image_data", IsEmpty, "[]"},
    // vLLM's
    {"use_beam_search", IsFalse, "false"},
    {"length_penalty", IsOne, "1"},
    {"early_stopping", IsFalse, "false"},
    {"min_tokens", IsZero, "0"},
    {"stop_token_ids", IsEmpty, "[]"},
    {"include_stop_str_in_output", IsFalse, "false"},
    {"skip_special_tokens", IsTrue, "true"},
    {"spaces_between_special_tokens", IsTrue, "true"},
    {"truncate_prompt_tokens", IsNothing, "null"},
    {"prompt_logprobs", IsNothing, "null; 'echo' with 'logprobs' tells them"},
    {"allowed_token_ids", IsEmpty, "[]"},
    {"bad_words", IsEmpty, "[]"},
    {"logits_processors", IsEmpty, "[]"},
    {"priority", IsZero, "0"},
    {"return_tokens_as_token_ids", IsFalse, "false"},
    {"return_token_ids", IsFalse, "false"},
    {"request_id", IsString, "a string"},
    {"guided_json", IsNothing, "null"},
    {"guided_regex", IsNothing, "null"},
    {"guided_choice", IsNothing, "null"},
    {"guided_grammar", IsNothing, "null"},
    {"guided_decoding_backend", IsNothing, "null"},
    {"guided_whitespace_pattern", IsNothing, "null"},
    {"structured_outputs", IsNothing, "null"},
    {"kv_transfer_params", IsEmpty, "{}"},
    {"vllm_xargs", IsEmpty, "{}"},
    {"prompt_cache_key", IsString, "a string"},
    {"prompt_cache_retention", IsString, "a string"},
    {"metadata", IsStringMap, "an object of strings"},
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
    {"add_special_tokens", IsFalse, "false"},
    {"echo", IsFalse, "false; /v1/completions echoes"},
    {"prompt", IsNothing, "null; /v1/completions takes prompts"},
};

constexpr NeutralField kCompletionOnly[] = {
    {"suffix", IsEmpty, "\"\""},
    {"add_special_tokens", IsTrue, "true"},
    {"messages", IsNothing, "null; /v1/chat/completions takes messages"},
};

// What we take whatever it says, as long as its type is right: a wrong one is an error and no missing feature.
bool AnyOfItsType(const NeutralField& field) {
  return field.neutral == IsString || field.neutral == IsBool || field.neutral == IsAnyNumber ||
         field.neutral == IsStrings || field.neutral == IsStringMap;
}

void TakeAll(FieldReader& reader, const NeutralField* begin, const NeutralField* end) {
  for (const NeutralField* field = begin; field != end; ++field) {
    const json::value* value = reader.Take(field->name);
    if (value == nullptr || field->neutral(*value)) continue;
    if (AnyOfItsType(*field)) return reader.FailInvalid(field->name, field->accepted, *value);
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
