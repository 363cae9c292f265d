#include "api/sampling_fields.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/string.hpp>
#include <charconv>
#include <limits>

namespace tenfold::api {
namespace {
namespace json = boost::json;

constexpr double kMostBias = 100;

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

// llama-server's penalty has a window, vLLM's is the same over everything.
void ReadRepeatPenalty(FieldReader& reader, GenerationOptions* out) {
  constexpr double kLeast = 0.1;
  constexpr double kMost = 10;
  reader.Number("repeat_penalty", kLeast, kMost, &out->repeat_penalty);
  reader.Integer("repeat_last_n", -1, std::numeric_limits<int32_t>::max(), &out->repeat_last_n);
  double everywhere = 1;
  reader.Number("repetition_penalty", kLeast, kMost, &everywhere);
  if (everywhere == 1) return;
  if (out->repeat_penalty != 1) {
    return reader.Fail(InvalidRequest(
        "repetition_penalty", "'repetition_penalty' and 'repeat_penalty' are two names for one thing; send one."));
  }
  out->repeat_penalty = everywhere;
  out->repeat_last_n = -1;
}

bool AddBias(FieldReader& reader, const std::string& place, int64_t id, const json::value& value,
             GenerationOptions* out) {
  if (id < 0 || id > std::numeric_limits<int32_t>::max()) {
    reader.Fail(InvalidRequest("logit_bias", fmt::format("'{}' is not a token id (an integer >= 0).", place)));
    return false;
  }
  double bias = -std::numeric_limits<double>::infinity();  // false: never
  if (!(value.is_bool() && !value.get_bool())) {
    if (!value.is_number() || !(std::abs(value.to_number<double>()) <= kMostBias)) {
      reader.Fail(InvalidRequest(
          "logit_bias", fmt::format("'{}' must be a number from -100 to 100, or false to forbid the token.", place)));
      return false;
    }
    bias = value.to_number<double>();
  }
  out->logit_bias.push_back({static_cast<int32_t>(id), static_cast<float>(bias)});
  return true;
}

void ReadBiasObject(FieldReader& reader, const json::object& object, GenerationOptions* out) {
  for (const auto& field : object) {
    const std::string_view name(field.key().data(), field.key().size());
    const std::string place = fmt::format("logit_bias.{}", name.substr(0, 100));
    int64_t id = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
    if (error != std::errc() || end != name.data() + name.size()) {
      return reader.Fail(InvalidRequest(
          "logit_bias", fmt::format("'{}' is not a token id; POST /tokenize tells the ids of a text.", place)));
    }
    if (!AddBias(reader, place, id, field.value(), out)) return;
  }
}

// llama-server's form: [[id, bias], ...], where it takes texts in place of ids, which we do not.
void ReadBiasArray(FieldReader& reader, const json::array& array, GenerationOptions* out) {
  for (size_t i = 0; i < array.size(); ++i) {
    const std::string place = fmt::format("logit_bias[{}]", i);
    if (!array[i].is_array() || array[i].get_array().size() != 2) {
      return reader.Fail(
          InvalidRequest("logit_bias", fmt::format("'{}' must be an array of a token id and its bias.", place)));
    }
    const json::array& pair = array[i].get_array();
    if (pair[0].is_string()) {
      return reader.Fail(NotSupported(
          "logit_bias",
          fmt::format("'{}' names its token by text; send token ids, which POST /tokenize tells.", place)));
    }
    const std::optional<int64_t> id = AsInteger(pair[0]);
    if (!AddBias(reader, place, id.value_or(-1), pair[1], out)) return;
  }
}

void ReadLogitBias(FieldReader& reader, GenerationOptions* out) {
  const json::value* value = reader.Take("logit_bias");
  if (value == nullptr) return;
  const size_t size = value->is_object()  ? value->get_object().size()
                      : value->is_array() ? value->get_array().size()
                                          : 0;
  if (size > kMaxBiases) {
    return reader.Fail(InvalidRequest(
        "logit_bias", fmt::format("'logit_bias' has {} entries; at most {} are taken.", size, kMaxBiases)));
  }
  if (value->is_object()) return ReadBiasObject(reader, value->get_object(), out);
  if (value->is_array()) return ReadBiasArray(reader, value->get_array(), out);
  reader.FailInvalid("logit_bias", "an object of token ids and numbers, or an array of such pairs", *value);
}

}  // namespace

void ReadSamplingFields(FieldReader& reader, GenerationOptions* out) {
  reader.Number("temperature", 0, 2, &out->temperature);
  reader.Number("top_p", 0, 1, &out->top_p);
  reader.Integer("top_k", -1, std::numeric_limits<int32_t>::max(), &out->top_k);
  if (out->top_k < 0) out->top_k = 0;
  reader.Number("min_p", 0, 1, &out->min_p);
  reader.Number("typical_p", 0, 1, &out->typical_p);
  reader.Number("presence_penalty", -2, 2, &out->presence_penalty);
  reader.Number("frequency_penalty", -2, 2, &out->frequency_penalty);
  ReadRepeatPenalty(reader, out);
  ReadLogitBias(reader, out);
  ReadSeed(reader, &out->seed);
  reader.Bool("ignore_eos", &out->ignore_eos);
}

}  // namespace tenfold::api
