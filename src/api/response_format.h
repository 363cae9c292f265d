// How an answer's text must look: the request fields `response_format`, `json_schema` and `grammar`.
//
// What it does: reads OpenAI's and llama-server's shapes of them, one of which a request may use. What it does not:
// understand schemas or grammars; server/grammar_cache.h has them compiled.
#pragma once

#include <string>
#include <string_view>

#include "api/json_body.h"

namespace tenfold::api {

struct OutputFormat {
  enum class Kind {
    kText,        // anything
    kJsonObject,  // one JSON object
    kJsonSchema,  // one JSON value that `text`, a schema as JSON, allows
    kGrammar,     // what `text`, a grammar in GBNF, matches
  };
  Kind kind = Kind::kText;
  std::string text{};
  std::string field{};  // of the request that asked for it, for refusals
};

// Takes the three fields. `strict` is read and changes nothing: a schema always holds.
void ReadOutputFormat(FieldReader& reader, OutputFormat* out);

}  // namespace tenfold::api
