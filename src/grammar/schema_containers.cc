#include "grammar/schema_containers.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/string.hpp>
#include <cmath>
#include <map>
#include <optional>
#include <vector>

#include "grammar/schema_source.h"

namespace tenfold::grammar {
namespace {
namespace json = boost::json;

constexpr size_t kMaxNameBytes = 256;  // of a property beside which others are allowed

Result<std::optional<uint32_t>> ReadBound(const json::object& schema, std::string_view name, const std::string& path) {
  const json::value* value = schema.if_contains(name);
  if (value == nullptr) return std::optional<uint32_t>();
  const double number = value->is_number() ? value->to_number<double>() : -1;
  if (number < 0 || number != std::floor(number)) {
    return SchemaError(ErrorCode::kInvalidArgument, path, fmt::format("'{}' must be an integer of at least 0", name));
  }
  if (number > kMaxRepetition) {
    return SchemaError(ErrorCode::kInvalidArgument, path, fmt::format("'{}' must be at most {}", name, kMaxRepetition));
  }
  return std::optional<uint32_t>(static_cast<uint32_t>(number));
}

struct Property {
  std::string name;
  const json::value* schema = nullptr;
  bool required = false;
};

// What is not spoken for: any value.
const json::value& AnySchema() {
  static const json::value any(true);
  return any;
}

class ObjectCompiler {
 public:
  ObjectCompiler(SchemaCompiler& compiler, const json::object& schema, const std::string& path, int depth)
      : c_(compiler), s_(compiler.syntax), schema_(schema), path_(path), depth_(depth) {}

  Result<ExprId> Run() {
    TENFOLD_TRY_STATUS(ReadAdditional());
    TENFOLD_TRY_STATUS(ReadProperties());
    TENFOLD_TRY_STATUS(ReadRequired());
    TENFOLD_TRY(const Count count, ReadCount(schema_, "minProperties", "maxProperties", path_));
    const bool is_map = properties_.empty() && additional_ != nullptr;
    const auto required =
        std::count_if(properties_.begin(), properties_.end(), [](const Property& p) { return p.required; });
    if (is_map ? count.min > 1 : count.min > required) {
      return SchemaError(ErrorCode::kUnsupported, path_,
                         "'minProperties' above 1, or above the number of required properties, is not supported; "
                         "require properties by name");
    }
    const bool in_reach = additional_ != nullptr || count.max < properties_.size();
    if (!is_map && count.max != kNoLimit && in_reach) {
      return SchemaError(ErrorCode::kUnsupported, path_,
                         "'maxProperties' that 'properties' can reach is not supported; leave out what must not come");
    }
    TENFOLD_TRY(const ExprId members, is_map ? Map(count) : Members());
    return s_.Sequence({s_.Literal("{"), c_.parts.Space(), members, s_.Literal("}")});
  }

 private:
  Status ReadAdditional() {
    const json::value* additional = schema_.if_contains("additionalProperties");
    const bool closed = schema_.contains("properties");
    if (additional == nullptr) {
      additional_ = closed ? nullptr : &AnySchema();
    } else if (!additional->is_bool() || additional->get_bool()) {
      additional_ = additional;
    }
    excludes_others_ = additional != nullptr && additional_ == nullptr;
    return {};
  }

  Status ReadProperties() {
    const json::value* properties = schema_.if_contains("properties");
    if (properties == nullptr) return {};
    if (!properties->is_object()) {
      return SchemaError(ErrorCode::kInvalidArgument, path_, "'properties' must be an object of schemas");
    }
    for (const auto& field : properties->get_object()) {
      properties_.push_back({{field.key().data(), field.key().size()}, &field.value(), false});
      if (additional_ != nullptr && field.key().size() > kMaxNameBytes) {
        return SchemaError(ErrorCode::kUnsupported, path_,
                           fmt::format("a property name of more than {} bytes beside 'additionalProperties' is not "
                                       "supported",
                                       kMaxNameBytes));
      }
    }
    return {};
  }

