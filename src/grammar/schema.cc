#include "grammar/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <cmath>
#include <deque>
#include <map>
#include <optional>

#include "grammar/json_parts.h"
#include "grammar/number_range.h"
#include "grammar/regex.h"
#include "grammar/schema_containers.h"
#include "grammar/schema_source.h"

namespace tenfold::grammar {
namespace {
namespace json = boost::json;

std::string_view View(const json::string& text) { return {text.data(), text.size()}; }

class Compiler : public SchemaCompiler {
 public:
  Compiler(Syntax& syntax, const json::value& root) : SchemaCompiler(syntax), source_(root) {}

  Result<ExprId> Run(const json::value& root) {
    TENFOLD_TRY(const ExprId whole, Compile(root, "#", 0));
    // What a $ref names is compiled when its turn comes, once, so references can be recursive and as many as they like.
    for (; !pending_.empty(); pending_.pop_front()) {
      const Pending& next = pending_.front();
      TENFOLD_TRY(const ExprId body, Compile(*next.schema, next.path, 0));
      syntax.DefineRule(next.rule, body);
    }
    return whole;
  }

  Result<ExprId> Compile(const json::value& schema, const std::string& path, int depth) override {
    if (depth > kMaxSchemaDepth) {
      return SchemaError(ErrorCode::kInvalidArgument, path,
                         fmt::format("the schema is nested deeper than {} levels", kMaxSchemaDepth));
    }
    TENFOLD_TRY_STATUS(source_.Spend(1, path));
    if (schema.is_object()) {
      const json::object& object = schema.get_object();
      const json::value* reference = object.if_contains("$ref");
      const bool only_reference = reference != nullptr && reference->is_string() &&
                                  std::all_of(object.begin(), object.end(), [](const auto& field) {
                                    return field.key() == "$ref" || IsNote({field.key().data(), field.key().size()});
                                  });
      if (only_reference) return Reference(View(reference->get_string()), path);
    }
    TENFOLD_TRY(const json::object flat, source_.Flatten(schema, path, 0));
    for (const std::string_view keyword : {"anyOf", "oneOf"}) {
      if (flat.contains(keyword)) return Alternatives(flat, keyword, path, depth);
    }
    std::vector<json::value> values;
    if (ListedValues(flat, &values)) return Listed(flat, values, path);
    return OfTypes(flat, path, depth);
  }

 private:
  struct Pending {
    const json::value* schema;
    std::string path;
    RuleId rule;
  };

  Result<ExprId> Reference(std::string_view reference, const std::string& path) {
    const auto known = references_.find(reference);
    if (known != references_.end()) return syntax.Reference(known->second);
    TENFOLD_TRY(const json::value* target, source_.Resolve(reference, path));
    const RuleId rule = syntax.DeclareRule(std::string(reference.substr(0, 100)));
    references_.emplace(reference, rule);
    pending_.push_back({target, std::string(reference.substr(0, 100)), rule});
    return syntax.Reference(rule);
  }

  Result<ExprId> Alternatives(const json::object& flat, std::string_view keyword, const std::string& path, int depth) {
    const json::value& list = flat.at(keyword);
    if (!list.is_array() || list.get_array().empty()) {
      return SchemaError(ErrorCode::kInvalidArgument, path, fmt::format("'{}' must be an array of schemas", keyword));
    }
    const json::array& options = list.get_array();
    json::object rest = flat;
    rest.erase(keyword);
    const bool alone = std::all_of(rest.begin(), rest.end(), [](const auto& field) {
      return IsNote({field.key().data(), field.key().size()});
    });
    if (keyword == "oneOf") TENFOLD_TRY_STATUS(CheckExclusive(options, path));
    std::vector<ExprId> out;
    for (size_t i = 0; i < options.size(); ++i) {
      const std::string option_path = fmt::format("{}/{}/{}", path, keyword, i);
      if (alone) {
        TENFOLD_TRY(const ExprId option, Compile(options[i], option_path, depth + 1));
        out.push_back(option);
        continue;
      }
      TENFOLD_TRY(const json::object flat_option, source_.Flatten(options[i], option_path, 0));
      TENFOLD_TRY(json::object merged, source_.Merge(rest, flat_option, option_path));
      TENFOLD_TRY(const ExprId option, Compile(json::value(std::move(merged)), option_path, depth + 1));
      out.push_back(option);
    }
    return syntax.Choice(std::move(out));
  }

  Status CheckExclusive(const json::array& options, const std::string& path) {
    for (size_t i = 0; i < options.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        TENFOLD_TRY(const bool exclude, source_.Exclude(options[j], options[i], path, 0));
        if (exclude) continue;
        return SchemaError(
            ErrorCode::kUnsupported, path,
            fmt::format("alternatives {} and {} of 'oneOf' may allow the same value; use 'anyOf', or give "
                        "them different types or a required property with different 'const'",
                        j, i));
      }
    }
    return {};
  }

  Result<ExprId> Listed(const json::object& flat, const std::vector<json::value>& values, const std::string& path) {
    for (const auto& field : flat) {
      const std::string_view name(field.key().data(), field.key().size());
      if (name == "enum" || name == "const" || name == "type" || IsNote(name)) continue;
      return SchemaError(
          ErrorCode::kUnsupported, path,
          fmt::format("'{}' beside 'enum' or 'const' is not supported; leave out the values it excludes", name));
    }
    std::vector<std::string> types;
    if (flat.contains("type")) {
      TENFOLD_TRY(types, source_.Types(flat, path));
    }
    std::vector<ExprId> options;
    for (const json::value& value : values) {
      const bool fits = types.empty() || std::any_of(types.begin(), types.end(),
                                                     [&](const std::string& type) { return TypeAllows(type, value); });
      if (fits) options.push_back(parts.Exactly(value));
    }
    if (options.empty()) {
      return SchemaError(ErrorCode::kInvalidArgument, path, "no value of 'enum' or 'const' fits everything else");
    }
    return syntax.Choice(std::move(options));
  }

