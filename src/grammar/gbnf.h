// GBNF, llama.cpp's grammar language, as expressions.
//
// What it takes: `name ::= ...` rules with a `root`, "literals", [character classes] with ranges and ^, `.`, groups,
// `|`, `*`, `+`, `?`, `{m}`, `{m,}`, `{m,n}`, `# comments`, and the escapes \n \r \t \\ \" \[ \] \xHH \uHHHH
// \UHHHHHHHH, which all mean characters. A rule ends at the end of its line, except inside a group and where the next
// line begins with `|`. What it refuses by name: token literals (<...>), unknown escapes, rules defined twice or not at
// all.
#pragma once

#include <string_view>

#include "base/result.h"
#include "grammar/syntax.h"

namespace tenfold::grammar {

inline constexpr size_t kMaxGbnfBytes = 256U << 10;
inline constexpr int kMaxGroupDepth = 100;

// Adds the rules of `text` to `syntax` and gives its `root`. The text is UTF-8. Errors name line and column. Linear.
Result<ExprId> ParseGbnf(std::string_view text, Syntax& syntax);

}  // namespace tenfold::grammar
