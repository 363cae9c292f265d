// The fields that only /v1/completions has: its prompts, what of them comes back, and what of how many is kept.
#pragma once

#include "api/generation_request.h"
#include "api/json_body.h"

namespace tenfold::api {

// prompt: a string, an array of token ids, or an array of several of either kind. What is wrong fails the reader.
void ReadPrompts(FieldReader& reader, std::vector<Prompt>* out);

// best_of and the bound on choices, once `n` and the prompts have been read.
void ReadBestOf(FieldReader& reader, const CompletionRequest& request);

}  // namespace tenfold::api
