#include "model/step.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"

namespace tenfold::model {
namespace {

// Per-token work (norms, rotation) is a few microseconds; smaller groups than this cost more to hand out than to do.
constexpr int64_t kTokenGrain = 4;

size_t Size(int64_t n) { return static_cast<size_t>(n); }

// Grows only: a step's buffers live as long as the model.
void Reserve(std::vector<float>& v, int64_t n) {
  if (v.size() < Size(n)) v.resize(Size(n));
}

// x += bias, (n) both; nothing without a bias.
void AddBias(const float* bias, int64_t n, float* x) {
  if (bias == nullptr) return;
  for (int64_t i = 0; i < n; ++i) x[i] += bias[i];
}

}  // namespace

Step::Step(const Config& config, RopeTable rope, kernels::Isa isa, kernels::Precision precision,
           platform::ThreadPool& pool, KvStore& kv)
    : c_(config),
      rope_(std::move(rope)),
      isa_(isa),
      precision_(precision),
      pool_(pool),
      kv_(kv),
      scratch_(Size(pool.threads())) {}

template <class Fn>
void Step::Run(Phase phase, int64_t items, Fn&& fn, int64_t grain) {
  if (profile_ == nullptr) return pool_.ParallelFor(items, fn, grain);
  profile_->BeginParallel(phase);
  pool_.ParallelFor(
      items,
      [&](int64_t item, int worker) {
        profile_->Enter(worker);
        fn(item, worker);
        profile_->Leave(worker);
      },
      grain);
  profile_->EndParallel();
}

// No memory left: std::bad_alloc, as from every vector of a step; the engine fails the step's requests and goes on.
void Step::ReserveScratch(size_t bytes) {
  const size_t lines = std::max<size_t>(1, (bytes + sizeof(CacheLine) - 1) / sizeof(CacheLine));
  for (std::vector<CacheLine>& scratch : scratch_) {
    if (scratch.size() < lines) scratch.resize(lines);
  }
}

uint8_t* Step::Scratch(int worker, size_t bytes) {
  std::vector<CacheLine>& scratch = scratch_[Size(worker)];
  TENFOLD_CHECK(scratch.size() * sizeof(CacheLine) >= bytes, "scratch was not reserved");
  return scratch.data()->bytes;
}

void Step::Begin(std::span<const StepRow> rows) {
  if (profile_ != nullptr) profile_->Start();
  rows_ = rows;
  tokens_.clear();
  positions_.clear();
  row_of_token_.clear();
  logit_tokens_.clear();
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t i = 0; i < rows[r].tokens.size(); ++i) {
      const int64_t position = rows[r].first_position + static_cast<int64_t>(i);
      if (position >= rows[r].logits_from) logit_tokens_.push_back(static_cast<int32_t>(tokens_.size()));
      tokens_.push_back(rows[r].tokens[i]);
      positions_.push_back(position);
      row_of_token_.push_back(static_cast<int32_t>(r));
    }
  }
  attention_.Build(c_, rows, pool_.threads());
  const int64_t n = static_cast<int64_t>(tokens_.size());
  const int64_t half = c_.n_rot / 2;
  Reserve(x_, n * c_.d_model);
  Reserve(normed_, n * c_.d_model);
  Reserve(q_, n * c_.n_heads * c_.head_dim);
  Reserve(k_, n * c_.n_kv_heads * c_.head_dim);
  Reserve(v_, n * c_.n_kv_heads * c_.head_dim);
  Reserve(attended_, n * c_.n_heads * c_.head_dim);
  Reserve(hidden_, n * c_.d_ff);
  Reserve(logits_, logit_rows() * c_.vocab_size);
  Reserve(cos_, n * half);
  Reserve(sin_, n * half);
  // In double: at position 100,000 a float angle is off by a hundredth of a radian.
  Run(
      Phase::kPrepare, n,
      [&](int64_t t, int) {
        for (int64_t i = 0; i < half; ++i) {
          const double angle = static_cast<double>(positions_[Size(t)]) * rope_.frequencies[Size(i)];
          cos_[Size(t * half + i)] = static_cast<float>(rope_.magnitude * std::cos(angle));
          sin_[Size(t * half + i)] = static_cast<float>(rope_.magnitude * std::sin(angle));
        }
      },
      kTokenGrain);
}

