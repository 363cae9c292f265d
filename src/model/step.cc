#include "model/step.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"

namespace tenfold::model {
namespace {

// Per-token work (norms, rotation) is a microsecond or a few; more tokens than this are handed out in groups.
constexpr int64_t kTokenGrain = 4;
// Groups for each thread until then: with ten tokens in three groups, one of two threads would do six of them.
constexpr int64_t kGroupsPerThread = 4;

size_t Size(int64_t n) { return static_cast<size_t>(n); }

// Grows only: a step's buffers live as long as the model. Anew, not by resize, which would keep the old contents beside
// the new and up to twice the room.
void Reserve(std::vector<float>& v, int64_t n) {
  if (v.size() >= Size(n)) return;
  std::vector<float>().swap(v);
  v.resize(Size(n));
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
void Step::RunTokens(Phase phase, int64_t n, Fn&& fn) {
  Run(phase, n, fn, std::clamp(n / (kGroupsPerThread * pool_.threads()), int64_t{1}, kTokenGrain));
}

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
  dropped_ = false;
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t i = 0; i < rows[r].tokens.size(); ++i) {
      const int64_t position = rows[r].first_position + static_cast<int64_t>(i);
      if (position >= rows[r].logits_from) logit_tokens_.push_back(static_cast<int32_t>(tokens_.size()));
      tokens_.push_back(rows[r].tokens[i]);
      positions_.push_back(position);
      row_of_token_.push_back(static_cast<int32_t>(r));
    }
  }
  attention_.Build(c_, kv_.format(), precision_, rows, pool_.threads());
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
  RunTokens(Phase::kPrepare, n, [&](int64_t t, int) {
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(positions_[Size(t)]) * rope_.frequencies[Size(i)];
      cos_[Size(t * half + i)] = static_cast<float>(rope_.magnitude * std::cos(angle));
      sin_[Size(t * half + i)] = static_cast<float>(rope_.magnitude * std::sin(angle));
    }
  });
}

void Step::Embed(const kernels::PackedMatrix& embedding) {
  RunTokens(Phase::kEmbed, static_cast<int64_t>(tokens_.size()),
            [&](int64_t t, int) { kernels::UnpackRow(embedding, tokens_[Size(t)], x_.data() + t * c_.d_model); });
}

void Step::DropUnwanted() {
  if (logit_rows() == live()) return;
  dropped_ = true;
  wanted_rows_.assign(rows_.begin(), rows_.end());
  auto from = x_.begin();
  auto to = x_.begin();
  for (StepRow& row : wanted_rows_) {
    const int64_t count = static_cast<int64_t>(row.tokens.size());
    const int64_t skip = std::clamp(row.logits_from - row.first_position, int64_t{0}, count);
    row.tokens = row.tokens.subspan(Size(skip));
    row.first_position += skip;
    // To the front, in order: no token's values are overwritten before they have moved.
    from += skip * c_.d_model;
    if (from != to) std::copy(from, from + (count - skip) * c_.d_model, to);
    from += (count - skip) * c_.d_model;
    to += (count - skip) * c_.d_model;
  }
  rows_ = wanted_rows_;
  attention_.Build(c_, kv_.format(), precision_, rows_, pool_.threads());
}

void Step::Prepare(kernels::Activations& act, std::span<const kernels::PackedMatrix* const> consumers, const float* x,
                   int64_t n, int64_t cols) {
  std::array<tensor::DType, 4> formats;
  TENFOLD_CHECK(consumers.size() <= formats.size(), "more consumers than any phase has");
  for (size_t i = 0; i < consumers.size(); ++i) formats[i] = consumers[i]->format;
  act.Prepare(isa_, {formats.data(), consumers.size()}, x, cols, n, cols, precision_);
}

