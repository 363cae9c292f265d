#include "server/metrics.h"

#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <utility>
#include <vector>

namespace tenfold::server {
namespace {

using prometheus::ClientMetric;
using prometheus::Histogram;
using prometheus::MetricFamily;
using prometheus::MetricType;

// 8 and 12 seconds are where the promises of first answer and whole answer are read off.
const Histogram::BucketBoundaries kLatencyS = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
                                               1,     1.5,   2,    3,    5,    8,    12,   20,  40,   80,  160};
// Negative: done before it was predicted.
const Histogram::BucketBoundaries kErrorS = {-20, -10, -5, -2, -1, -0.5, -0.2, -0.1, 0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20};
const Histogram::BucketBoundaries kTokens = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000};

double Seconds(int64_t us) { return static_cast<double>(us) * 1e-6; }
double Ratio(double a, double b) { return b > 0 ? a / b : 0; }

// Collects families, each with the same labels unless said otherwise.
class Families {
 public:
  explicit Families(std::string model_name) : model_{{"model_name", std::move(model_name)}} {}

  void Counter(std::string name, std::string help, double value, std::vector<ClientMetric::Label> labels = {}) {
    Sample(&Family(std::move(name), std::move(help), MetricType::Counter), std::move(labels)).counter.value = value;
  }
  void Gauge(std::string name, std::string help, double value, std::vector<ClientMetric::Label> labels = {}) {
    Sample(&Family(std::move(name), std::move(help), MetricType::Gauge), std::move(labels)).gauge.value = value;
  }
  // One sample for each key of `counts`; the family is there even when none is.
  void Counters(std::string name, std::string help, const std::string& label,
                const std::map<std::string, uint64_t, std::less<>>& counts) {
    MetricFamily& family = Family(std::move(name), std::move(help), MetricType::Counter);
    for (const auto& [key, count] : counts) {
      Sample(&family, {{label, key}}).counter.value = static_cast<double>(count);
    }
  }
  // One sample a state; the current one is 1.
  void LoadState(engine::LoadState current) {
    MetricFamily& family = Family("tenfold_load_state", "1 for the state the model is in.", MetricType::Gauge);
    for (engine::LoadState state : {engine::LoadState::kNotLoaded, engine::LoadState::kLoading,
                                    engine::LoadState::kReady, engine::LoadState::kError}) {
      Sample(&family, {{"state", std::string(engine::NameOf(state))}}).gauge.value = state == current ? 1 : 0;
    }
  }
  void Add(std::string name, std::string help, const Histogram& histogram) {
    MetricFamily& family = Family(std::move(name), std::move(help), MetricType::Histogram);
    family.metric.push_back(histogram.Collect());
    family.metric.back().label = model_;
  }
  std::vector<MetricFamily> Take() && { return std::move(all_); }

 private:
  MetricFamily& Family(std::string name, std::string help, MetricType type) {
    return all_.emplace_back(MetricFamily{std::move(name), std::move(help), type, {}});
  }
  ClientMetric& Sample(MetricFamily* family, std::vector<ClientMetric::Label> labels) {
    ClientMetric& sample = family->metric.emplace_back();
    sample.label = model_;
    sample.label.insert(sample.label.end(), labels.begin(), labels.end());
    return sample;
  }

  std::vector<ClientMetric::Label> model_;
  std::vector<MetricFamily> all_;
};

