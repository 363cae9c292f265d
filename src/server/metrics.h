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
  std::string_view finish_reason;  // "stop", "length"
  int64_t e2e_us = 0;
  int64_t queue_us = 0;
  int64_t prefill_us = 0;
  int64_t decode_us = 0;
  int64_t prompt_tokens = 0;
  int64_t generated_tokens = 0;
};

class Metrics {
 public:
  explicit Metrics(std::string model_name);
  ~Metrics();

  void ObserveFirstToken(int64_t us_since_received);
  void ObserveInterToken(int64_t us);
  void ObserveFinished(const RequestObservation& request);
  void ObserveStep(const engine::StepStats& step);
  void CountRejected(std::string_view reason);  // "overloaded", "unavailable", "invalid", ...
  void CountCancelled(std::string_view where);  // "preparing", "loading", "queued", "prefill", "decode"

  // The whole exposition text. `held`: requests that wait for the model to load.
  std::string Render(const engine::Snapshot& snapshot, int64_t held) const;

  // Mean time from arrival to answer of recent requests, seconds; 0 before the first.
  double mean_request_s() const { return mean_request_s_; }

 private:
  struct Histograms;
  std::string model_name_;
  std::unique_ptr<Histograms> histograms_;
  std::map<std::string, uint64_t, std::less<>> rejected_;
  std::map<std::string, uint64_t, std::less<>> cancelled_;
  std::map<std::string, uint64_t, std::less<>> succeeded_;
  double mean_request_s_ = 0;
};

}  // namespace tenfold::server