  Result<ExprId> OfTypes(const json::object& flat, const std::string& path, int depth) {
    TENFOLD_TRY(const std::vector<std::string> types, source_.Types(flat, path));
    const bool says_nothing = std::all_of(flat.begin(), flat.end(), [](const auto& field) {
      return IsNote({field.key().data(), field.key().size()});
    });
    if (says_nothing) return parts.Value();
    std::vector<ExprId> options;
    for (const std::string& type : types) {
      TENFOLD_TRY(const ExprId option, OfType(type, flat, path, depth));
      options.push_back(option);
    }
    return syntax.Choice(std::move(options));
  }

  Result<ExprId> OfType(const std::string& type, const json::object& flat, const std::string& path, int depth) {
    if (type == "object") return CompileObject(*this, flat, path, depth);
    if (type == "array") return CompileArray(*this, flat, path, depth);
    if (type == "string") return OfString(flat, path);
    if (type == "number" || type == "integer") return OfNumber(type, flat, path);
    if (type == "boolean") return syntax.Choice({syntax.Literal("true"), syntax.Literal("false")});
    return syntax.Literal("null");
  }

  Result<ExprId> OfString(const json::object& flat, const std::string& path) {
    TENFOLD_TRY(const Count length, ReadCount(flat, "minLength", "maxLength", path));
    const json::value* pattern = flat.if_contains("pattern");
    const json::value* format = flat.if_contains("format");
    for (const auto& [value, name] : {std::pair(pattern, "pattern"), std::pair(format, "format")}) {
      if (value != nullptr && !value->is_string()) {
        return SchemaError(ErrorCode::kInvalidArgument, path, fmt::format("'{}' must be a string", name));
      }
    }
    if (pattern == nullptr && format == nullptr) return parts.String(length.min, length.max);
    if ((pattern != nullptr && format != nullptr) || length.min != 0 || length.max != kNoLimit) {
      return SchemaError(ErrorCode::kUnsupported, path,
                         fmt::format("'{}' together with 'minLength', 'maxLength' or the other of 'pattern' and "
                                     "'format' is not supported; say it all in one pattern",
                                     pattern != nullptr ? "pattern" : "format"));
    }
    std::string_view regex = pattern != nullptr ? View(pattern->get_string()) : std::string_view();
    if (format != nullptr) {
      regex = PatternOfFormat(View(format->get_string()));
      if (regex.empty()) {
        return SchemaError(
            ErrorCode::kUnsupported, path,
            fmt::format("the 'format' {} is not supported; these are: {}",
                        CompactJson(json::value(View(format->get_string()).substr(0, 50))), KnownFormats()));
      }
    }
    const Result<ExprId> content = RegexInString(regex, syntax, parts);
    if (!content.ok()) return SchemaError(content.error().code, path, content.error().message);
    const ExprId quote = syntax.Literal("\"");
    return syntax.Sequence({quote, *content, quote});
  }

  Result<ExprId> OfNumber(const std::string& type, const json::object& flat, const std::string& path) {
    std::optional<NumberBound> low;
    std::optional<NumberBound> high;
    for (const std::string_view name : {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}) {
      const json::value* value = flat.if_contains(name);
      if (value == nullptr) continue;
      if (!value->is_number()) {
        return SchemaError(ErrorCode::kInvalidArgument, path, fmt::format("'{}' must be a number", name));
      }
      const NumberBound bound{value->to_number<double>(), name.starts_with("exclusive")};
      std::optional<NumberBound>& side = name.ends_with("inimum") ? low : high;
      const bool tighter = !side || (&side == &low ? bound.value > side->value : bound.value < side->value) ||
                           (bound.value == side->value && bound.exclusive);
      if (tighter) side = bound;
    }
    if (!low && !high) return type == "integer" ? parts.Integer() : parts.Number();
    const Result<ExprId> range = type == "integer" ? IntegerRange(syntax, LowestInteger(low), HighestInteger(high))
                                                   : NumberRange(syntax, low, high);
    if (!range.ok()) return SchemaError(range.error().code, path, range.error().message);
    return *range;
  }

  // Far beyond what IntegerRange keeps, and safe to convert.
  static double Clamp(double value) { return std::clamp(value, -1e17, 1e17); }
  static std::optional<int64_t> LowestInteger(const std::optional<NumberBound>& low) {
    if (!low) return std::nullopt;
    const auto at = static_cast<int64_t>(std::ceil(Clamp(low->value)));
    return low->exclusive && static_cast<double>(at) == low->value ? at + 1 : at;
  }
  static std::optional<int64_t> HighestInteger(const std::optional<NumberBound>& high) {
    if (!high) return std::nullopt;
    const auto at = static_cast<int64_t>(std::floor(Clamp(high->value)));
    return high->exclusive && static_cast<double>(at) == high->value ? at - 1 : at;
  }

  SchemaSource source_;
  std::map<std::string, RuleId, std::less<>> references_;
  std::deque<Pending> pending_;
};

}  // namespace

Result<ExprId> AddSchema(Syntax& syntax, const json::value& schema) { return Compiler(syntax, schema).Run(schema); }

ExprId AddJsonObject(Syntax& syntax) { return JsonParts(syntax).Object(); }

ExprId AddJsonValue(Syntax& syntax) { return JsonParts(syntax).Value(); }

}  // namespace tenfold::grammar