void AddLlamaCpp(Families& f, const engine::Snapshot& s, int64_t held) {
  const auto prompt = static_cast<double>(s.prompt_tokens_total);
  const auto generated = static_cast<double>(s.generated_tokens_total);
  const auto steps = static_cast<double>(s.steps_total);
  f.Counter("llamacpp:prompt_tokens_total", "Prompt tokens processed.", prompt);
  f.Counter("llamacpp:prompt_seconds_total", "Time spent on prompts.", s.prompt_seconds_total);
  f.Counter("llamacpp:tokens_predicted_total", "Tokens generated.", generated);
  f.Counter("llamacpp:tokens_predicted_seconds_total", "Time spent on generation.", s.generate_seconds_total);
  f.Counter("llamacpp:n_decode_total", "Steps of the engine.", steps);
  f.Gauge("llamacpp:n_busy_slots_per_decode", "Sequences in a step, on average.",
          Ratio(static_cast<double>(s.busy_slots_total), steps));
  f.Gauge("llamacpp:prompt_tokens_seconds", "Prompt tokens a second.", Ratio(prompt, s.prompt_seconds_total));
  f.Gauge("llamacpp:predicted_tokens_seconds", "Generated tokens a second.",
          Ratio(generated, s.generate_seconds_total));
  f.Gauge("llamacpp:requests_processing", "Requests being computed.", static_cast<double>(s.running));
  f.Gauge("llamacpp:requests_deferred", "Requests that wait.", static_cast<double>(s.waiting + held));
  f.Gauge("llamacpp:kv_cache_usage_ratio", "KV pages in use, 0 to 1.", Ratio(s.kv_pages_used, s.kv_pages_total));
}

void AddTenfold(Families& f, const engine::Snapshot& s, const EdgeState& edge) {
  f.LoadState(s.state);
  f.Gauge("tenfold_load_progress", "Share of the model's bytes loaded, 0 to 1.",
          s.state == engine::LoadState::kReady ? 1.0 : s.progress);
  f.Counter("tenfold_prefix_cached_tokens_total", "Prompt tokens found in the prefix cache.",
            static_cast<double>(s.cached_tokens_total));
  f.Counter("tenfold_prefix_evictions_total", "Pages of the prefix cache given up for requests.",
            static_cast<double>(s.evictions_total));
  f.Gauge("tenfold_prefix_idle_ratio", "KV pages that no request holds but the prefix cache keeps, 0 to 1.",
          Ratio(s.kv_pages_idle, s.kv_pages_total));
  f.Gauge("tenfold_connections", "Open connections.", static_cast<double>(edge.connections));
  f.Gauge("tenfold_idle_connections", "Open connections that wait for a request.",
          static_cast<double>(edge.idle_connections));
  f.Gauge("tenfold_requests_open", "Generations from their arrival to the end of their work.",
          static_cast<double>(edge.generations));
  f.Gauge("tenfold_receiving_bytes", "Bytes of bodies that have come in part.",
          static_cast<double>(edge.receiving_bytes));
  f.Gauge("tenfold_draining", "1 while the server finishes its work to stop.", edge.draining ? 1 : 0);
}

}  // namespace

struct Metrics::Histograms {
  Histogram first_token{kLatencyS};
  Histogram inter_token{kLatencyS};
  Histogram e2e{kLatencyS};
  Histogram queue{kLatencyS};
  Histogram prefill{kLatencyS};
  Histogram decode{kLatencyS};
  Histogram prompt_tokens{kTokens};
  Histogram generated_tokens{kTokens};
  Histogram step_tokens{kTokens};
  Histogram step_seconds{kLatencyS};
  Histogram prediction_error{kErrorS};
};

Metrics::Metrics(std::string model_name)
    : model_name_(std::move(model_name)), histograms_(std::make_unique<Histograms>()) {
  // Zero and absent are not the same to whoever computes a rate.
  for (const char* reason : {"stop", "length", "tool_calls"}) succeeded_[reason] = 0;
  for (const char* reason :
       {"overloaded", "deadline", "unavailable", "not_supported", "not_allowed", "invalid", "internal", "connections"})
    rejected_[reason] = 0;
  for (const char* where : {"preparing", "loading", "queued", "prefill", "decode", "send_buffer"})
    cancelled_[where] = 0;
}
Metrics::~Metrics() = default;

void Metrics::ObserveFirstToken(int64_t us_since_received) {
  histograms_->first_token.Observe(Seconds(us_since_received));
}

void Metrics::ObserveInterToken(int64_t us) { histograms_->inter_token.Observe(Seconds(us)); }

