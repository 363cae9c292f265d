// The pieces that JSON is made of, as expressions: white space, strings, numbers, whole values.
//
// Bounds that keep a model from going on for ever without saying anything: white space is nothing, one space, or a line
// break with at most kMaxIndent spaces or tabs; integers have at most kMaxDigits digits, fractions as many, exponents
// two. Strings are as long as the model likes unless a schema says more.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/syntax.h"

namespace tenfold::grammar {

inline constexpr uint32_t kMaxIndent = 20;
inline constexpr uint32_t kMaxDigits = 15;  // all integers of 15 digits are exact as doubles

// Adds rules to a Syntax as they are first asked for. Used on one thread, and not beyond the Syntax's life.
class JsonParts {
 public:
  explicit JsonParts(Syntax& syntax) : syntax_(syntax) {}

  ExprId Space();       // where a line may be broken: behind { [ , and before } ]
  ExprId ColonSpace();  // behind a colon: nothing or one space
  ExprId StringChar();  // one character of a string, escaped or not
  ExprId String(uint32_t min_characters, uint32_t max_characters);
  ExprId Integer();
  ExprId Number();
  ExprId Value();  // any JSON value
  ExprId Object();
  ExprId Array();
  // One character of the set inside a string, escaped where JSON wants it.
  ExprId CharInString(const CharSet& set);
  // A string that is none of these and holds no escapes: a key beside those that are spoken for.
  ExprId StringExcept(const std::vector<std::string>& names);
  // Exactly this value, without white space.
  ExprId Exactly(const boost::json::value& value);
  // A comma and what white space may follow it.
  ExprId Comma() { return syntax_.Sequence({syntax_.Literal(","), Space()}); }

 private:
  // open, white space, the elements or (always allowed) nothing, close.
  ExprId Bracketed(char open, ExprId elements, char close);
  ExprId Once(std::optional<ExprId>& kept, const char* name, ExprId (JsonParts::*make)());
  ExprId MakeSpace();
  ExprId MakeStringChar();
  ExprId MakeString();
  ExprId MakeInteger();
  ExprId MakeNumber();
  ExprId MakeObject();
  ExprId MakeArray();

  Syntax& syntax_;
  std::optional<ExprId> space_, string_char_, string_, integer_, number_, object_, array_, value_;
};

// As JSON text without white space; numbers in the shortest form that reads back the same.
std::string CompactJson(const boost::json::value& value);

}  // namespace tenfold::grammar
