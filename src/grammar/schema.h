// JSON schemas as grammars: what they say a value may be becomes what a model can say.
//
// A grammar made here allows only values that the schema allows, and where it allows fewer, that is said below. What it
// does not implement it refuses by keyword and place, as a JSON pointer into the schema.
//
//   objects   properties come in the order of the schema, each at most once. additionalProperties: absent means none
//             beside `properties`, and any where there are no `properties`; true or a schema: any number after the
//             declared ones, with keys that hold no escapes. minProperties and maxProperties on maps.
//   arrays    items, prefixItems (absent `items` then means none), minItems, maxItems; uniqueItems only as false
//   strings   minLength and maxLength in characters; pattern (grammar/regex.h has the subset) or format (the known
//   ones) numbers   minimum, maximum, exclusiveMinimum, exclusiveMaximum. Integers have at most 15 digits, numbers with
//   bounds
//             no exponent (grammar/json_parts.h has the rest)
//   choices   enum, const, type lists, anyOf; oneOf where the alternatives exclude each other by type, by const or
//   enum,
//             or by such a property; allOf, and keywords beside $ref or anyOf, where they can be merged
//   $ref      "#" and "#/..." anywhere in the schema, recursive ones too
//
// title, description, default, examples, deprecated, readOnly, writeOnly, $schema, $id and $comment are notes, and
// $defs and definitions only hold what $ref names.
#pragma once

#include <boost/json/value.hpp>

#include "base/result.h"
#include "grammar/syntax.h"

namespace tenfold::grammar {

inline constexpr int kMaxSchemaDepth = 64;
inline constexpr int64_t kMaxSchemaWork = 200'000;  // JSON values looked at or copied while merging

// The values that the schema allows. kUnsupported names the keyword that is not implemented, kInvalidArgument what
// contradicts itself; both begin with where. `schema` is only read during the call.
Result<ExprId> AddSchema(Syntax& syntax, const boost::json::value& schema);

// Any JSON object, any JSON value.
ExprId AddJsonObject(Syntax& syntax);
ExprId AddJsonValue(Syntax& syntax);

}  // namespace tenfold::grammar
