#include "api/prompt_fields.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/string.hpp>
#include <limits>

namespace tenfold::api {
namespace {
namespace json = boost::json;

std::string Text(const json::value& value) { return {value.get_string().data(), value.get_string().size()}; }

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

}  // namespace

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

void ReadBestOf(FieldReader& reader, const CompletionRequest& request) {
  const int64_t n = request.options.n;
  std::optional<int64_t> best_of;
  reader.Integer("best_of", 1, static_cast<int64_t>(kMaxChoices), &best_of);
  if (best_of && *best_of < n) {
    return reader.Fail(
        InvalidRequest("best_of", fmt::format("'best_of' is {}, less than 'n', which is {}.", *best_of, n)));
  }
  if (best_of && *best_of > n) {
    return reader.Fail(NotSupported(
        "best_of", fmt::format("'best_of' is {} and 'n' {}; choosing the best of more than are returned is not "
                               "supported, so send the same number or leave it out.",
                               *best_of, n)));
  }
  const size_t choices = request.prompts.size() * static_cast<size_t>(n);
  if (choices > kMaxChoices) {
    return reader.Fail(
        InvalidRequest("n", fmt::format("'n' is {} for each of {} prompts, {} choices in all; at most {} are "
                                        "made for one request.",
                                        n, request.prompts.size(), choices, kMaxChoices)));
  }
}

}  // namespace tenfold::api
