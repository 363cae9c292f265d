// Counters and histograms of what the server saw, and /metrics in both projects' names (llamacpp:, vllm:) and ours.
//
// Counters of the engine come from its snapshot at scrape time; what only the server knows is observed here. I/O thread
// only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "engine/engine.h"

namespace tenfold::server {

// One finished request, as the histograms want it. Times in microseconds.
struct RequestObservation {
  std::string_view finish_reason;  // "stop", "length", "tool_calls"
  int64_t e2e_us = 0;
  int64_t queue_us = 0;
  int64_t prefill_us = 0;
  int64_t decode_us = 0;
  int64_t prompt_tokens = 0;
  int64_t generated_tokens = 0;
};

// What the server holds at this moment.
struct EdgeState {
  int64_t held = 0;  // requests that wait for the model to load
  int64_t connections = 0;
  int64_t idle_connections = 0;  // of those, that wait for a request
  int64_t generations = 0;       // requests between their first byte and the end of their work
  uint64_t receiving_bytes = 0;  // of bodies that have come in part
  bool draining = false;
};

class Metrics {
 public:
  explicit Metrics(std::string model_name);
  ~Metrics();

  void ObserveFirstToken(int64_t us_since_received);
  void ObserveInterToken(int64_t us);
  void ObserveFinished(const RequestObservation& request);
  void ObserveStep(const engine::StepStats& step);
  // A request with a deadline was answered before it, or ended by it.
  void CountDeadline(bool met) { ++(met ? deadlines_met_ : deadlines_missed_); }
  // Both from submission to the last token.
  void ObservePrediction(int64_t predicted_us, int64_t actual_us);
  void CountRejected(std::string_view reason);  // "overloaded", "unavailable", "invalid", ...
  void CountCancelled(std::string_view where);  // "preparing", "loading", "queued", "prefill", "decode", "send_buffer"

  // The whole exposition text.
  std::string Render(const engine::Snapshot& snapshot, const EdgeState& edge) const;

  // Mean time from arrival to answer of recent requests, seconds; 0 before the first.
  double mean_request_s() const { return mean_request_s_; }

 private:
  struct Histograms;
  std::string model_name_;
  std::unique_ptr<Histograms> histograms_;
  std::map<std::string, uint64_t, std::less<>> rejected_;
  std::map<std::string, uint64_t, std::less<>> cancelled_;
  std::map<std::string, uint64_t, std::less<>> succeeded_;
  uint64_t deadlines_met_ = 0;
  uint64_t deadlines_missed_ = 0;
  double mean_request_s_ = 0;
};

}  // namespace tenfold::server
