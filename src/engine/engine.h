// The engine: one model, one loop thread, any number of requests that join and leave at any step.
//
// What it does: loads and unloads the model on the loop thread, turns requests into step plans (sched/), runs them
// (model/), draws tokens (sampling/) and hands them out. What it does not: text (tokens in, tokens out), sockets, JSON.
//
// Threads: every public method may be called from any thread and returns within microseconds; none waits for the loop.
// Callbacks run on the loop thread, must not block, throw, or call back into the engine except Cancel().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/admission_desk.h"
#include "grammar/grammar.h"
#include "kernels/kv_format.h"
#include "platform/placement.h"
#include "sampling/sampler.h"
#include "tokenizer/tokenizer.h"

namespace tenfold::engine {

struct Options {
  std::string model_path{};         // empty: the engine stays not_loaded
  std::string alias{};              // name in answers; empty: the file name without .gguf
  int threads = 0;                  // compute threads in all; 0: from the CPU budget
  platform::Placement placement{};  // of the compute threads, `threads` as well; 0 threads in it: made of the above
  int64_t max_context = 0;  // longest prompt + answer of one request (-c); 0: the model's, at most 8192 and the pool
  int64_t max_step_tokens = 512;  // tokens per step (-b)
  int64_t max_running = 10;       // requests computed together (-np)
  uint64_t kv_bytes = 0;          // KV pool; 0: what is free less a margin (pool_plan.h)
  bool prefix_cache = true;       // pages of equal beginnings are shared, and kept after their requests
  kernels::KvFormat kv_format{};  // what keys and values are stored as
  bool mlock = false;
  bool mmap = true;    // false: the file is read into memory instead of mapped
  bool exact = false;  // results independent of batch, chunking and threads
  std::string isa{};   // empty: TENFOLD_ISA or the widest
};

// The name clients see: the alias, or the file name without ".gguf". Pure, any thread.
std::string ModelName(const Options& options);

enum class LoadState { kNotLoaded, kLoading, kReady, kError };
std::string_view NameOf(LoadState state);  // "not_loaded" "loading" "ready" "error"

// What is loaded, as clients and dashboards ask for it. Immutable; valid as long as somebody holds it.
struct ModelInfo {
  std::string name;  // alias or file name
  std::string path;
  std::string architecture;
  std::string description;  // general.name of the file, "" if absent
  uint64_t file_bytes = 0;
  uint64_t parameters = 0;
  int64_t vocab_size = 0;     // tokens the tokenizer knows; padding rows of the matrices are never drawn
  int64_t train_context = 0;  // what the file says
  int64_t max_context = 0;    // what a request may use
  int64_t embedding_length = 0;
  int64_t created_unix_s = 0;  // when it was loaded
  std::string chat_template;   // as in the file, "" if absent
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;
};

// What was asked of the machine and what it gave: /health's "optimization".
struct Optimization {
  std::string isa;
  int threads = 0;
  platform::Placement placement;
  int64_t n_ctx = 0;
  int64_t n_batch = 0;
  int64_t parallel = 0;
  bool exact = false;
  bool mmap = true;
  bool mlock_asked = false;
  bool mlock_got = false;
  uint64_t mlock_locked_bytes = 0;
  std::string mlock_reason;      // why not everything is locked, "" otherwise
  bool huge_pages = false;       // asked for, and allowed by the kernel's setting
  uint64_t huge_page_bytes = 0;  // of the weights, what really came
  bool repacked = true;
  uint64_t weight_bytes = 0;
  std::string cache_type_k;  // "f16" or "q8_0"
  std::string cache_type_v;
  uint64_t kv_bytes = 0;
  bool prefix_cache = true;
  int64_t kv_tokens = 0;  // that all requests together may hold
};

// Everything a probe or dashboard wants to know, copied at once.
struct Snapshot {
  LoadState state = LoadState::kNotLoaded;
  double progress = 0;     // of the file's bytes packed, while loading; below 1 until ready
  std::string stage;       // "reading metadata", "building tokenizer", "packing weights", ...
  double load_eta_s = -1;  // < 0: not known yet
  double load_s = 0;       // how long the last finished load took
  std::string error;       // in kError: file and reason
  Optimization optimization;
  int64_t running = 0;  // requests that hold pages
  int64_t waiting = 0;  // requests admitted that hold none
  int32_t kv_pages_total = 0;
  int32_t kv_pages_used = 0;  // held by requests
  int32_t kv_pages_idle = 0;  // held by none, kept for prompts that begin alike
  // Since the loop last made progress or, if that was later, since it last got something to do; < 0: neither yet.
  int64_t last_step_age_us = -1;
  bool work_pending = false;  // the loop has something to compute
  // Counters since the process started.
  uint64_t steps_total = 0;
  uint64_t prompt_tokens_total = 0;  // computed
  uint64_t cached_tokens_total = 0;  // prompt tokens found in the prefix cache instead
  uint64_t evictions_total = 0;      // pages taken out of the prefix cache because they were needed
  uint64_t generated_tokens_total = 0;
  uint64_t busy_slots_total = 0;  // sum over steps of the sequences in them
  uint64_t preemptions_total = 0;
  uint64_t cancelled_total = 0;
  double prompt_seconds_total = 0;    // step time attributed to prompt tokens
  double generate_seconds_total = 0;  // step time attributed to generated tokens
};

using RequestId = int64_t;

enum class FinishReason { kStop, kLength, kCancelled, kFailed };

struct Timings {
  int64_t queued_us = 0;    // submit to first planned row
  int64_t prompt_us = 0;    // first planned row to first token
  int64_t generate_us = 0;  // first token to last token
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;     // prompt tokens not computed because their KV was there
  int64_t generated_tokens = 0;  // the end-of-generation token, where one was drawn, not counted
};

struct Token {
  tokenizer::TokenId id = 0;
  float logprob = 0;                        // only if n_top >= 0
  std::vector<sampling::TokenLogprob> top;  // n_top entries
  int64_t cached_tokens = 0;                // of the prompt, by the time of this token; Timings has the last word
};

struct Finish {
  FinishReason reason = FinishReason::kStop;
  Error error;  // kFailed only
  Timings timings;
};

struct Request {
  std::vector<tokenizer::TokenId> prompt;  // not empty; every id in the vocabulary
  int64_t max_new_tokens = -1;             // < 0: what the context leaves; 0: nothing is drawn
  sampling::Params sampling;
  bool ignore_eos = false;    // end-of-generation tokens are never drawn; log-probabilities stay the model's
  bool cache_prompt = true;   // takes pages from the prefix cache and leaves its own there
  std::string cache_salt{};   // shares pages only with requests of the same salt
  int32_t n_top = -1;         // < 0: no log-probabilities; else 0..100
  uint64_t tenant = 0;        // whose share of the machine it takes
  int64_t deadline_us = -1;   // by which it should be done, by NowUs(), for the predictions of others; < 0: none
  int64_t predicted_us = -1;  // what Predict said, to learn from; < 0: nothing
  // What the answer must match; null: anything. For this model's vocabulary. The request stops where only the end is
  // left. With trigger tokens the grammar begins behind the first of them that is drawn, and all before is free.
  std::shared_ptr<const grammar::Grammar> grammar;
  std::vector<tokenizer::TokenId> grammar_triggers;
  // The prompt's log-probabilities too: on_prompt gets its tokens from the second on (the first follows nothing), in
  // order, some at a time, all of them before the first on_token. Needs n_top >= 0.
  bool score_prompt = false;
  std::function<void(std::vector<Token>&&)> on_prompt;
  std::function<void(Token&&)> on_token;    // once per drawn token, in order
  std::function<void(Finish&&)> on_finish;  // exactly once, last
};

// Statistics of one step, for histograms. Called on the loop thread after each step, with no lock held: the one
// callback that may wait, so that whoever takes the tokens can hold the loop back when they come faster than they are
// taken.
struct StepStats {
  int64_t tokens = 0;
  int64_t sequences = 0;
  int64_t duration_us = 0;
};

class Engine {
 public:
  Engine(Options options, std::function<void(const StepStats&)> on_step);
  ~Engine();  // stops the loop after the current step; requests still there finish with kCancelled
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Starts loading unless loading or ready. kUnavailable when no model path is configured.
  Status StartLoad();
  // Fails every request with kUnavailable and gives the memory back; a load that runs or waits to is abandoned. No-op
  // when not loaded. Of several orders in a row the last one counts.
  void StartUnload();

  // Called on the loop thread whenever LoadState changes. Set once, before the first StartLoad.
  void OnStateChange(std::function<void(LoadState)> callback);

  // The loaded model, or null when not ready.
  std::shared_ptr<const ModelInfo> model() const;
  Snapshot snapshot() const;

  // Queues a request. Errors come at once and call nothing back: kUnavailable (not ready), kInvalidArgument (empty
  // prompt, an id outside the vocabulary, prompt + max_new_tokens beyond max_context: the message has both numbers).
  // What passes fits the KV pool, which is never loaded with less than one full context.
  Result<RequestId> Submit(Request request);
  // When such a request would be done, and whether before its deadline. Nothing is queued. Some tens of microseconds.
  Prediction Predict(const Demand& demand);
  // The request's work stops within one step; on_finish(kCancelled) follows unless it has finished. Unknown ids are
  // ignored: a request may finish while its client hangs up.
  // `complete`: the answer is whole without the rest, as after a stop string, and its length is learnt.
  void Cancel(RequestId id, bool complete = false);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tenfold::engine
