// One step's activations and the verbs that a forward pass is written in.
//
// What it does: owns the buffers of a step (reused from step to step) and runs each verb on the thread pool. What it
// does not: know an architecture; qwen2.cc, qwen3.cc and llama.cc do, and read as the forward pass itself.
//
// A step has n tokens in all, of one or more sequences, in the order of the rows given to Begin(). After DropUnwanted()
// the n of everything but keys and values is the number of positions that want logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/attention.h"
#include "kernels/matmul.h"
#include "model/attention_plan.h"
#include "model/config.h"
#include "model/kv_store.h"
#include "model/rope.h"
#include "model/step_profile.h"
#include "model/weights.h"
#include "platform/thread_pool.h"

namespace tenfold::model {

// The part of one sequence that a step computes.
struct StepRow {
  std::span<const int32_t> tokens;  // the ids at positions first_position ...
  int64_t first_position = 0;
  int64_t logits_from = 0;            // positions >= this get logits
  std::span<const int32_t> page_ids;  // pages of the sequence from position 0, enough for the last token here
};

// Not thread safe: owned and driven by the loop thread, which is worker 0 of the pool.
class Step {
 public:
  Step(const Config& config, RopeTable rope, kernels::Isa isa, kernels::Precision precision, platform::ThreadPool& pool,
       KvStore& kv);

  // From the next Begin() on, times every phase into *profile (made for the pool's threads); null: does not.
  void SetProfile(StepProfile* profile) { profile_ = profile; }

  // Lays out the tokens and the rotation angles of their positions.
  void Begin(std::span<const StepRow> rows);

  // x (n, d_model) = the tokens' embeddings.
  void Embed(const kernels::PackedMatrix& embedding);
  // From here on only the m positions that want logits go on: x becomes (m, d_model). Those of the others that are
  // normalised already still give their keys and values to the layer they are in. For the last layer, between its first
  // norm and its products: nothing above it ever looks at the other positions.
  void DropUnwanted();
  // normed (n, d_model) = rms_norm(x) * weight, ready for the matrices it is about to meet.
  void Normalise(const float* weight, std::span<const kernels::PackedMatrix* const> consumers);
  // q (n, n_heads * head_dim), k and v (n, n_kv_heads * head_dim) = normed times the layer's three matrices.
  void ProjectQkv(const LayerWeights& layer);
  // q, k and v: plus the layer's biases when it has them. Each head of q and k: rms_norm with the layer's weights when
  // it has them, then RoPE. k and v go into the pages.
  void RotateAndStore(int64_t layer_index, const LayerWeights& layer, kernels::RopePairing pairing);
  // attended (n, n_heads * head_dim) = causal attention of each sequence over its own pages.
  void Attend(int64_t layer_index);
  // x += attended times attn_out, plus the layer's bias when it has one.
  void ProjectAttention(const LayerWeights& layer);
  // x += down(silu(gate normed) * up normed).
  void GatedFeedForward(const LayerWeights& layer);
  // logits (m, vocab) for the m positions that want them, in row order.
  void Output(const float* norm_weight, const kernels::PackedMatrix& output);

  // The buffers that grow with a step: what one of this size takes at most, with weights of these types, and what is
  // held now. Not counted: scratch (some 300 KB a thread).
  struct Extent {
    int64_t tokens = 0;
    int64_t rows = 0;  // sequences
    int64_t logit_rows = 0;
    int64_t context = 0;  // all positions are below it
  };
  static uint64_t BytesFor(const Config& config, std::span<const tensor::DType> types, kernels::Precision precision,
                           const Extent& extent);
  uint64_t reserved_bytes() const;

  // (vocab) floats, valid until the next Begin(), the caller's to change. Row i belongs to the i-th wanted position.
  std::span<float> Logits(int64_t i);
  int64_t logit_rows() const { return static_cast<int64_t>(logit_tokens_.size()); }

 private:
  struct alignas(64) CacheLine {
    uint8_t bytes[64];
  };
  // Tokens that x, q and what comes after them have.
  int64_t live() const { return dropped_ ? logit_rows() : static_cast<int64_t>(tokens_.size()); }
  // The index in q of a token of the step; -1: it was dropped.
  int64_t QueryOf(int64_t token) const;
  void RunMatmul(Phase phase, std::span<const kernels::MatmulJob> jobs);
  // Makes room in `act` for x (n, cols), as the consumers want it quantised.
  void Prepare(kernels::Activations& act, std::span<const kernels::PackedMatrix* const> consumers, const float* x,
               int64_t n, int64_t cols);
  // pool_.ParallelFor, timed when somebody asked.
  template <class Fn>
  void Run(Phase phase, int64_t items, Fn&& fn, int64_t grain = 1);
  // The same for the n tokens of a phase whose work is by token.
  template <class Fn>
  void RunTokens(Phase phase, int64_t n, Fn&& fn);
  uint8_t* Scratch(int worker, size_t bytes);
  void ReserveScratch(size_t bytes);

  const Config& c_;
  const RopeTable rope_;
  kernels::Isa isa_;
  kernels::Precision precision_;
  platform::ThreadPool& pool_;
  KvStore& kv_;
  StepProfile* profile_ = nullptr;

  std::span<const StepRow> rows_;
  std::vector<int32_t> tokens_;        // (n)
  std::vector<int64_t> positions_;     // (n)
  std::vector<int32_t> row_of_token_;  // (n)
  std::vector<int32_t> logit_tokens_;  // token indices that want logits
  bool dropped_ = false;               // only logit_tokens_ go on; rows_ is then wanted_rows_
  std::vector<StepRow> wanted_rows_;
  std::vector<float> cos_, sin_;  // (n, n_rot / 2)
  std::vector<float> x_, normed_, q_, k_, v_, attended_, hidden_, logits_;
  AttentionPlan attention_;
  std::vector<kernels::MatmulJob> jobs_;
  kernels::Activations act_model_, act_attention_, act_ff_;
  kernels::MatmulPlan plan_;
  std::vector<std::vector<CacheLine>> scratch_;  // one per worker
};

}  // namespace tenfold::model
