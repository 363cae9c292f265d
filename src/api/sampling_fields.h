// The fields of both generation routes that say how tokens are drawn.
#pragma once

#include "api/generation_request.h"
#include "api/json_body.h"

namespace tenfold::api {

// temperature, top_p, top_k, min_p, typical_p, the penalties, logit_bias, seed and ignore_eos. What is wrong fails the
// reader.
void ReadSamplingFields(FieldReader& reader, GenerationOptions* out);

}  // namespace tenfold::api