void Step::Normalise(const float* weight, std::span<const kernels::PackedMatrix* const> consumers) {
  const int64_t n = live();
  Prepare(act_model_, consumers, normed_.data(), n, c_.d_model);
  RunTokens(Phase::kNormQuantise, n, [&](int64_t t, int) {
    kernels::RmsNorm(isa_, x_.data() + t * c_.d_model, weight, c_.d_model, c_.rms_eps, normed_.data() + t * c_.d_model);
    act_model_.Quantize(t, t + 1);
  });
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
      {.w = &layer.k, .x = &act_model_, .y = k_.data(), .y_stride = layer.k.rows},
      {.w = &layer.v, .x = &act_model_, .y = v_.data(), .y_stride = layer.v.rows},
      {.w = &layer.q, .x = &act_model_, .y = q_.data(), .y_stride = layer.q.rows},
  };
  if (!dropped_) return RunMatmul(Phase::kQkv, jobs);
  if (live() == 0) return RunMatmul(Phase::kQkv, std::span(jobs).first(2));
  kernels::MatmulJob wanted[] = {jobs[0], jobs[1], jobs[2]};
  wanted[2].token_rows = logit_tokens_;
  RunMatmul(Phase::kQkv, wanted);
}

int64_t Step::QueryOf(int64_t token) const {
  if (!dropped_) return token;
  const auto at = std::lower_bound(logit_tokens_.begin(), logit_tokens_.end(), token);
  return at != logit_tokens_.end() && *at == token ? at - logit_tokens_.begin() : -1;
}

void Step::RotateAndStore(int64_t layer_index, const LayerWeights& layer, kernels::RopePairing pairing) {
  const int64_t hd = c_.head_dim;
  RunTokens(Phase::kRotateStore, static_cast<int64_t>(tokens_.size()), [&](int64_t t, int) {
    const float* cos = cos_.data() + t * (c_.n_rot / 2);
    const float* sin = sin_.data() + t * (c_.n_rot / 2);
    if (const int64_t at = QueryOf(t); at >= 0) {
      AddBias(layer.q_bias, c_.n_heads * hd, q_.data() + at * c_.n_heads * hd);
      for (int64_t h = 0; h < c_.n_heads; ++h) {
        float* q = q_.data() + (at * c_.n_heads + h) * hd;
        if (layer.q_norm != nullptr) kernels::RmsNorm(isa_, q, layer.q_norm, hd, c_.rms_eps, q);
        kernels::Rope(isa_, pairing, cos, sin, c_.n_rot, q);
      }
    }
    AddBias(layer.k_bias, c_.n_kv_heads * hd, k_.data() + t * c_.n_kv_heads * hd);
    AddBias(layer.v_bias, c_.n_kv_heads * hd, v_.data() + t * c_.n_kv_heads * hd);
    const auto& page_ids = rows_[Size(row_of_token_[Size(t)])].page_ids;
    for (int64_t h = 0; h < c_.n_kv_heads; ++h) {
      float* k = k_.data() + (t * c_.n_kv_heads + h) * hd;
      if (layer.k_norm != nullptr) kernels::RmsNorm(isa_, k, layer.k_norm, hd, c_.rms_eps, k);
      kernels::Rope(isa_, pairing, cos, sin, c_.n_rot, k);
      kernels::WriteKv(isa_, kv_.Pages(layer_index, h, page_ids), positions_[Size(t)], hd, k,
                       v_.data() + (t * c_.n_kv_heads + h) * hd);
    }
  });
}

void Step::Attend(int64_t layer_index) {
  const size_t scratch_bytes = attention_.ScratchBytes();
  ReserveScratch(scratch_bytes);
  Run(Phase::kAttention, attention_.item_count(), [&](int64_t i, int worker) {
    attention_.RunItem(i, isa_, kv_, layer_index, q_.data(), attended_.data(), Scratch(worker, scratch_bytes));
  });
}

