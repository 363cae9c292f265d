#include "grammar/schema_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/string.hpp>
#include <cmath>

#include "grammar/schema.h"

namespace tenfold::grammar {
namespace {
namespace json = boost::json;

constexpr std::string_view kNotes[] = {"title",     "description", "default", "examples", "deprecated", "readOnly",
                                       "writeOnly", "$schema",     "$id",     "$comment", "$defs",      "definitions"};

struct Keyword {
  std::string_view name;
  std::string_view type;  // it speaks about; "" for any
};
constexpr Keyword kKeywords[] = {
    {"type", ""},
    {"enum", ""},
    {"const", ""},
    {"anyOf", ""},
    {"oneOf", ""},
    {"allOf", ""},
    {"$ref", ""},
    {"properties", "object"},
    {"required", "object"},
    {"additionalProperties", "object"},
    {"minProperties", "object"},
    {"maxProperties", "object"},
    {"items", "array"},
    {"prefixItems", "array"},
    {"minItems", "array"},
    {"maxItems", "array"},
    {"uniqueItems", "array"},
    {"minLength", "string"},
    {"maxLength", "string"},
    {"pattern", "string"},
    {"format", "string"},
    {"minimum", "number"},
    {"maximum", "number"},
    {"exclusiveMinimum", "number"},
    {"exclusiveMaximum", "number"},
};
constexpr std::string_view kLowerBounds[] = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"};
constexpr std::string_view kUpperBounds[] = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"};

template <class List>
bool Contains(const List& list, std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

std::string_view View(const json::string& text) { return {text.data(), text.size()}; }

// A stranger's text for a message.
std::string Cut(std::string_view text) { return std::string(text.substr(0, 100)); }

int64_t CountValues(const json::value& value) {
  int64_t count = 1;
  if (value.is_array()) {
    for (const json::value& item : value.get_array()) count += CountValues(item);
  } else if (value.is_object()) {
    for (const auto& field : value.get_object()) count += CountValues(field.value());
  }
  return count;
}

json::object BothOf(const json::value& a, const json::value& b) { return {{"allOf", json::array{a, b}}}; }

// "~1" is "/", "~0" is "~", "%41" is "A".
std::string UnescapePointer(std::string_view token) {
  std::string out;
  const auto hex = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
  };
  for (size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '~' && i + 1 < token.size() && (token[i + 1] == '0' || token[i + 1] == '1')) {
      out += token[++i] == '0' ? '~' : '/';
    } else if (token[i] == '%' && i + 2 < token.size() && hex(token[i + 1]) >= 0 && hex(token[i + 2]) >= 0) {
      out += static_cast<char>(hex(token[i + 1]) * 16 + hex(token[i + 2]));
      i += 2;
    } else {
      out += token[i];
    }
  }
  return out;
}

// A property that only one side declares falls under the other's additionalProperties.
Status CheckClosed(const json::object& closed, const json::object& other, const std::string& path) {
  const json::value* additional = closed.if_contains("additionalProperties");
  const bool open = additional == nullptr || (additional->is_bool() && additional->get_bool());
  const json::value* properties = other.if_contains("properties");
  if (open || properties == nullptr || !properties->is_object()) return {};
  const json::value* own = closed.if_contains("properties");
  for (const auto& field : properties->get_object()) {
    if (own != nullptr && own->is_object() && own->get_object().contains(field.key())) continue;
    return SchemaError(ErrorCode::kUnsupported, path,
                       fmt::format("'additionalProperties' of one part excludes property '{}' of another part; state "
                                   "it once, beside all properties",
                                   Cut({field.key().data(), field.key().size()})));
  }
  return {};
}

}  // namespace

bool IsNote(std::string_view keyword) { return Contains(kNotes, keyword); }

