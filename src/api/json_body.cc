#include "api/json_body.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parser.hpp>
#include <cmath>
#include <new>

#include "api/repeated_key.h"
#include "base/nearest_name.h"

namespace tenfold::api {
namespace json = boost::json;
namespace {

constexpr size_t kMostNameBytes = 100;  // of a stranger's field name in an answer, which would be megabytes long

}  // namespace

Parsed<json::object> ParseObject(std::string_view body) {
  json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  try {
    json::parser parser({}, options);
    json::error_code ec;
    const size_t used = parser.write_some(body.data(), body.size(), ec);
    if (!ec && used < body.size()) {
      const size_t rest = body.find_first_not_of(" \t\r\n", used);
      if (rest != std::string_view::npos) {
        return InvalidRequest("", fmt::format("The body has something behind its JSON value at byte {}.", rest));
      }
    }
    if (ec == json::error::incomplete) {
      return InvalidRequest("", body.empty() ? "The body is empty; a JSON object is expected."
                                             : "The body is not valid JSON: it ends too early.");
    }
    if (ec) return InvalidRequest("", fmt::format("The body is not valid JSON near byte {}: {}.", used, ec.message()));
    json::value value = parser.release();
    if (!value.is_object()) {
      return InvalidRequest("", fmt::format("The body must be a JSON object, not {}.", KindName(value)));
    }
    if (const std::optional<std::string> path = FindRepeatedKey(body, kMaxJsonDepth)) {
      const std::string name = path->substr(0, kMostNameBytes);
      return InvalidRequest(
          name, fmt::format("The body has '{}' twice, and JSON does not say which of them counts; keep one.", name));
    }
    return std::move(value.as_object());
  } catch (const std::exception& e) {  // bad_alloc and Boost's own length errors: one request fails, nothing else
    return InvalidRequest("", fmt::format("The body cannot be read as JSON: {}.", e.what()));
  }
}

std::string_view KindName(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
      return "an integer";
    case json::kind::double_:
      return "a number";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
  }
  return "a value";
}

std::optional<int64_t> AsInteger(const json::value& value) {
  if (value.is_int64()) return value.get_int64();
  if (value.is_double()) {
    const double d = value.get_double();
    if (std::abs(d) <= 9007199254740992.0 && d == std::floor(d)) return static_cast<int64_t>(d);
  }
  return std::nullopt;
}

FieldReader::FieldReader(const json::object& object, std::string prefix)
    : object_(object), prefix_(std::move(prefix)) {}

std::string FieldReader::FullName(std::string_view name) const { return prefix_ + std::string(name); }

const json::value* FieldReader::Take(std::string_view name) {
  taken_.push_back(name);
  if (failed()) return nullptr;
  const json::value* value = object_.if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

void FieldReader::Fail(ApiError error) {
  if (!failed()) error_ = std::move(error);
}

void FieldReader::FailInvalid(std::string_view name, std::string_view what_is_expected, const json::value& got) {
  const std::string full = FullName(name);
  Fail(InvalidRequest(full, fmt::format("'{}' must be {}, not {}.", full, what_is_expected, KindName(got))));
}

void FieldReader::Bool(std::string_view name, bool* out) {
  const json::value* value = Take(name);
  if (value == nullptr) return;
  if (!value->is_bool()) return FailInvalid(name, "a boolean", *value);
  *out = value->get_bool();
}

void FieldReader::String(std::string_view name, std::string* out) {
  const json::value* value = Take(name);
  if (value == nullptr) return;
  if (!value->is_string()) return FailInvalid(name, "a string", *value);
  out->assign(value->get_string().data(), value->get_string().size());
}

void FieldReader::Number(std::string_view name, double low, double high, double* out) {
  const json::value* value = Take(name);
  if (value == nullptr) return;
  if (!value->is_number()) return FailInvalid(name, fmt::format("a number from {} to {}", low, high), *value);
  const double number = value->to_number<double>();
  if (!(number >= low && number <= high)) {
    const std::string full = FullName(name);
    return Fail(InvalidRequest(full, fmt::format("'{}' must be from {} to {}, not {}.", full, low, high, number)));
  }
  *out = number;
}

void FieldReader::Integer(std::string_view name, int64_t low, int64_t high, std::optional<int64_t>* out) {
  const json::value* value = Take(name);
  if (value == nullptr) return;
  if (!value->is_number()) return FailInvalid(name, fmt::format("an integer from {} to {}", low, high), *value);
  const std::optional<int64_t> integer = AsInteger(*value);
  if (!integer || *integer < low || *integer > high) {
    const std::string full = FullName(name);
    const std::string got = value->is_uint64()  ? fmt::format("{}", value->get_uint64())
                            : value->is_int64() ? fmt::format("{}", value->get_int64())
                                                : fmt::format("{}", value->get_double());
    return Fail(
        InvalidRequest(full, fmt::format("'{}' must be an integer from {} to {}, not {}.", full, low, high, got)));
  }
  *out = *integer;
}

void FieldReader::Integer(std::string_view name, int64_t low, int64_t high, int64_t* out) {
  std::optional<int64_t> value;
  Integer(name, low, high, &value);
  if (value) *out = *value;
}

void FieldReader::RefuseRest() {
  if (failed()) return;
  for (const auto& field : object_) {
    const std::string_view name(field.key().data(), field.key().size());
    if (std::find(taken_.begin(), taken_.end(), name) != taken_.end()) continue;
    const std::string full = FullName(name.substr(0, kMostNameBytes));
    const std::vector<std::string> known(taken_.begin(), taken_.end());
    const std::string nearest = NearestName(name, known);
    return Fail(InvalidRequest(
        full, nearest.empty() ? fmt::format("Unknown field '{}'; remove it.", full)
                              : fmt::format("Unknown field '{}'; did you mean '{}'?", full, FullName(nearest))));
  }
}

}  // namespace tenfold::api
