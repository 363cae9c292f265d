// What probes, dashboards and model lists read, as JSON made from a snapshot. Pure: no sockets, no engine calls.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/http_message.h"

namespace tenfold::server {

// What is known about the served model before it is loaded.
struct ServedModel {
  std::string name;  // "" when none is configured
  std::string path;
};

// What a profile of `tenfold tune` has to do with this server.
struct TuningState {
  std::string from{};                   // the profile that settings came from, "" for none
  std::string ignored{};                // why a profile that is there was left alone, "" otherwise
  std::vector<std::string> settings{};  // the keys that it has set
};

// A choice that the engine has not finished, for /slots.
struct SlotState {
  int64_t task = 0;  // the engine's number of it, rising
  int64_t prompt_tokens = 0;
  int64_t generated_tokens = 0;
  int64_t cached_tokens = 0;  // of the prompt; known once a token has been generated
  int64_t most_tokens = -1;   // that may be generated; < 0: what the context leaves
};

struct StatusInput {
  engine::Snapshot snapshot;
  ServedModel served;
  TuningState tuning{};
  const engine::ModelInfo* model = nullptr;  // null when not ready
  int64_t held = 0;                          // requests that wait for the load
  bool draining = false;
  int64_t stuck_us = 0;                 // no step for longer than this, with work waiting: the loop counts as stuck
  std::string chat_template{};          // the one that is used
  std::string chat_template_problem{};  // why conversations are refused, "" when they are not
};

HttpResponse HealthResponse(const StatusInput& input);  // 200 ready, not_loaded; 503 loading, error
HttpResponse LiveResponse(const StatusInput& input);    // 503 when the loop is stuck with work waiting
HttpResponse ReadyResponse(const StatusInput& input);   // 200 when a request would be accepted now
std::string ModelsJson(const StatusInput& input);       // OpenAI's list of at most one
std::string ModelJson(const StatusInput& input);        // the one, as GET /v1/models/{id} gives it
std::string PropsJson(const StatusInput& input);        // llama-server's /props, as far as it applies
// llama-server's /slots, as far as it applies: as many as run together, those with work first. Which of the unfinished
// hold a slot is told by their number and their progress: the engine starts them in order. No text of anybody's.
std::string SlotsJson(const StatusInput& input, std::vector<SlotState> unfinished);

// Whether the engine's loop has stopped advancing though it has something to compute. Never while idle or loading.
bool IsStuck(const engine::Snapshot& snapshot, int64_t stuck_us);

// The line a service manager shows: "ready: 3 running, 0 waiting".
std::string StatusLine(const StatusInput& input);

// The usual stuck_us. A step of a large model on few cores can take several seconds; nothing honest takes a minute.
inline constexpr int64_t kStuckUs = 60'000'000;

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace tenfold::server
