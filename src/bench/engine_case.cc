#include "bench/engine_case.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/packed_matrix.h"
#include "kv/block_pool.h"
#include "model/attention_plan.h"
#include "model/kv_store.h"

namespace tenfold::bench {
namespace {

Work MatrixWork(const kernels::PackedMatrix& w, int64_t tokens) {
  Work work;
  if (tokens == 0 || w.rows == 0) return work;
  work.bytes = static_cast<double>(kernels::PackedBytes(w.format, w.rows, w.cols));
  const double macs = static_cast<double>(w.rows) * static_cast<double>(w.cols) * static_cast<double>(tokens);
  const bool is_float = tensor::TraitsOf(w.format).block_elems == 1;
  (is_float ? work.float_macs : work.integer_macs) = macs;
  return work;
}

// Of one layer: every position's keys and values read once, and a score and a weighted sum for each head and each
// position that a token sees.
Work AttentionWork(const model::Config& config, const kernels::KvFormat& format, kernels::Precision precision,
                   std::span<const RowShape> rows) {
  const double token_bytes = static_cast<double>(model::KvStore::PageBytes(config, format)) /
                             static_cast<double>(kv::kPageTokens * config.n_layers);
  Work work;
  for (const RowShape& row : rows) {
    const auto first = static_cast<double>(row.first_position);
    const auto count = static_cast<double>(row.count);
    const double seen = count * first + count * (count + 1) / 2;
    work.bytes += (first + count) * token_bytes;
    const double macs = seen * static_cast<double>(config.n_heads * config.head_dim);
    const bool int16 =
        model::AttentionPlan::ArithmeticOf(config, format, precision, row.count) == kernels::AttendArithmetic::kInt16;
    (format.k == kernels::KvType::kF16 && !int16 ? work.float_macs : work.int16_macs) += macs;
    (format.v == kernels::KvType::kF16 && !int16 ? work.float_macs : work.int16_macs) += macs;
  }
  return work;
}

}  // namespace

std::string NameOf(const EngineCase& c) {
  return c.kind == CaseKind::kPrefill ? fmt::format("prefill {}", c.count)
                                      : fmt::format("decode {} at {}", c.count, c.context);
}

Work& Work::operator+=(const Work& other) {
  bytes += other.bytes;
  integer_macs += other.integer_macs;
  int16_macs += other.int16_macs;
  float_macs += other.float_macs;
  return *this;
}

PhaseWork WorkOfStep(const model::Config& config, const model::Weights& weights, const kernels::KvFormat& kv_format,
                     kernels::Precision precision, std::span<const RowShape> rows) {
  int64_t tokens = 0;
  int64_t logits = 0;
  for (const RowShape& row : rows) {
    tokens += row.count;
    logits += row.logits;
  }
  PhaseWork work{};
  const auto at = [&](model::Phase phase) -> Work& { return work[static_cast<size_t>(phase)]; };
  for (const model::LayerWeights& layer : weights.layers) {
    for (const kernels::PackedMatrix* w : {&layer.q, &layer.k, &layer.v}) {
      at(model::Phase::kQkv) += MatrixWork(*w, tokens);
    }
    at(model::Phase::kAttention) += AttentionWork(config, kv_format, precision, rows);
    at(model::Phase::kAttentionOut) += MatrixWork(layer.attn_out, tokens);
    for (const kernels::PackedMatrix* w : {&layer.gate, &layer.up}) {
      at(model::Phase::kGateUp) += MatrixWork(*w, tokens);
    }
    at(model::Phase::kDown) += MatrixWork(layer.down, tokens);
  }
  at(model::Phase::kHead) += MatrixWork(weights.output, logits);
  return work;
}

Work Sum(const PhaseWork& work) {
  Work sum;
  for (const Work& w : work) sum += w;
  return sum;
}

std::vector<std::vector<RowShape>> StepsOf(const EngineCase& c, int64_t step_tokens, int64_t decode_steps) {
  std::vector<std::vector<RowShape>> steps;
  if (c.kind == CaseKind::kPrefill) {
    for (int64_t first = 0; first < c.count; first += step_tokens) {
      const int64_t count = std::min(step_tokens, c.count - first);
      steps.push_back({{.first_position = first, .count = count, .logits = first + count == c.count ? 1 : 0}});
    }
    return steps;
  }
  for (int64_t i = 0; i < decode_steps; ++i) {
    steps.emplace_back(static_cast<size_t>(c.count),
                       RowShape{.first_position = c.context + i, .count = 1, .logits = 1});
  }
  return steps;
}

RoofSeconds RoofOf(const Work& work, const Roofline& roofline, kernels::Isa isa) {
  const auto seconds = [](double amount, double rate) { return rate > 0 ? amount / rate : 0; };
  return {.memory = seconds(work.bytes, roofline.read.all_threads),
          .arithmetic = seconds(work.integer_macs, roofline.AllMacsPerS(isa, kernels::PeakKind::kInteger)) +
                        seconds(work.int16_macs, roofline.AllMacsPerS(isa, kernels::PeakKind::kInt16)) +
                        seconds(work.float_macs, roofline.AllMacsPerS(isa, kernels::PeakKind::kFloat))};
}

}  // namespace tenfold::bench
