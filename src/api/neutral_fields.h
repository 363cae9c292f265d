// OpenAI's and llama-server's fields that we know but do not implement, with the values that change nothing.
#pragma once

#include "api/json_body.h"

namespace tenfold::api {

enum class Route { kChat, kCompletion };

// Takes every known-but-unimplemented field of the route; one with a value that would change the answer is refused with
// 501 and its name.
void TakeNeutralFields(FieldReader& reader, Route route);

}  // namespace tenfold::api
