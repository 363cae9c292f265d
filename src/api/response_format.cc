#include "api/response_format.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>

namespace tenfold::api {
namespace {
namespace json = boost::json;

using Kind = OutputFormat::Kind;

void SetSchema(FieldReader& reader, std::string_view name, const json::value& schema, OutputFormat* out) {
  if (!schema.is_object() && !schema.is_bool()) return reader.FailInvalid(name, "a JSON schema", schema);
  out->kind = Kind::kJsonSchema;
  out->text = json::serialize(schema);
}

// OpenAI's {"name", "description", "schema", "strict"}; all but the schema are for people.
void ReadNamedSchema(FieldReader& format, const json::value& value, OutputFormat* out) {
  if (!value.is_object()) return format.FailInvalid("json_schema", "an object", value);
  FieldReader named(value.get_object(), format.FullName("json_schema") + ".");
  std::string ignored;
  bool strict = false;
  named.String("name", &ignored);
  named.String("description", &ignored);
  named.Bool("strict", &strict);
  if (const json::value* schema = named.Take("schema")) {
    SetSchema(named, "schema", *schema, out);
  } else if (!named.failed()) {
    named.Fail(InvalidRequest(named.FullName("schema"), fmt::format("'{}' is missing.", named.FullName("schema"))));
  }
  named.RefuseRest();
  if (named.failed()) format.Fail(named.error());
}

void ReadFormat(FieldReader& reader, const json::value& value, OutputFormat* out) {
  if (!value.is_object()) return reader.FailInvalid("response_format", "an object", value);
  FieldReader format(value.get_object(), "response_format.");
  std::string type;
  format.String("type", &type);
  const json::value* schema = type == "text" ? nullptr : format.Take("schema");
  if (type == "json_schema") {
    const json::value* named = format.Take("json_schema");
    if (named != nullptr && schema != nullptr) {
      format.Fail(InvalidRequest("response_format.schema",
                                 "'response_format' has a 'schema' and a 'json_schema'; send one of them."));
    } else if (named != nullptr) {
      ReadNamedSchema(format, *named, out);
    } else if (schema != nullptr) {
      SetSchema(format, "schema", *schema, out);
    } else if (!format.failed()) {
      format.Fail(InvalidRequest("response_format.json_schema", "'response_format.json_schema' is missing."));
    }
  } else if (type == "json_object") {
    out->kind = Kind::kJsonObject;
    if (schema != nullptr) SetSchema(format, "schema", *schema, out);
  } else if (type != "text" && !format.failed()) {
    format.Fail(InvalidRequest("response_format.type",
                               "'response_format.type' must be \"text\", \"json_object\" or \"json_schema\"."));
  }
  format.RefuseRest();
  if (format.failed()) reader.Fail(format.error());
}

}  // namespace

void ReadOutputFormat(FieldReader& reader, OutputFormat* out) {
  const json::value* format = reader.Take("response_format");
  const json::value* schema = reader.Take("json_schema");
  std::string grammar;
  reader.String("grammar", &grammar);
  if (reader.failed()) return;
  if (format != nullptr) {
    ReadFormat(reader, *format, out);
    if (reader.failed()) return;
    if (out->kind != Kind::kText) out->field = "response_format";
  }
  const auto refuse_second = [&](const std::string& name) {
    reader.Fail(
        InvalidRequest(name, fmt::format("'{}' and '{}' cannot be combined; send one of them.", out->field, name)));
  };
  if (schema != nullptr) {
    if (!out->field.empty()) return refuse_second("json_schema");
    SetSchema(reader, "json_schema", *schema, out);
    out->field = "json_schema";
  }
  if (!grammar.empty()) {
    if (!out->field.empty()) return refuse_second("grammar");
    *out = {Kind::kGrammar, std::move(grammar), "grammar"};
  }
}

}  // namespace tenfold::api