  // A required name that `properties` does not have falls under additionalProperties and comes last.
  Status ReadRequired() {
    const json::value* required = schema_.if_contains("required");
    if (required == nullptr) return {};
    if (!required->is_array()) return SchemaError(ErrorCode::kInvalidArgument, path_, kRequiredIsArray);
    std::map<std::string, size_t, std::less<>> index;
    for (size_t i = 0; i < properties_.size(); ++i) index.emplace(properties_[i].name, i);
    for (const json::value& name : required->get_array()) {
      if (!name.is_string()) return SchemaError(ErrorCode::kInvalidArgument, path_, kRequiredIsArray);
      const std::string text(name.get_string().data(), name.get_string().size());
      const auto [it, is_new] = index.emplace(text, properties_.size());
      if (is_new) {
        if (excludes_others_) {
          return SchemaError(
              ErrorCode::kInvalidArgument, path_,
              fmt::format("'required' names '{}', which 'additionalProperties' excludes", text.substr(0, 100)));
        }
        properties_.push_back({text, additional_ != nullptr ? additional_ : &AnySchema(), false});
      }
      properties_[it->second].required = true;
    }
    return {};
  }

  Result<ExprId> Field(const Property& property) {
    const std::string below = Below(path_ + "/properties", property.name);
    TENFOLD_TRY(const ExprId value, c_.Compile(*property.schema, below, depth_ + 1));
    const std::string key = CompactJson(json::value(property.name)) + ":";
    return s_.NamedRule(below, s_.Sequence({s_.Literal(key), c_.parts.ColonSpace(), value}));
  }

  Result<ExprId> AdditionalField() {
    std::vector<std::string> names;
    for (const Property& property : properties_) names.push_back(property.name);
    TENFOLD_TRY(const ExprId value, c_.Compile(*additional_, path_ + "/additionalProperties", depth_ + 1));
    const ExprId key = names.empty() ? c_.parts.String(0, kNoLimit) : c_.parts.StringExcept(names);
    return s_.NamedRule("a field", s_.Sequence({key, s_.Literal(":"), c_.parts.ColonSpace(), value}));
  }

  ExprId AfterComma(ExprId field) { return s_.Sequence({c_.parts.Comma(), field}); }

  Result<ExprId> Map(const Count& count) {
    if (count.max == 0) return s_.Empty();
    TENFOLD_TRY(const ExprId field, AdditionalField());
    const uint32_t more = count.max == kNoLimit ? kNoLimit : count.max - 1;
    const ExprId all = s_.Sequence({field, s_.Repeat(AfterComma(field), 0, more), c_.parts.Space()});
    return count.min == 0 ? s_.Optional(all) : all;
  }

  // From the last property to the first: what may follow when something stands before it, and when nothing does.
  Result<ExprId> Members() {
    ExprId after = c_.parts.Space();
    ExprId first = s_.Empty();
    if (additional_ != nullptr) {
      TENFOLD_TRY(const ExprId field, AdditionalField());
      const ExprId more = s_.Repeat(AfterComma(field), 0, kNoLimit);
      after = s_.Sequence({more, c_.parts.Space()});
      first = s_.Optional(s_.Sequence({field, after}));
    }
    for (size_t i = properties_.size(); i-- > 0;) {
      const bool required = properties_[i].required;
      TENFOLD_TRY(const ExprId field, Field(properties_[i]));
      const ExprId rest = s_.NamedRule(path_, after);
      const ExprId begins = s_.Sequence({field, rest});
      first = required ? begins : s_.Choice({begins, s_.NamedRule(path_, first)});
      const ExprId next = AfterComma(field);
      after = s_.Sequence({required ? next : s_.Optional(next), rest});
    }
    return first;
  }

  static constexpr std::string_view kRequiredIsArray = "'required' must be an array of property names";

