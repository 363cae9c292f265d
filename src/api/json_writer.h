// Writes JSON text piece by piece into one string.
//
// Why our own: answers are flat and written once per token; this builds no tree, prints 0.5 as 0.5, and replaces bytes
// that are not UTF-8, so that no token can make an answer that a client's parser refuses. Reading JSON is json_body.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenfold::api {

// Calls nest as the JSON does; commas come by themselves. Wrong nesting is the caller's bug and gives wrong JSON.
class JsonWriter {
 public:
  JsonWriter& BeginObject();
  JsonWriter& EndObject();
  JsonWriter& BeginArray();
  JsonWriter& EndArray();
  JsonWriter& Key(std::string_view name);
  JsonWriter& String(std::string_view utf8);        // invalid UTF-8 becomes U+FFFD
  JsonWriter& StringOrNull(std::string_view utf8);  // null when empty
  JsonWriter& Int(int64_t value);
  JsonWriter& Uint(uint64_t value);
  JsonWriter& Double(double value);  // shortest form that reads back; null when not finite
  JsonWriter& Bool(bool value);
  JsonWriter& Null();
  JsonWriter& Raw(std::string_view json);  // a complete value written elsewhere

  std::string Take() && { return std::move(out_); }

 private:
  void BeforeValue();
  void Escaped(std::string_view utf8);

  std::string out_;
  bool need_comma_ = false;
};

// How many bytes the UTF-8 character at the front of `bytes` has (1..4), or 0 when those bytes are no character.
int Utf8Length(std::string_view bytes);

}  // namespace tenfold::api
