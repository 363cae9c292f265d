// Who is turned away before any work is done for him, and what he is told: the one place that decides it.
//
// What it does: refuses while the server drains, and beyond the bounds on requests, choices and preparation. What it
// does not: judge what a request says (api/), or hold requests while the model loads (model_gate.h).
#pragma once

#include <cstddef>
#include <optional>

#include "api/api_error.h"

namespace tenfold::server {

struct Service;

// What a request wants of the engine, known once its prompts are tokens.
struct Demand {
  size_t choices = 0;          // answers, of all prompts together
  int64_t prompt_tokens = 0;   // of all prompts, each once
  int64_t most_generated = 0;  // tokens an answer may have; < 0: what the context leaves
};

// I/O thread only, as the service.
std::optional<api::ApiError> RefuseAtArrival(const Service& service);                     // nothing of the body is read
std::optional<api::ApiError> RefuseWhileDraining(const Service& service);                 // its part for small requests
std::optional<api::ApiError> RefuseDemand(const Service& service, const Demand& demand);  // before the engine gets it
api::ApiError PreparationFull(const Service& service);

}  // namespace tenfold::server
