#include "server/status_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "api/generation_request.h"
#include "api/json_writer.h"

namespace tenfold::server {
namespace {

using api::JsonWriter;
using engine::LoadState;

constexpr int kErrorRetryAfterS = 10;

int LoadRetryAfter(const engine::Snapshot& s) {
  return s.load_eta_s < 0 ? 2 : std::clamp(static_cast<int>(std::ceil(s.load_eta_s)), 1, 60);
}

double Seconds(int64_t us) { return static_cast<double>(us / 1000) / 1000.0; }
double Rounded(double value) { return std::round(value * 1000) / 1000; }

// Where the compute threads run, and why so many.
void WritePlacement(JsonWriter& w, const platform::Placement& p) {
  w.Key("cpus").BeginObject().Key("affinity").String(p.affinity.empty() ? "none" : p.affinity);
  w.Key("bound").BeginArray();
  for (const int cpu : p.cpus) w.Int(cpu);
  w.EndArray().Key("memory_nodes").BeginArray();
  for (const int node : p.nodes) w.Int(node);
  w.EndArray().Key("threads").String(p.threads_reason).EndObject();
}

// tuned_from: null where no profile was used; then tuning_ignored says why one that is there was not.
void WriteTuning(JsonWriter& w, const TuningState& t) {
  w.Key("tuned_from").StringOrNull(t.from).Key("tuned_settings").BeginArray();
  for (const std::string& key : t.settings) w.String(key);
  w.EndArray();
  if (!t.ignored.empty()) w.Key("tuning_ignored").String(t.ignored);
}

void WriteOptimization(JsonWriter& w, const engine::Optimization& o, const TuningState& tuning) {
  w.Key("optimization").BeginObject();
  w.Key("isa").String(o.isa).Key("threads").Int(o.threads).Key("n_ctx").Int(o.n_ctx).Key("n_batch").Int(o.n_batch);
  WritePlacement(w, o.placement);
  w.Key("parallel").Int(o.parallel).Key("exact").Bool(o.exact).Key("mmap").Bool(o.mmap);
  w.Key("n_gpu_layers").Int(0);  // whatever was asked for: there is no GPU backend
  w.Key("mlock").BeginObject().Key("asked").Bool(o.mlock_asked).Key("got").Bool(o.mlock_got);
  w.Key("locked_bytes").Uint(o.mlock_locked_bytes);
  if (!o.mlock_reason.empty()) w.Key("reason").String(o.mlock_reason);
  w.EndObject();
  w.Key("huge_pages").Bool(o.huge_pages).Key("huge_page_bytes").Uint(o.huge_page_bytes);
  w.Key("repacked").Bool(o.repacked);
  w.Key("prefix_cache").Bool(o.prefix_cache);
  WriteTuning(w, tuning);
  w.Key("weight_bytes").Uint(o.weight_bytes).Key("kv_bytes").Uint(o.kv_bytes);
  w.Key("kv_tokens").Int(o.kv_tokens);
  w.Key("cache_type_k").String(o.cache_type_k).Key("cache_type_v").String(o.cache_type_v);
  w.EndObject();
}

void WriteModel(JsonWriter& w, const StatusInput& input) {
  w.BeginObject().Key("id").String(input.served.name).Key("object").String("model");
  w.Key("created").Int(input.model == nullptr ? 0 : input.model->created_unix_s).Key("owned_by").String("tenfold");
  if (input.model != nullptr) {
    const engine::ModelInfo& m = *input.model;
    w.Key("meta").BeginObject().Key("architecture").String(m.architecture).Key("n_vocab").Int(m.vocab_size);
    w.Key("n_ctx").Int(m.max_context).Key("n_ctx_train").Int(m.train_context).Key("n_embd").Int(m.embedding_length);
    w.Key("n_params").Uint(m.parameters).Key("size").Uint(m.file_bytes).EndObject();
  }
  w.EndObject();
}

// What a request that names none of these gets, under llama-server's names.
void WriteDefaults(JsonWriter& w) {
  const api::GenerationOptions o;
  w.BeginObject().Key("temperature").Double(o.temperature).Key("top_k").Int(o.top_k).Key("top_p").Double(o.top_p);
  w.Key("min_p").Double(o.min_p).Key("typical_p").Double(o.typical_p).Key("seed").Int(-1);
  w.Key("repeat_penalty").Double(o.repeat_penalty).Key("repeat_last_n").Int(o.repeat_last_n);
  w.Key("presence_penalty").Double(o.presence_penalty).Key("frequency_penalty").Double(o.frequency_penalty);
  w.Key("n_predict").Int(o.max_tokens).Key("max_tokens").Int(o.max_tokens).Key("n_probs").Int(0);
  w.Key("ignore_eos")
      .Bool(o.ignore_eos)
      .Key("cache_prompt")
      .Bool(o.cache_prompt)
      .Key("stream")
      .Bool(o.stream)
      .EndObject();
}

}  // namespace

HttpResponse HealthResponse(const StatusInput& input) {
  const engine::Snapshot& s = input.snapshot;
  JsonWriter w;
  w.BeginObject().Key("status").String(engine::NameOf(s.state));
  w.Key("model").StringOrNull(input.served.name);
  if (s.state == LoadState::kLoading) {
    w.Key("progress").Double(Rounded(s.progress)).Key("stage").String(s.stage).Key("eta_s");
    if (s.load_eta_s < 0) {
      w.Null();
    } else {
      w.Double(Rounded(s.load_eta_s));
    }
  }
  if (s.state == LoadState::kError) {
    w.Key("error").BeginObject().Key("message").String(s.error).Key("type").String("server_error");
    w.Key("code").String("model_load_failed").EndObject();
  }
  if (s.state == LoadState::kReady) {
    w.Key("load_s").Double(Rounded(s.load_s));
    if (!input.chat_template_problem.empty()) w.Key("chat_template_error").String(input.chat_template_problem);
    WriteOptimization(w, s.optimization, input.tuning);
  }
  w.Key("queue_depth").Int(s.waiting + input.held).Key("running").Int(s.running).Key("kv_use");
  w.Double(s.kv_pages_total > 0 ? Rounded(static_cast<double>(s.kv_pages_used) / s.kv_pages_total) : 0);
  w.Key("last_step_age_s");
  if (s.last_step_age_us < 0) {
    w.Null();
  } else {
    w.Double(Seconds(s.last_step_age_us));
  }
  if (input.draining) w.Key("draining").Bool(true);
  w.EndObject();
  const bool bad = s.state == LoadState::kLoading || s.state == LoadState::kError;
  HttpResponse response = JsonResponse(bad ? 503 : 200, std::move(w).Take());
  if (bad) {
    const int after = s.state == LoadState::kLoading ? LoadRetryAfter(s) : kErrorRetryAfterS;
    response.headers.emplace_back("Retry-After", fmt::format("{}", after));
  }
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

bool IsStuck(const engine::Snapshot& s, int64_t stuck_us) {
  return s.work_pending && s.state == LoadState::kReady && s.last_step_age_us > stuck_us;
}

HttpResponse LiveResponse(const StatusInput& input) {
  const bool stuck = IsStuck(input.snapshot, input.stuck_us);
  JsonWriter w;
  w.BeginObject().Key("status").String(stuck ? "stuck" : "alive").EndObject();
  return JsonResponse(stuck ? 503 : 200, std::move(w).Take());
}

HttpResponse ReadyResponse(const StatusInput& input) {
  const engine::Snapshot& s = input.snapshot;
  // not_loaded is ready where a request would load the model: otherwise no balancer would ever send that request.
  const bool ready = !input.draining &&
                     (s.state == LoadState::kReady || (s.state == LoadState::kNotLoaded && !input.served.path.empty()));
  JsonWriter w;
  w.BeginObject().Key("status").String(ready ? "ready" : input.draining ? "draining" : engine::NameOf(s.state));
  w.EndObject();
  HttpResponse response = JsonResponse(ready ? 200 : 503, std::move(w).Take());
  if (!ready) {
    const int after = s.state == LoadState::kLoading ? LoadRetryAfter(s) : kErrorRetryAfterS;
    response.headers.emplace_back("Retry-After", fmt::format("{}", after));
  }
  return response;
}

std::string StatusLine(const StatusInput& input) {
  const engine::Snapshot& s = input.snapshot;
  const int64_t waiting = s.waiting + input.held;
  if (IsStuck(s, input.stuck_us)) {
    return fmt::format("stuck: no step for {:.0f} s, {} running, {} waiting", Seconds(s.last_step_age_us), s.running,
                       waiting);
  }
  if (input.draining) return fmt::format("shutting down: {} running, {} waiting", s.running, waiting);
  switch (s.state) {
    case LoadState::kNotLoaded:
      return input.served.path.empty() ? "no model is configured" : "the model is not loaded";
    case LoadState::kLoading:
      return fmt::format("loading: {} {:.0f} %", s.stage, s.progress * 100);
    case LoadState::kReady:
      return fmt::format("ready: {} running, {} waiting", s.running, waiting);
    case LoadState::kError:
      break;
  }
  return "the model could not be loaded: " + s.error;
}

std::string ModelJson(const StatusInput& input) {
  JsonWriter w;
  WriteModel(w, input);
  return std::move(w).Take();
}

std::string ModelsJson(const StatusInput& input) {
  JsonWriter w;
  w.BeginObject().Key("object").String("list").Key("data").BeginArray();
  if (!input.served.name.empty()) WriteModel(w, input);
  w.EndArray().EndObject();
  return std::move(w).Take();
}

std::string PropsJson(const StatusInput& input) {
  JsonWriter w;
  w.BeginObject().Key("model_alias").StringOrNull(input.served.name);
  w.Key("model_path").StringOrNull(input.served.path);
  w.Key("status").String(engine::NameOf(input.snapshot.state));
  w.Key("build_info").String(fmt::format("tenfold {}", kVersion));
  w.Key("modalities").BeginObject().Key("vision").Bool(false).Key("audio").Bool(false).EndObject();
  if (input.model != nullptr) {
    const engine::ModelInfo& m = *input.model;
    const tokenizer::Tokenizer& t = *m.tokenizer;
    const auto text = [&](tokenizer::TokenId id) { return id < 0 ? std::string() : t.TokenBytes(id, true); };
    w.Key("total_slots").Int(input.snapshot.optimization.parallel);
    w.Key("chat_template").String(input.chat_template.empty() ? m.chat_template : input.chat_template);
    w.Key("bos_token").String(text(t.bos())).Key("eos_token").String(text(t.eos()));
    w.Key("default_generation_settings").BeginObject().Key("n_ctx").Int(m.max_context);
    w.Key("params");
    WriteDefaults(w);
    w.EndObject();
  }
  w.EndObject();
  return std::move(w).Take();
}

std::string SlotsJson(const StatusInput& input, std::vector<SlotState> unfinished) {
  std::sort(unfinished.begin(), unfinished.end(), [](const SlotState& a, const SlotState& b) {
    const bool a_began = a.generated_tokens > 0;
    return a_began != (b.generated_tokens > 0) ? a_began : a.task < b.task;
  });
  const size_t total = input.model == nullptr ? 0 : static_cast<size_t>(input.snapshot.optimization.parallel);
  const size_t busy = std::min({total, unfinished.size(), static_cast<size_t>(input.snapshot.running)});
  JsonWriter w;
  w.BeginArray();
  for (size_t i = 0; i < total; ++i) {
    w.BeginObject().Key("id").Int(static_cast<int64_t>(i)).Key("n_ctx").Int(input.model->max_context);
    w.Key("speculative").Bool(false).Key("is_processing").Bool(i < busy);
    if (i < busy) {
      const SlotState& slot = unfinished[i];
      w.Key("id_task").Int(slot.task).Key("n_prompt_tokens").Int(slot.prompt_tokens);
      // Null until the first token: how much of the prompt is found is only known when the rest is computed.
      const bool began = slot.generated_tokens > 0;
      w.Key("n_prompt_tokens_processed");
      began ? w.Int(slot.prompt_tokens - slot.cached_tokens) : w.Null();
      w.Key("n_prompt_tokens_cache");
      began ? w.Int(slot.cached_tokens) : w.Null();
      w.Key("params").BeginObject().Key("n_predict").Int(slot.most_tokens).EndObject();
      w.Key("next_token").BeginArray().BeginObject().Key("n_decoded").Int(slot.generated_tokens);
      w.EndObject().EndArray();
    }
    w.EndObject();
  }
  w.EndArray();
  return std::move(w).Take();
}

}  // namespace tenfold::server
