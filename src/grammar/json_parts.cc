#include "grammar/json_parts.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <map>

#include "grammar/unicode_text.h"

namespace tenfold::grammar {
namespace {
namespace json = boost::json;

const CharSet& Digits() {
  static const CharSet set({{'0', '9'}});
  return set;
}

// What a string may hold as it is.
const CharSet& Unescaped() {
  static const CharSet set({{0x20, 0x21}, {0x23, 0x5B}, {0x5D, kMaxCharacter}});
  return set;
}

// Names by their next character.
struct NameTree {
  bool ends = false;
  std::map<uint32_t, NameTree> next;
};

ExprId NoneOf(Syntax& s, const NameTree& tree, ExprId any) {
  std::vector<ExprId> options;
  if (!tree.ends) options.push_back(s.Empty());
  std::vector<CharRange> taken;
  for (const auto& [character, below] : tree.next) {
    taken.push_back({character, character});
    options.push_back(s.Sequence({s.Chars(CharSet({{character, character}})), NoneOf(s, below, any)}));
  }
  const CharSet free = Unescaped().Intersection(CharSet(std::move(taken)).Complement());
  options.push_back(s.Sequence({s.Chars(free), any}));
  return s.NamedRule("a key", s.Choice(std::move(options)));
}

}  // namespace

std::string CompactJson(const json::value& value) {
  if (value.is_double()) return fmt::format("{}", value.get_double());
  if (value.is_array()) {
    std::string out = "[";
    for (const json::value& item : value.get_array()) out += (out.size() > 1 ? "," : "") + CompactJson(item);
    return out + "]";
  }
  if (value.is_object()) {
    std::string out = "{";
    for (const auto& field : value.get_object()) {
      out += (out.size() > 1 ? "," : "") + json::serialize(json::string_view(field.key())) + ":";
      out += CompactJson(field.value());
    }
    return out + "}";
  }
  return json::serialize(value);
}

// The rule is declared before it is made, so that values can hold values.
ExprId JsonParts::Once(std::optional<ExprId>& kept, const char* name, ExprId (JsonParts::*make)()) {
  if (kept) return *kept;
  const RuleId rule = syntax_.DeclareRule(name);
  kept = syntax_.Reference(rule);
  syntax_.DefineRule(rule, (this->*make)());
  return *kept;
}

ExprId JsonParts::Space() { return Once(space_, "white space", &JsonParts::MakeSpace); }
ExprId JsonParts::StringChar() { return Once(string_char_, "a character", &JsonParts::MakeStringChar); }
ExprId JsonParts::Integer() { return Once(integer_, "an integer", &JsonParts::MakeInteger); }
ExprId JsonParts::Number() { return Once(number_, "a number", &JsonParts::MakeNumber); }
ExprId JsonParts::Object() { return Once(object_, "an object", &JsonParts::MakeObject); }
ExprId JsonParts::Array() { return Once(array_, "an array", &JsonParts::MakeArray); }

ExprId JsonParts::ColonSpace() { return syntax_.Optional(syntax_.Literal(" ")); }

ExprId JsonParts::MakeSpace() {
  Syntax& s = syntax_;
  const ExprId indent = s.Repeat(s.Chars(CharSet({{' ', ' '}, {'\t', '\t'}})), 0, kMaxIndent);
  return s.Choice({s.Empty(), s.Literal(" "), s.Sequence({s.Literal("\n"), indent})});
}

// A \u escape is a character or a pair of surrogates, never half of one.
ExprId JsonParts::MakeStringChar() {
  Syntax& s = syntax_;
  const ExprId hex = s.Chars(CharSet({{'0', '9'}, {'A', 'F'}, {'a', 'f'}}));
  const ExprId d = s.Chars(CharSet({{'D', 'D'}, {'d', 'd'}}));
  const ExprId not_d = s.Chars(CharSet({{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}}));
  const ExprId high = s.Chars(CharSet({{'8', '9'}, {'A', 'B'}, {'a', 'b'}}));
  const ExprId low = s.Chars(CharSet({{'C', 'F'}, {'c', 'f'}}));
  const ExprId below_surrogates = s.Chars(CharSet({{'0', '7'}}));
  const ExprId escape = s.Choice(
      {s.Chars(
           CharSet({{'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', 'b'}, {'f', 'f'}, {'n', 'n'}, {'r', 'r'}, {'t', 't'}})),
       s.Sequence({s.Literal("u"), not_d, hex, hex, hex}), s.Sequence({s.Literal("u"), d, below_surrogates, hex, hex}),
       s.Sequence({s.Literal("u"), d, high, hex, hex, s.Literal("\\u"), d, low, hex, hex})});
  return s.Choice({s.Chars(Unescaped()), s.Sequence({s.Literal("\\"), escape})});
}

ExprId JsonParts::String(uint32_t min_characters, uint32_t max_characters) {
  if (min_characters == 0 && max_characters == kNoLimit) return Once(string_, "a string", &JsonParts::MakeString);
  const ExprId quote = syntax_.Literal("\"");
  return syntax_.Sequence({quote, syntax_.Repeat(StringChar(), min_characters, max_characters), quote});
}

ExprId JsonParts::MakeString() {
  const ExprId quote = syntax_.Literal("\"");
  return syntax_.Sequence({quote, syntax_.Repeat(StringChar(), 0, kNoLimit), quote});
}

ExprId JsonParts::MakeInteger() {
  Syntax& s = syntax_;
  const ExprId many = s.Sequence({s.Chars(CharSet({{'1', '9'}})), s.Repeat(s.Chars(Digits()), 0, kMaxDigits - 1)});
  return s.Sequence({s.Optional(s.Literal("-")), s.Choice({s.Literal("0"), many})});
}

ExprId JsonParts::MakeNumber() {
  Syntax& s = syntax_;
  const ExprId fraction = s.Sequence({s.Literal("."), s.Repeat(s.Chars(Digits()), 1, kMaxDigits)});
  const ExprId sign = s.Optional(s.Chars(CharSet({{'+', '+'}, {'-', '-'}})));
  const ExprId exponent =
      s.Sequence({s.Chars(CharSet({{'E', 'E'}, {'e', 'e'}})), sign, s.Repeat(s.Chars(Digits()), 1, 2)});
  return s.Sequence({Integer(), s.Optional(fraction), s.Optional(exponent)});
}

ExprId JsonParts::Value() {
  if (value_) return *value_;
  Syntax& s = syntax_;
  const RuleId rule = s.DeclareRule("a value");
  value_ = s.Reference(rule);
  s.DefineRule(rule, s.Choice({Object(), Array(), String(0, kNoLimit), Number(), s.Literal("true"), s.Literal("false"),
                               s.Literal("null")}));
  return *value_;
}

ExprId JsonParts::Bracketed(char open, ExprId elements, char close) {
  Syntax& s = syntax_;
  const ExprId filled = s.Sequence({elements, Space()});
  return s.Sequence(
      {s.Literal(std::string_view(&open, 1)), Space(), s.Optional(filled), s.Literal(std::string_view(&close, 1))});
}

ExprId JsonParts::MakeObject() {
  Syntax& s = syntax_;
  const ExprId field = s.NamedRule("a field", s.Sequence({String(0, kNoLimit), s.Literal(":"), ColonSpace(), Value()}));
  const ExprId more = s.Repeat(s.Sequence({Comma(), field}), 0, kNoLimit);
  return Bracketed('{', s.Sequence({field, more}), '}');
}

ExprId JsonParts::MakeArray() {
  Syntax& s = syntax_;
  const ExprId more = s.Repeat(s.Sequence({Comma(), Value()}), 0, kNoLimit);
  return Bracketed('[', s.Sequence({Value(), more}), ']');
}

ExprId JsonParts::CharInString(const CharSet& set) {
  Syntax& s = syntax_;
  std::vector<ExprId> options;
  const CharSet raw = set.Intersection(Unescaped());
  if (!raw.empty()) options.push_back(s.Chars(raw));
  for (const uint32_t character : {uint32_t{'"'}, uint32_t{'\\'}}) {
    if (!set.Contains(character)) continue;
    options.push_back(s.Literal(std::string("\\") + static_cast<char>(character)));
  }
  for (uint32_t character = 0; character < 0x20; ++character) {
    if (!set.Contains(character)) continue;
    constexpr std::string_view kShort = "\bb\ff\nn\rr\tt";
    const size_t at = kShort.find(static_cast<char>(character));
    options.push_back(s.Literal(at == std::string_view::npos ? fmt::format("\\u{:04x}", character)
                                                             : std::string("\\") + kShort[at + 1]));
  }
  return s.Choice(std::move(options));
}

ExprId JsonParts::StringExcept(const std::vector<std::string>& names) {
  Syntax& s = syntax_;
  NameTree root;
  for (const std::string& name : names) {
    NameTree* at = &root;
    for (const uint32_t character : CharactersOf(name)) {
      // Such a name needs an escape, and no string here has one.
      at = Unescaped().Contains(character) ? &at->next[character] : nullptr;
      if (at == nullptr) break;
    }
    if (at != nullptr) at->ends = true;
  }
  const ExprId any = s.NamedRule("a key", s.Repeat(s.Chars(Unescaped()), 0, kNoLimit));
  return s.Sequence({s.Literal("\""), NoneOf(s, root, any), s.Literal("\"")});
}

ExprId JsonParts::Exactly(const json::value& value) { return syntax_.Literal(CompactJson(value)); }

}  // namespace tenfold::grammar
