// Template source to tokens: text, and the words inside {{ }}, {% %}.
//
// Whitespace follows Hugging Face's settings: trim_blocks and lstrip_blocks on, one trailing newline of the source
// dropped, "\r\n" read as "\n". One pass; time and memory are linear in the source.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tenfold::jinja {

enum class TokenType : uint8_t {
  kText,            // outside of any tag; `text` is what to print
  kOutputBegin,     // {{
  kOutputEnd,       // }}
  kStatementBegin,  // {%
  kStatementEnd,    // %}
  kName,
  kString,  // `text` is the value, escapes resolved
  kInteger,
  kFloat,
  kOperator,  // `text` is one of + - * / // ** % ~ [ ] ( ) { } == != < <= > >= = . : | , ;
  kEnd,
};

struct Token {
  TokenType type = TokenType::kEnd;
  int line = 1;
  std::string text{};
  int64_t integer = 0;
  double number = 0;
};

// The last token is kEnd. Errors name the line. Pure, any thread.
Result<std::vector<Token>> Tokenize(std::string_view source);

}  // namespace tenfold::jinja
