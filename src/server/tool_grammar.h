// Which answers a request's tools allow, as a grammar: calls that must be made, and arguments that must match.
//
// With tool_choice "required" the answer is one or more calls and nothing else, with a named function exactly one call
// of it; arguments match the function's schema, whether or not it is strict. With "auto" an answer is free until it
// opens a call; from there the call is held to its shape, and to the schema of a function that is strict: this is only
// done where one is. What opens a call is what chat/tool_call_parser.h takes for one, so nothing gets past it.
// Where the prompt has opened <think>, all of this begins behind </think>; a model that would open it itself is not let
// where a call must be made. What it does not: compile (server/grammar_cache.h) or limit an answer to one call under
// "auto" (chat/answer_stream.h ends it there).
#pragma once

#include <string>

#include "api/api_error.h"
#include "api/tools_request.h"
#include "chat/tool_format.h"
#include "grammar/syntax.h"
#include "server/grammar_cache.h"

namespace tenfold::server {

inline constexpr uint32_t kMaxForcedCalls = 16;  // of one answer: a model that need not stop still does

struct ToolGrammarRequest {
  chat::ToolFormat format = chat::ToolFormat::kNone;
  const api::ToolOptions* tools = nullptr;
  bool in_reasoning = false;  // the answer starts inside <think>
};

// Null where nothing is to be constrained. Refuses by name a schema keyword that grammars do not implement, and a call
// that must be made in a format that is not known. Any preparation thread.
api::Parsed<GrammarPtr> ToolGrammar(GrammarCache& grammars, const ModelPtr& model, const ToolGrammarRequest& request);

// The expression behind it, for tests. *field: which field of the request an error is about.
Result<grammar::ExprId> AddToolGrammar(grammar::Syntax& syntax, const ToolGrammarRequest& request, std::string* field);

}  // namespace tenfold::server