void Step::ProjectAttention(const LayerWeights& layer) {
  const int64_t n = live();
  const kernels::PackedMatrix* const consumers[] = {&layer.attn_out};
  Prepare(act_attention_, consumers, attended_.data(), n, c_.n_heads * c_.head_dim);
  RunTokens(Phase::kQuantise, n, [&](int64_t t, int) {
    AddBias(layer.attn_bias, c_.d_model, x_.data() + t * c_.d_model);
    act_attention_.Quantize(t, t + 1);
  });
  const kernels::MatmulJob jobs[] = {{.w = &layer.attn_out,
                                      .x = &act_attention_,
                                      .y = x_.data(),
                                      .y_stride = c_.d_model,
                                      .epilogue = kernels::Epilogue::kAdd}};
  RunMatmul(Phase::kAttentionOut, jobs);
}

void Step::GatedFeedForward(const LayerWeights& layer) {
  const kernels::PackedMatrix* const consumers[] = {&layer.down};
  Prepare(act_ff_, consumers, hidden_.data(), live(), c_.d_ff);
  const kernels::MatmulJob gate_up[] = {{.w = &layer.gate,
                                         .w2 = &layer.up,
                                         .x = &act_model_,
                                         .y = hidden_.data(),
                                         .y_stride = c_.d_ff,
                                         .epilogue = kernels::Epilogue::kSiluMul,
                                         .next = &act_ff_}};
  RunMatmul(Phase::kGateUp, gate_up);
  const kernels::MatmulJob down[] = {
      {.w = &layer.down, .x = &act_ff_, .y = x_.data(), .y_stride = c_.d_model, .epilogue = kernels::Epilogue::kAdd}};
  RunMatmul(Phase::kDown, down);
}

void Step::Output(const float* norm_weight, const kernels::PackedMatrix& output) {
  DropUnwanted();  // where the last layer has not
  const int64_t m = live();
  if (m == 0) return;
  const kernels::PackedMatrix* const consumers[] = {&output};
  Prepare(act_model_, consumers, normed_.data(), m, c_.d_model);
  RunTokens(Phase::kHead, m, [&](int64_t i, int) {
    kernels::RmsNorm(isa_, x_.data() + i * c_.d_model, norm_weight, c_.d_model, c_.rms_eps,
                     normed_.data() + i * c_.d_model);
    act_model_.Quantize(i, i + 1);
  });
  const kernels::MatmulJob jobs[] = {{.w = &output, .x = &act_model_, .y = logits_.data(), .y_stride = c_.vocab_size}};
  RunMatmul(Phase::kHead, jobs);
}

uint64_t Step::BytesFor(const Config& c, std::span<const tensor::DType> types, kernels::Precision precision,
                        const Extent& extent) {
  const int64_t q_width = c.n_heads * c.head_dim;
  const int64_t kv_width = c.n_kv_heads * c.head_dim;
  const int64_t floats = 2 * c.d_model + 2 * q_width + 2 * kv_width + c.d_ff + c.n_rot;
  uint64_t bytes = static_cast<uint64_t>(extent.tokens * floats + extent.logit_rows * c.vocab_size) * sizeof(float);
  for (const int64_t cols : {c.d_model, q_width, c.d_ff}) {
    bytes += kernels::Activations::BytesFor(types, extent.tokens, cols, precision);
  }
  return bytes + AttentionPlan::PartBytesFor(c, extent.context, extent.tokens, extent.rows);
}

uint64_t Step::reserved_bytes() const {
  uint64_t floats = 0;
  for (const auto* v : {&cos_, &sin_, &x_, &normed_, &q_, &k_, &v_, &attended_, &hidden_, &logits_}) {
    floats += v->capacity();
  }
  uint64_t bytes = floats * sizeof(float);
  for (const kernels::Activations* a : {&act_model_, &act_attention_, &act_ff_}) bytes += a->reserved_bytes();
  return bytes + attention_.part_bytes();
}

std::span<float> Step::Logits(int64_t i) {
  TENFOLD_CHECK(i >= 0 && i < logit_rows(), "no logits at that row");
  return {logits_.data() + i * c_.vocab_size, Size(c_.vocab_size)};
}

}  // namespace tenfold::model
