// A subset of regular expressions as text inside a JSON string, for `pattern` and `format`.
//
// What it takes: characters, `.`, classes with ranges and ^, \d \w \s and their opposites, the escapes \n \r \t \f \v
// \0 \xHH \uHHHH and escaped punctuation, groups ( ) and (?: ), |, * + ? {m} {m,} {m,n} (a lazy `?` behind one changes
// nothing here), ^ at the beginning and $ at the end of an alternative. Without ^ or $ anything may stand before or
// behind, as JSON Schema has it. What it refuses by name: look-around, back references, named groups, \b, \B, \p, \k,
// \c, and ^ or $ elsewhere.
#pragma once

#include <string_view>

#include "base/result.h"
#include "grammar/json_parts.h"

namespace tenfold::grammar {

inline constexpr size_t kMaxPatternBytes = 4096;

// The characters between a string's quotes, escaped as JSON wants them. Needs UTF-8. kUnsupported names the construct,
// kInvalidArgument says what is wrong; both with the place.
Result<ExprId> RegexInString(std::string_view pattern, Syntax& syntax, JsonParts& parts);

// The pattern of a `format` ("date-time", "uuid", ...); empty for one that is not known.
std::string_view PatternOfFormat(std::string_view format);
// Their names with commas, for a refusal.
std::string_view KnownFormats();

}  // namespace tenfold::grammar