void Step::Embed(const kernels::PackedMatrix& embedding) {
  Run(
      Phase::kEmbed, static_cast<int64_t>(tokens_.size()),
      [&](int64_t t, int) { kernels::UnpackRow(embedding, tokens_[Size(t)], x_.data() + t * c_.d_model); },
      kTokenGrain);
}

void Step::Quantise(kernels::Activations& act, std::span<const kernels::PackedMatrix* const> consumers, const float* x,
                    int64_t n, int64_t cols) {
  std::array<tensor::DType, 4> formats;
  TENFOLD_CHECK(consumers.size() <= formats.size(), "more consumers than any phase has");
  for (size_t i = 0; i < consumers.size(); ++i) formats[i] = consumers[i]->format;
  act.Prepare(isa_, {formats.data(), consumers.size()}, x, cols, n, cols, precision_);
}

void Step::Normalise(const float* weight, std::span<const kernels::PackedMatrix* const> consumers) {
  const int64_t n = static_cast<int64_t>(tokens_.size());
  Quantise(act_model_, consumers, normed_.data(), n, c_.d_model);
  Run(
      Phase::kNormQuantise, n,
      [&](int64_t t, int) {
        kernels::RmsNorm(isa_, x_.data() + t * c_.d_model, weight, c_.d_model, c_.rms_eps,
                         normed_.data() + t * c_.d_model);
        act_model_.Quantize(t, t + 1);
      },
      kTokenGrain);
}

void Step::RunMatmul(Phase phase, std::span<const kernels::MatmulJob> jobs) {
  plan_.Build(isa_, precision_, jobs, pool_.threads());
  const size_t scratch_bytes = plan_.ScratchBytes();
  ReserveScratch(scratch_bytes);
  Run(phase, plan_.item_count(),
      [&](int64_t item, int worker) { plan_.RunItem(item, Scratch(worker, scratch_bytes)); });
}

void Step::ProjectQkv(const LayerWeights& layer) {
  const kernels::MatmulJob jobs[] = {
      {.w = &layer.q, .x = &act_model_, .y = q_.data(), .y_stride = layer.q.rows},
      {.w = &layer.k, .x = &act_model_, .y = k_.data(), .y_stride = layer.k.rows},
      {.w = &layer.v, .x = &act_model_, .y = v_.data(), .y_stride = layer.v.rows},
  };
  RunMatmul(Phase::kQkv, jobs);
}

void Step::RotateAndStore(int64_t layer_index, const LayerWeights& layer, kernels::RopePairing pairing) {
  const int64_t hd = c_.head_dim;
  Run(
      Phase::kRotateStore, static_cast<int64_t>(tokens_.size()),
      [&](int64_t t, int) {
        const float* cos = cos_.data() + t * (c_.n_rot / 2);
        const float* sin = sin_.data() + t * (c_.n_rot / 2);
        AddBias(layer.q_bias, c_.n_heads * hd, q_.data() + t * c_.n_heads * hd);
        AddBias(layer.k_bias, c_.n_kv_heads * hd, k_.data() + t * c_.n_kv_heads * hd);
        AddBias(layer.v_bias, c_.n_kv_heads * hd, v_.data() + t * c_.n_kv_heads * hd);
        for (int64_t h = 0; h < c_.n_heads; ++h) {
          float* q = q_.data() + (t * c_.n_heads + h) * hd;
          if (layer.q_norm != nullptr) kernels::RmsNorm(isa_, q, layer.q_norm, hd, c_.rms_eps, q);
          kernels::Rope(isa_, pairing, cos, sin, c_.n_rot, q);
        }
        const auto& page_ids = rows_[Size(row_of_token_[Size(t)])].page_ids;
        for (int64_t h = 0; h < c_.n_kv_heads; ++h) {
          float* k = k_.data() + (t * c_.n_kv_heads + h) * hd;
          if (layer.k_norm != nullptr) kernels::RmsNorm(isa_, k, layer.k_norm, hd, c_.rms_eps, k);
          kernels::Rope(isa_, pairing, cos, sin, c_.n_rot, k);
          kernels::WriteKv(isa_, kv_.Pages(layer_index, h, page_ids), positions_[Size(t)], hd, k,
                           v_.data() + (t * c_.n_kv_heads + h) * hd);
        }
      },
      kTokenGrain);
}

