// Who is turned away before any work is done for him, and what he is told: the one place that decides it.
//
// What it does: refuses while the server drains, beyond the bounds on requests, choices and preparation, and where the
// engine predicts that the answer would come after its deadline. What it does not: judge what a request says (api/), or
// hold requests while the model loads (model_gate.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "api/api_error.h"
#include "api/generation_request.h"
#include "engine/engine.h"
#include "server/http_message.h"

namespace tenfold::server {

struct Service;

// What a request wants of the engine, known once its prompts are tokens.
struct Demand {
  size_t choices = 0;          // answers, of all prompts together
  int64_t prompt_tokens = 0;   // of all prompts, each once
  int64_t most_generated = 0;  // tokens an answer may have
  uint64_t tenant = 0;
  uint64_t fingerprint = 0;  // the same for the same request asked again
  int64_t received_us = 0;
  int64_t deadline_us = -1;
};

// I/O thread only, as the service.
std::optional<api::ApiError> RefuseAtArrival(const Service& service);      // nothing of the body is read
std::optional<api::ApiError> RefuseWhileDraining(const Service& service);  // its part for small requests
// The same for the same body.
uint64_t Fingerprint(std::string_view body);
// Whose share of the machine the request takes: the API key's, else the user's that it names, else its address's.
uint64_t TenantOf(const HttpRequest& request, const api::GenerationOptions& options);
// When the answer must be complete, by NowUs(); < 0: whenever. The field, else the header x-deadline-ms, else the
// server's. An error: the header is no number.
api::Parsed<int64_t> DeadlineOf(const HttpRequest& request, const api::GenerationOptions& options, int64_t slo_us);
// While the model loads: the load alone would take longer than that.
std::optional<api::ApiError> RefuseDuringLoad(const Service& service, int64_t received_us, int64_t deadline_us);
// Before the engine gets it. What is not refused: when it is predicted to be done goes to *prediction.
std::optional<api::ApiError> RefuseDemand(Service& service, const Demand& demand, engine::Prediction* prediction);
api::ApiError PreparationFull(const Service& service);

}  // namespace tenfold::server
