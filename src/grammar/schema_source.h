// A schema's text as the compiler reads it: references followed, allOf merged, unknown keywords refused.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tenfold::grammar {

// The names of types; integers are numbers, too.
inline constexpr std::string_view kJsonTypes[] = {"object", "array", "string", "number", "integer", "boolean", "null"};

// True for title, description, $defs and the like: they do not say what a value may be.
bool IsNote(std::string_view keyword);

// "#/properties/a: message".
Error SchemaError(ErrorCode code, const std::string& path, std::string_view message);

// Used on one thread; `root` must outlive it.
class SchemaSource {
 public:
  explicit SchemaSource(const boost::json::value& root) : root_(root) {}

  // Where "#/..." leads.
  Result<const boost::json::value*> Resolve(std::string_view reference, const std::string& path) const;
  // Refuses keywords that are not implemented.
  Status CheckKeywords(const boost::json::object& schema, const std::string& path) const;
  // The same schema without $ref and allOf at its top: all parts merged into one. `schema` may be true.
  Result<boost::json::object> Flatten(const boost::json::value& schema, const std::string& path, int depth);
  // What both allow, for flattened schemas; kUnsupported where that is no simple schema.
  Result<boost::json::object> Merge(const boost::json::object& a, const boost::json::object& b,
                                    const std::string& path);
  // Types that the schema's `type` names, or the ones that its keywords are about, or all.
  Result<std::vector<std::string>> Types(const boost::json::object& schema, const std::string& path) const;
  // No value is allowed by both, and a look at types, enum, const and such properties tells.
  Result<bool> Exclude(const boost::json::value& a, const boost::json::value& b, const std::string& path, int depth);

  // Charges for what was looked at; an error once it is too much.
  Status Spend(int64_t work, const std::string& path);

 private:
  Status MergeKeyword(std::string_view keyword, const boost::json::value& other, boost::json::object& into,
                      const std::string& path) const;

  const boost::json::value& root_;
  int64_t spent_ = 0;
};

// The values of const and enum, those in both where there are both; false: the schema has neither.
bool ListedValues(const boost::json::object& schema, std::vector<boost::json::value>* out);
// What `type` calls the value: "integer" for whole numbers, "number" for others.
std::string_view TypeOf(const boost::json::value& value);
bool TypeAllows(std::string_view type, const boost::json::value& value);

// path + "/" + key, escaped as JSON pointers are.
std::string Below(const std::string& path, std::string_view key);

}  // namespace tenfold::grammar
