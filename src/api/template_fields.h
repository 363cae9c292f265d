// The fields of a chat request that only the chat template looks at.
#pragma once

#include "api/generation_request.h"
#include "api/json_body.h"

namespace tenfold::api {

// Takes documents, chat_template_kwargs, add_generation_prompt and continue_final_message.
void ReadTemplateFields(FieldReader& reader, ChatRequest* out);

}  // namespace tenfold::api