std::string Below(const std::string& path, std::string_view key) {
  std::string out = path + "/";
  for (const char c : key.substr(0, 100)) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

Error SchemaError(ErrorCode code, const std::string& path, std::string_view message) {
  return {code, fmt::format("{}: {}", path, message)};
}

std::string_view TypeOf(const json::value& value) {
  if (value.is_object()) return "object";
  if (value.is_array()) return "array";
  if (value.is_string()) return "string";
  if (value.is_bool()) return "boolean";
  if (value.is_null()) return "null";
  if (!value.is_double()) return "integer";
  return value.get_double() == std::floor(value.get_double()) ? "integer" : "number";
}

bool TypeAllows(std::string_view type, const json::value& value) {
  const std::string_view is = TypeOf(value);
  return type == is || (type == "number" && is == "integer");
}

bool ListedValues(const json::object& schema, std::vector<json::value>* out) {
  const json::value* constant = schema.if_contains("const");
  const json::value* list = schema.if_contains("enum");
  if (list != nullptr && list->is_array()) {
    for (const json::value& value : list->get_array()) {
      if (constant == nullptr || *constant == value) out->push_back(value);
    }
    return true;
  }
  if (constant != nullptr) out->push_back(*constant);
  return constant != nullptr;
}

Status SchemaSource::Spend(int64_t work, const std::string& path) {
  spent_ += work;
  if (spent_ <= kMaxSchemaWork) return {};
  return SchemaError(ErrorCode::kInvalidArgument, path, "the schema is too large, or its parts are merged too often");
}

Result<const json::value*> SchemaSource::Resolve(std::string_view reference, const std::string& path) const {
  if (reference.empty() || reference[0] != '#' || (reference.size() > 1 && reference[1] != '/')) {
    return SchemaError(
        ErrorCode::kUnsupported, path,
        fmt::format("$ref '{}' leaves the schema; only \"#\" and \"#/...\" are supported", Cut(reference)));
  }
  const json::value* at = &root_;
  for (std::string_view rest = reference.substr(1); !rest.empty();) {
    rest.remove_prefix(1);
    const std::string token = UnescapePointer(rest.substr(0, rest.find('/')));
    rest.remove_prefix(std::min(rest.find('/'), rest.size()));
    const json::value* next = nullptr;
    if (at->is_object()) {
      next = at->get_object().if_contains(token);
    } else if (at->is_array() && !token.empty() && token.size() < 9 &&
               token.find_first_not_of("0123456789") == std::string::npos) {
      next = at->get_array().if_contains(static_cast<size_t>(std::stoul(token)));
    }
    if (next == nullptr) {
      return SchemaError(ErrorCode::kInvalidArgument, path, fmt::format("$ref '{}' leads nowhere", Cut(reference)));
    }
    at = next;
  }
  return at;
}

Status SchemaSource::CheckKeywords(const json::object& schema, const std::string& path) const {
  for (const auto& field : schema) {
    const std::string_view name(field.key().data(), field.key().size());
    const auto is_name = [&](const Keyword& keyword) { return keyword.name == name; };
    if (IsNote(name) || std::any_of(std::begin(kKeywords), std::end(kKeywords), is_name)) continue;
    return SchemaError(ErrorCode::kUnsupported, path,
                       fmt::format("the schema keyword '{}' is not supported; remove it", Cut(name)));
  }
  return {};
}

Result<json::object> SchemaSource::Flatten(const json::value& schema, const std::string& path, int depth) {
  if (depth > kMaxSchemaDepth) {
    return SchemaError(ErrorCode::kInvalidArgument, path, "$ref and allOf lead in a circle here, or are too deep");
  }
  if (schema.is_bool() && schema.get_bool()) return json::object{};
  if (!schema.is_object()) {
    return SchemaError(ErrorCode::kInvalidArgument, path,
                       schema.is_bool() ? "the schema 'false' allows nothing" : "a schema must be an object or true");
  }
  TENFOLD_TRY_STATUS(CheckKeywords(schema.get_object(), path));
  TENFOLD_TRY_STATUS(Spend(CountValues(schema), path));
  json::object merged = schema.get_object();
  merged.erase("$ref");
  merged.erase("allOf");
  if (const json::value* reference = schema.get_object().if_contains("$ref")) {
    if (!reference->is_string()) return SchemaError(ErrorCode::kInvalidArgument, path, "'$ref' must be a string");
    TENFOLD_TRY(const json::value* target, Resolve(View(reference->get_string()), path));
    TENFOLD_TRY(const json::object part, Flatten(*target, Cut(View(reference->get_string())), depth + 1));
    TENFOLD_TRY(merged, Merge(merged, part, path));
  }
  const json::value* parts = schema.get_object().if_contains("allOf");
  if (parts == nullptr) return merged;
  if (!parts->is_array() || parts->get_array().empty()) {
    return SchemaError(ErrorCode::kInvalidArgument, path, "'allOf' must be an array of schemas");
  }
  for (size_t i = 0; i < parts->get_array().size(); ++i) {
    const std::string part_path = fmt::format("{}/allOf/{}", path, i);
    TENFOLD_TRY(const json::object part, Flatten(parts->get_array()[i], part_path, depth + 1));
    TENFOLD_TRY(merged, Merge(merged, part, part_path));
  }
  return merged;
}

Result<json::object> SchemaSource::Merge(const json::object& a, const json::object& b, const std::string& path) {
  TENFOLD_TRY_STATUS(Spend(CountValues(a) + CountValues(b), path));
  TENFOLD_TRY_STATUS(CheckClosed(a, b, path));
  TENFOLD_TRY_STATUS(CheckClosed(b, a, path));
  json::object out = a;
  for (const auto& field : b) {
    const std::string_view keyword(field.key().data(), field.key().size());
    const json::value* there = out.if_contains(keyword);
    if (there == nullptr) {
      out[keyword] = field.value();
    } else if (*there != field.value() && !IsNote(keyword)) {
      TENFOLD_TRY_STATUS(MergeKeyword(keyword, field.value(), out, path));
    }
  }
  const bool tuple = out.contains("prefixItems") && out.contains("items");
  if (tuple && a.contains("prefixItems") != b.contains("prefixItems")) {
    return SchemaError(ErrorCode::kUnsupported, path, "'prefixItems' and 'items' of different parts are not merged");
  }
  return out;
}

Status SchemaSource::MergeKeyword(std::string_view keyword, const json::value& other, json::object& into,
                                  const std::string& path) const {
  json::value& mine = into[keyword];
  if (keyword == "properties" && mine.is_object() && other.is_object()) {
    for (const auto& field : other.get_object()) {
      json::value& property = mine.get_object()[field.key()];
      const bool is_new = property.is_null();
      property = is_new ? field.value() : json::value(BothOf(property, field.value()));
    }
    return {};
  }
  if (keyword == "required" && mine.is_array() && other.is_array()) {
    for (const json::value& name : other.get_array()) mine.get_array().push_back(name);
    return {};
  }
  if (keyword == "enum" && mine.is_array() && other.is_array()) {
    json::array both;
    for (const json::value& value : mine.get_array()) {
      if (std::find(other.get_array().begin(), other.get_array().end(), value) != other.get_array().end()) {
        both.push_back(value);
      }
    }
    mine = std::move(both);
    return {};
  }
  if (keyword == "type") {
    TENFOLD_TRY(const std::vector<std::string> left, Types({{"type", mine}}, path));
    TENFOLD_TRY(const std::vector<std::string> right, Types({{"type", other}}, path));
    json::array both;
    for (const std::string& type : left) {
      const bool narrowed = type == "integer" && Contains(right, "number");
      if (Contains(right, type) || narrowed) both.emplace_back(type);
      if (type == "number" && !Contains(right, type) && Contains(right, "integer")) both.emplace_back("integer");
    }
    mine = std::move(both);
    return {};
  }
  if (mine.is_number() && other.is_number()) {
    const bool other_is_larger = other.to_number<double>() > mine.to_number<double>();
    if (Contains(kLowerBounds, keyword) || Contains(kUpperBounds, keyword)) {
      if (Contains(kLowerBounds, keyword) == other_is_larger) mine = other;
      return {};
    }
  }
  if (keyword == "items") {
    mine = BothOf(mine, other);
    return {};
  }
  if (keyword == "additionalProperties" && (mine.is_bool() || other.is_bool())) {
    const bool mine_wins = (mine.is_bool() && !mine.get_bool()) || (other.is_bool() && other.get_bool());
    if (!mine_wins) mine = other;
    return {};
  }
  return SchemaError(ErrorCode::kUnsupported, path,
                     fmt::format("two different '{}' that must both hold are not merged; write one", keyword));
}

Result<std::vector<std::string>> SchemaSource::Types(const json::object& schema, const std::string& path) const {
  std::vector<std::string> types;
  const json::value* type = schema.if_contains("type");
  if (type == nullptr) {
    for (const Keyword& keyword : kKeywords) {
      const bool speaks = !keyword.type.empty() && schema.contains(keyword.name);
      if (speaks && !Contains(types, keyword.type)) types.emplace_back(keyword.type);
    }
    if (types.empty()) types.assign(std::begin(kJsonTypes), std::end(kJsonTypes));
    return types;
  }
  json::array names;
  if (type->is_array()) {
    names = type->get_array();
  } else {
    names.push_back(*type);
  }
  for (const json::value& name : names) {
    if (!name.is_string() || !Contains(kJsonTypes, View(name.get_string()))) {
      return SchemaError(ErrorCode::kInvalidArgument, path,
                         "'type' must be object, array, string, number, integer, boolean or null, or an array of them");
    }
    if (!Contains(types, View(name.get_string()))) types.emplace_back(View(name.get_string()));
  }
  if (types.empty()) return SchemaError(ErrorCode::kInvalidArgument, path, "no 'type' is left that is allowed");
  return types;
}

Result<bool> SchemaSource::Exclude(const json::value& a, const json::value& b, const std::string& path, int depth) {
  TENFOLD_TRY(const json::object left, Flatten(a, path, depth));
  TENFOLD_TRY(const json::object right, Flatten(b, path, depth));
  TENFOLD_TRY(const std::vector<std::string> left_types, Types(left, path));
  TENFOLD_TRY(const std::vector<std::string> right_types, Types(right, path));
  std::vector<json::value> left_values;
  std::vector<json::value> right_values;
  const bool left_listed = ListedValues(left, &left_values);
  const bool right_listed = ListedValues(right, &right_values);
  const auto none_fits = [](const std::vector<json::value>& values, const std::vector<std::string>& types) {
    return std::none_of(values.begin(), values.end(), [&](const json::value& value) {
      return std::any_of(types.begin(), types.end(), [&](const std::string& type) { return TypeAllows(type, value); });
    });
  };
  TENFOLD_TRY_STATUS(Spend(static_cast<int64_t>(left_values.size() * right_values.size()), path));
  if (left_listed && right_listed) {
    return std::none_of(left_values.begin(), left_values.end(), [&](const json::value& value) {
      return std::find(right_values.begin(), right_values.end(), value) != right_values.end();
    });
  }
  // Without `type` a schema says nothing about other types, which it therefore allows.
  if (left_listed) return right.contains("type") && none_fits(left_values, right_types);
  if (right_listed) return left.contains("type") && none_fits(right_values, left_types);
  if (!left.contains("type") || !right.contains("type")) return false;
  const auto kind = [](const std::string& type) { return type == "integer" ? std::string("number") : type; };
  bool share = false;
  for (const std::string& type : left_types) {
    for (const std::string& other : right_types) share |= kind(type) == kind(other);
  }
  if (!share) return true;
  if (depth > 3 || left_types != right_types || left_types != std::vector<std::string>{"object"}) return false;
  const auto property = [](const json::object& schema, const json::value& name) -> const json::value* {
    const json::value* properties = schema.if_contains("properties");
    if (properties == nullptr || !properties->is_object() || !name.is_string()) return nullptr;
    return properties->get_object().if_contains(name.get_string());
  };
  const json::value* left_required = left.if_contains("required");
  const json::value* right_required = right.if_contains("required");
  if (left_required == nullptr || !left_required->is_array() || right_required == nullptr ||
      !right_required->is_array()) {
    return false;
  }
  const json::array& others = right_required->get_array();
  for (const json::value& name : left_required->get_array()) {
    const json::value* mine = property(left, name);
    const json::value* theirs = property(right, name);
    if (mine == nullptr || theirs == nullptr || std::find(others.begin(), others.end(), name) == others.end()) continue;
    TENFOLD_TRY(const bool excluded, Exclude(*mine, *theirs, path, depth + 1));
    if (excluded) return true;
  }
  return false;
}

}  // namespace tenfold::grammar
