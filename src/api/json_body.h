// Reads a request body: bytes from a stranger to a JSON object, then field by field with names in every refusal.
//
// What it does: syntax, depth, UTF-8, types, ranges, unknown names. What it does not: know any route's fields.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/api_error.h"

namespace tenfold::api {

inline constexpr size_t kMaxJsonDepth = 32;

// The body must be one JSON object, valid UTF-8, at most kMaxJsonDepth deep, no key twice in one object. Pure, any
// thread.
Parsed<boost::json::object> ParseObject(std::string_view body);

// What kind of JSON value this is, for a sentence: "a string", "an array", "null".
std::string_view KindName(const boost::json::value& value);

// Takes the fields of one object, remembers the first thing wrong, and at the end refuses what nobody took.
// JSON null counts as absent, as OpenAI's clients expect. After a failure all further calls do nothing.
class FieldReader {
 public:
  // `prefix` goes in front of names in messages: "stream_options." for a nested object. `object` must outlive this.
  explicit FieldReader(const boost::json::object& object, std::string prefix = "");

  // The value, or null when absent; from now on the name is known.
  const boost::json::value* Take(std::string_view name);

  // Each leaves *out alone when the field is absent.
  void Bool(std::string_view name, bool* out);
  void String(std::string_view name, std::string* out);
  void Number(std::string_view name, double low, double high, double* out);
  void Integer(std::string_view name, int64_t low, int64_t high, int64_t* out);
  void Integer(std::string_view name, int64_t low, int64_t high, std::optional<int64_t>* out);

  // Refuses every field that no call above named.
  void RefuseRest();

  void Fail(ApiError error);
  void FailInvalid(std::string_view name, std::string_view what_is_expected, const boost::json::value& got);
  bool failed() const { return error_.has_value(); }
  const ApiError& error() const { return *error_; }
  std::string FullName(std::string_view name) const;

 private:
  const boost::json::object& object_;
  std::string prefix_;
  std::vector<std::string_view> taken_;
  std::optional<ApiError> error_;
};

// The value as an integer when it is one: 10 and 10.0, but not 10.5 or "10".
std::optional<int64_t> AsInteger(const boost::json::value& value);

}  // namespace tenfold::api