void Step::Attend(int64_t layer_index) {
  const size_t scratch_bytes = attention_.ScratchBytes();
  ReserveScratch(scratch_bytes);
  Run(Phase::kAttention, attention_.item_count(), [&](int64_t i, int worker) {
    attention_.RunItem(i, isa_, kv_, layer_index, q_.data(), attended_.data(), Scratch(worker, scratch_bytes));
  });
}

void Step::ProjectAttention(const LayerWeights& layer) {
  const int64_t n = static_cast<int64_t>(tokens_.size());
  const kernels::PackedMatrix* const consumers[] = {&layer.attn_out};
  Quantise(act_attention_, consumers, attended_.data(), n, c_.n_heads * c_.head_dim);
  Run(
      Phase::kQuantise, n,
      [&](int64_t t, int) {
        AddBias(layer.attn_bias, c_.d_model, x_.data() + t * c_.d_model);
        act_attention_.Quantize(t, t + 1);
      },
      kTokenGrain);
  const kernels::MatmulJob jobs[] = {{.w = &layer.attn_out,
                                      .x = &act_attention_,
                                      .y = x_.data(),
                                      .y_stride = c_.d_model,
                                      .epilogue = kernels::Epilogue::kAdd}};
  RunMatmul(Phase::kAttentionOut, jobs);
}

void Step::GatedFeedForward(const LayerWeights& layer) {
  const int64_t n = static_cast<int64_t>(tokens_.size());
  const kernels::MatmulJob gate_up[] = {{.w = &layer.gate,
                                         .w2 = &layer.up,
                                         .x = &act_model_,
                                         .y = hidden_.data(),
                                         .y_stride = c_.d_ff,
                                         .epilogue = kernels::Epilogue::kSiluMul}};
  RunMatmul(Phase::kGateUp, gate_up);
  const kernels::PackedMatrix* const consumers[] = {&layer.down};
  Quantise(act_ff_, consumers, hidden_.data(), n, c_.d_ff);
  Run(Phase::kQuantise, n, [&](int64_t t, int) { act_ff_.Quantize(t, t + 1); });
  const kernels::MatmulJob down[] = {
      {.w = &layer.down, .x = &act_ff_, .y = x_.data(), .y_stride = c_.d_model, .epilogue = kernels::Epilogue::kAdd}};
  RunMatmul(Phase::kDown, down);
}

void Step::Output(const float* norm_weight, const kernels::PackedMatrix& output) {
  const int64_t m = logit_rows();
  if (m == 0) return;
  const kernels::PackedMatrix* const consumers[] = {&output};
  // Only the wanted positions: gathered to the front of normed.
  Quantise(act_model_, consumers, normed_.data(), m, c_.d_model);
  Run(
      Phase::kHead, m,
      [&](int64_t i, int) {
        kernels::RmsNorm(isa_, x_.data() + logit_tokens_[Size(i)] * c_.d_model, norm_weight, c_.d_model, c_.rms_eps,
                         normed_.data() + i * c_.d_model);
        act_model_.Quantize(i, i + 1);
      },
      kTokenGrain);
  const kernels::MatmulJob jobs[] = {{.w = &output, .x = &act_model_, .y = logits_.data(), .y_stride = c_.vocab_size}};
  RunMatmul(Phase::kHead, jobs);
}

std::span<float> Step::Logits(int64_t i) {
  TENFOLD_CHECK(i >= 0 && i < logit_rows(), "no logits at that row");
  return {logits_.data() + i * c_.vocab_size, Size(c_.vocab_size)};
}

}  // namespace tenfold::model
