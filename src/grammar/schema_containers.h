// Objects and arrays of a schema, as expressions; and what their members need of the schema compiler.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "grammar/json_parts.h"
#include "grammar/syntax.h"

namespace tenfold::grammar {

class SchemaCompiler {
 public:
  explicit SchemaCompiler(Syntax& syntax_in) : syntax(syntax_in), parts(syntax_in) {}
  virtual ~SchemaCompiler() = default;
  // The values that a schema inside the whole one allows.
  virtual Result<ExprId> Compile(const boost::json::value& schema, const std::string& path, int depth) = 0;

  Syntax& syntax;
  JsonParts parts;
};

// How often, as two keywords of a schema say.
struct Count {
  uint32_t min = 0;
  uint32_t max = kNoLimit;
};
Result<Count> ReadCount(const boost::json::object& schema, std::string_view min_name, std::string_view max_name,
                        const std::string& path);

// `schema` is flat: no $ref, allOf, anyOf, enum.
Result<ExprId> CompileObject(SchemaCompiler& compiler, const boost::json::object& schema, const std::string& path,
                             int depth);
Result<ExprId> CompileArray(SchemaCompiler& compiler, const boost::json::object& schema, const std::string& path,
                            int depth);

}  // namespace tenfold::grammar