  SchemaCompiler& c_;
  Syntax& s_;
  const json::object& schema_;
  const std::string& path_;
  const int depth_;
  std::vector<Property> properties_;
  const json::value* additional_ = nullptr;  // null: no properties but the declared ones
  bool excludes_others_ = false;             // and the schema says so
};

}  // namespace

Result<Count> ReadCount(const json::object& schema, std::string_view min_name, std::string_view max_name,
                        const std::string& path) {
  TENFOLD_TRY(const std::optional<uint32_t> min, ReadBound(schema, min_name, path));
  TENFOLD_TRY(const std::optional<uint32_t> max, ReadBound(schema, max_name, path));
  const Count count{min.value_or(0), max.value_or(kNoLimit)};
  if (count.min > count.max) {
    return SchemaError(ErrorCode::kInvalidArgument, path, fmt::format("'{}' is above '{}'", min_name, max_name));
  }
  return count;
}

Result<ExprId> CompileObject(SchemaCompiler& compiler, const json::object& schema, const std::string& path, int depth) {
  return ObjectCompiler(compiler, schema, path, depth).Run();
}

Result<ExprId> CompileArray(SchemaCompiler& compiler, const json::object& schema, const std::string& path, int depth) {
  Syntax& s = compiler.syntax;
  JsonParts& parts = compiler.parts;
  const json::value* unique = schema.if_contains("uniqueItems");
  if (unique != nullptr && (!unique->is_bool() || unique->get_bool())) {
    return SchemaError(ErrorCode::kUnsupported, path, "'uniqueItems' is not supported; remove it");
  }
  TENFOLD_TRY(const Count count, ReadCount(schema, "minItems", "maxItems", path));
  const json::value* prefix = schema.if_contains("prefixItems");
  const json::value* items = schema.if_contains("items");
  if (items != nullptr && items->is_array()) {
    return SchemaError(ErrorCode::kUnsupported, path, "'items' as an array is not supported; call it 'prefixItems'");
  }
  if (prefix != nullptr && !prefix->is_array()) {
    return SchemaError(ErrorCode::kInvalidArgument, path, "'prefixItems' must be an array of schemas");
  }
  std::vector<ExprId> fixed;
  for (size_t i = 0; prefix != nullptr && i < prefix->get_array().size() && i < count.max; ++i) {
    const std::string below = fmt::format("{}/prefixItems/{}", path, i);
    TENFOLD_TRY(const ExprId item, compiler.Compile(prefix->get_array()[i], below, depth + 1));
    fixed.push_back(item);
  }
  const auto size = static_cast<uint32_t>(fixed.size());
  const bool none_more = items != nullptr ? items->is_bool() && !items->get_bool() : size > 0 && count.min <= size;
  if (none_more && count.min > size) {
    return SchemaError(ErrorCode::kInvalidArgument, path, "'minItems' is more than 'prefixItems' and 'items' allow");
  }
  const ExprId open = s.Sequence({s.Literal("["), parts.Space()});
  const ExprId close = s.Literal("]");
  // What may follow all fixed items; `first` when there are none.
  ExprId after = s.Empty();
  ExprId first = s.Empty();
  if (!none_more && count.max > size) {
    TENFOLD_TRY(const ExprId value,
                compiler.Compile(items != nullptr ? *items : AnySchema(), path + "/items", depth + 1));
    const ExprId item = s.NamedRule(path + "/items", value);
    const ExprId next = s.Sequence({parts.Comma(), item});
    const uint32_t min = count.min > size ? count.min - size : 0;
    const uint32_t max = count.max == kNoLimit ? kNoLimit : count.max - size;
    after = s.Repeat(next, min, max);
    first = s.Sequence({item, s.Repeat(next, min == 0 ? 0 : min - 1, max == kNoLimit ? kNoLimit : max - 1)});
  } else if (size == 0) {
    return s.Sequence({open, close});
  }
  for (uint32_t i = size; i-- > 0;) {
    const ExprId rest = s.NamedRule(path, after);
    first = s.Sequence({fixed[i], rest});
    const ExprId next = s.Sequence({parts.Comma(), fixed[i], rest});
    after = i >= count.min ? s.Optional(next) : next;
  }
  const ExprId filled = s.Sequence({first, parts.Space()});
  return s.Sequence({open, count.min == 0 ? s.Optional(filled) : filled, close});
}

}  // namespace tenfold::grammar