void Metrics::ObserveFinished(const RequestObservation& r) {
  ++succeeded_[std::string(r.finish_reason)];
  histograms_->e2e.Observe(Seconds(r.e2e_us));
  histograms_->queue.Observe(Seconds(r.queue_us));
  histograms_->prefill.Observe(Seconds(r.prefill_us));
  histograms_->decode.Observe(Seconds(r.decode_us));
  histograms_->prompt_tokens.Observe(static_cast<double>(r.prompt_tokens));
  histograms_->generated_tokens.Observe(static_cast<double>(r.generated_tokens));
  const double e2e_s = Seconds(r.e2e_us);
  mean_request_s_ = mean_request_s_ == 0 ? e2e_s : 0.9 * mean_request_s_ + 0.1 * e2e_s;
}

void Metrics::ObserveStep(const engine::StepStats& step) {
  histograms_->step_tokens.Observe(static_cast<double>(step.tokens));
  histograms_->step_seconds.Observe(Seconds(step.duration_us));
}

void Metrics::ObservePrediction(int64_t predicted_us, int64_t actual_us) {
  histograms_->prediction_error.Observe(Seconds(actual_us - predicted_us));
}

void Metrics::CountRejected(std::string_view reason) { ++rejected_[std::string(reason)]; }
void Metrics::CountCancelled(std::string_view where) { ++cancelled_[std::string(where)]; }

std::string Metrics::Render(const engine::Snapshot& s, const EdgeState& edge) const {
  const int64_t held = edge.held;
  Families f(model_name_);
  const auto prompt_tokens = static_cast<double>(s.prompt_tokens_total + s.cached_tokens_total);
  AddLlamaCpp(f, s, held);
  f.Gauge("vllm:num_requests_running", "Requests being computed.", static_cast<double>(s.running));
  f.Gauge("vllm:num_requests_waiting", "Requests that wait.", static_cast<double>(s.waiting + held));
  f.Gauge("vllm:kv_cache_usage_perc", "KV pages in use, 0 to 1.", Ratio(s.kv_pages_used, s.kv_pages_total));
  f.Counter("vllm:prefix_cache_queries_total", "Prompt tokens looked up.", prompt_tokens);
  f.Counter("vllm:prefix_cache_hits_total", "Prompt tokens found.", static_cast<double>(s.cached_tokens_total));
  f.Counter("vllm:num_preemptions_total", "Requests put back to wait.", static_cast<double>(s.preemptions_total));
  f.Counter("vllm:prompt_tokens_total", "Prompt tokens, computed or cached.", prompt_tokens);
  f.Counter("vllm:generation_tokens_total", "Tokens generated.", static_cast<double>(s.generated_tokens_total));
  f.Counters("vllm:request_success_total", "Requests answered.", "finished_reason", succeeded_);
  const Histograms& h = *histograms_;
  f.Add("vllm:time_to_first_token_seconds", "Arrival to first token.", h.first_token);
  f.Add("vllm:inter_token_latency_seconds", "Between two tokens of a request.", h.inter_token);
  f.Add("vllm:e2e_request_latency_seconds", "Arrival to last token.", h.e2e);
  f.Add("vllm:request_queue_time_seconds", "Submission to first computed row.", h.queue);
  f.Add("vllm:request_prefill_time_seconds", "First computed row to first token.", h.prefill);
  f.Add("vllm:request_decode_time_seconds", "First token to last token.", h.decode);
  f.Add("vllm:request_prompt_tokens", "Prompt tokens of a request.", h.prompt_tokens);
  f.Add("vllm:request_generation_tokens", "Generated tokens of a request.", h.generated_tokens);
  f.Add("vllm:iteration_tokens_total", "Tokens in a step.", h.step_tokens);
  AddTenfold(f, s, edge);
  f.Counters("tenfold_rejected_total", "Requests refused.", "reason", rejected_);
  f.Counters("tenfold_cancelled_total", "Requests stopped before their end, by what was under way.", "where",
             cancelled_);
  f.Counters("tenfold_slo_met_total", "Requests with a deadline, by whether the answer was complete before it.", "met",
             {{"true", deadlines_met_}, {"false", deadlines_missed_}});
  f.Add("tenfold_predicted_vs_actual_seconds", "Time to the last token, actual less predicted.", h.prediction_error);
  f.Add("tenfold_step_seconds", "Duration of a step.", h.step_seconds);
  return prometheus::TextSerializer().Serialize(std::move(f).Take());
}

}  // namespace tenfold::server
