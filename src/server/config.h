// What the operator chose for the server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "server/connection.h"
#include "server/status_json.h"
#include "server/supervisor.h"
#include "server/tls_context.h"

namespace tenfold::server {

struct Config {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;                   // 0: any free one
  TlsFiles tls;                           // empty: plain HTTP
  std::vector<std::string> api_keys;      // none: no key is asked for
  std::vector<std::string> cors_origins;  // none: no page elsewhere may call
  ServedModel model;
  TuningState tuning;
  std::string chat_template{};  // used instead of the model file's own, "" for that
  bool log_prompts = false;     // bodies of generation requests, as they came
  // Called on the I/O thread some times a second while a model loads, and once when that ends.
  std::function<void(std::string_view stage, double progress, double eta_s)> on_progress;
  std::function<void()> on_progress_end;
  bool load_in_background = true;  // else on the first request
  int64_t drain_us = 30'000'000;   // how long running requests may finish after SIGTERM
  int64_t stuck_us = kStuckUs;     // work waiting and no step for so long: the loop counts as stuck
  SupervisorAddress supervisor;
  bool handle_signals = true;
  int64_t request_us = 0;        // a request that is not wholly answered by then is ended; 0: no limit
  int64_t ping_us = 15'000'000;  // silence on a stream before a comment is sent
  ConnectionLimits connection;
  int64_t slo_us = 0;          // deadline of requests that name none; 0: none
  size_t max_requests = 1024;  // generations that wait or run; more are refused
  // Log-probabilities, alternatives counted, that one answer may hold; some hundred bytes each, as structs and as JSON.
  size_t max_held_logprobs = 1 << 21;
  size_t max_held_bytes = 256 << 20;  // of bodies that wait for the model, and again of bodies being prepared
};

}  // namespace tenfold::server
