#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "sampling/filters.h"
#include "sampling/penalties.h"
#include "sampling/random.h"
#include "sampling/softmax.h"

namespace tenfold::sampling {
namespace {

// The logits as the chain takes them: infinities and their like as -inf, which costs a copy only where there are any.
struct Finite {
  explicit Finite(std::span<const float> all) : logits(all), peak(FindPeak(all)) {
    if (!peak.has_infinity) return;
    copy.assign(all.begin(), all.end());
    constexpr float kLowest = -std::numeric_limits<float>::infinity();
    std::replace_if(
        copy.begin(), copy.end(), [](float x) { return !std::isfinite(x); }, kLowest);
    logits = copy;
    peak = FindPeak(logits);
  }
  Finite(const Finite&) = delete;
  Finite& operator=(const Finite&) = delete;

  std::vector<float> copy;
  std::span<const float> logits;
  Peak peak;
};

// Adds what the caller asked to know about probabilities.
void AddLogprobs(std::span<const float> logits, float peak, int32_t n_top, Sample& sample) {
  const double log_sum = static_cast<double>(peak) + std::log(ExpSum(logits, peak, 1));
  const auto logprob = [&](float logit) { return static_cast<float>(static_cast<double>(logit) - log_sum); };
  sample.logprob = logprob(logits[static_cast<size_t>(sample.token)]);
  if (n_top == 0) return;
  SelectTop(logits, n_top, sample.top);
  for (TokenLogprob& top : sample.top) top.logprob = logprob(top.logprob);
}

void ApplyMask(std::span<const uint64_t> mask, std::span<float> logits) {
  TENFOLD_CHECK(mask.size() * 64 >= logits.size(), "a mask covers all logits");
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  for (size_t begin = 0; begin < logits.size(); begin += 64) {
    const uint64_t word = mask[begin / 64];
    if (word == ~uint64_t{0}) continue;
    const auto block = logits.subspan(begin, std::min<size_t>(64, logits.size() - begin));
    if (word == 0) {
      std::fill(block.begin(), block.end(), kLowest);
      continue;
    }
    for (size_t i = 0; i < block.size(); ++i) block[i] = (word >> i & 1) != 0 ? block[i] : kLowest;
  }
}

Error NoFiniteLogit() {
  return {ErrorCode::kInternal, "the model computed no finite logit for the next token; its file may be damaged"};
}

}  // namespace

Result<Sample> Score(std::span<const float> logits, int32_t token, int32_t n_top) {
  TENFOLD_CHECK(token >= 0 && static_cast<size_t>(token) < logits.size() && n_top >= 0, "a score of no token");
  const Finite finite(logits);
  if (finite.peak.token < 0) return NoFiniteLogit();
  Sample sample;
  sample.token = token;
  AddLogprobs(finite.logits, finite.peak.logit, n_top, sample);
  if (std::isnan(sample.logprob)) sample.logprob = -std::numeric_limits<float>::infinity();
  return sample;
}

Sampler::Sampler(Params params) : params_(std::move(params)) {
  auto penalties = std::make_unique<Penalties>(params_);
  if (penalties->any()) penalties_ = std::move(penalties);
}
Sampler::~Sampler() = default;
Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;

Result<Sample> Sampler::Draw(std::span<const float> logits, int32_t n_top, History history,
                             std::span<const uint64_t> mask) {
  TENFOLD_CHECK(logits.size() <= static_cast<size_t>(std::numeric_limits<int32_t>::max()), "token ids are 32-bit");
  const double u = Uniform(params_.seed, draws_++);
  const Finite plain(logits);
  if (plain.peak.token < 0) return NoFiniteLogit();
  Sample sample;
  if (penalties_ || !mask.empty()) {
    adjusted_.assign(plain.logits.begin(), plain.logits.end());
    if (penalties_) {
      penalties_->Follow(history);
      penalties_->Apply(adjusted_);
    }
    if (!mask.empty()) ApplyMask(mask, adjusted_);
    const Finite changed(adjusted_);
    if (changed.peak.token < 0) {
      return Error{ErrorCode::kInvalidArgument, mask.empty()
                                                    ? "logit_bias leaves no token that could be drawn"
                                                    : "logit_bias and the grammar leave no token that could be drawn"};
    }
    sample.token = Pick(changed.logits, changed.peak.logit, changed.peak.token, u);
  } else {
    sample.token = Pick(plain.logits, plain.peak.logit, plain.peak.token, u);
  }
  if (n_top >= 0) AddLogprobs(plain.logits, plain.peak.logit, n_top, sample);
  return sample;
}

int32_t Sampler::Pick(std::span<const float> logits, float peak_logit, int32_t peak_token, double u) {
  const float scale = 1 / params_.temperature;
  // Also greedy: temperatures so small that their inverse is no number.
  if (!(params_.temperature > 0) || !std::isfinite(scale)) return peak_token;
  if (!HasFilters(params_, logits.size())) return PickFromAll(logits, peak_logit, scale, u, block_sums_);

  Filter(logits, {.token = peak_token, .logit = peak_logit}, params_, candidates_, edge_);
  // floats_ holds the candidates' logits, then their weights. Typical-p may have dropped the peak of all.
  floats_.resize(candidates_.size());
  std::transform(candidates_.begin(), candidates_.end(), floats_.begin(), [](const auto& c) { return c.logprob; });
  if (params_.typical_p < 1) peak_logit = *std::max_element(floats_.begin(), floats_.end());
  const double total = ExpSum(floats_, peak_logit, scale);
  ExpRelative(floats_, peak_logit, scale, floats_.data());
  const int64_t at = PickByWeight(floats_, u * total);
  TENFOLD_CHECK(at >= 0, "the peak always is a candidate");
  return candidates_[static_cast<size_t>(at)].token;
}

}  // namespace tenfold::sampling
