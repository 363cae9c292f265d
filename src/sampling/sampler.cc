#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "sampling/filters.h"
#include "sampling/random.h"
#include "sampling/softmax.h"

namespace tenfold::sampling {
namespace {

// Adds what the caller asked to know about probabilities.
void AddLogprobs(std::span<const float> logits, float peak, int32_t n_top, Sample& sample) {
  const double log_sum = static_cast<double>(peak) + std::log(ExpSum(logits, peak, 1));
  const auto logprob = [&](float logit) { return static_cast<float>(static_cast<double>(logit) - log_sum); };
  sample.logprob = logprob(logits[static_cast<size_t>(sample.token)]);
  if (n_top == 0) return;
  SelectTop(logits, n_top, sample.top);
  for (TokenLogprob& top : sample.top) top.logprob = logprob(top.logprob);
}

}  // namespace

Sampler::Sampler(Params params) : params_(params) {}

Result<Sample> Sampler::Draw(std::span<const float> logits, int32_t n_top) {
  TENFOLD_CHECK(logits.size() <= static_cast<size_t>(std::numeric_limits<int32_t>::max()), "token ids are 32-bit");
  const double u = Uniform(params_.seed, draws_++);
  std::vector<float> finite;
  Peak peak = FindPeak(logits);
  if (peak.has_infinity) {
    finite.assign(logits.begin(), logits.end());
    const float lowest = -std::numeric_limits<float>::infinity();
    std::replace_if(
        finite.begin(), finite.end(), [](float x) { return !std::isfinite(x); }, lowest);
    logits = finite;
    peak = FindPeak(logits);
  }
  if (peak.token < 0) {
    return Error{ErrorCode::kInternal,
                 "the model computed no finite logit for the next token; its file may be damaged"};
  }
  Sample sample;
  sample.token = Pick(logits, peak.logit, peak.token, u);
  if (n_top >= 0) AddLogprobs(logits, peak.logit, n_top, sample);
  return sample;
}

int32_t Sampler::Pick(std::span<const float> logits, float peak_logit, int32_t peak_token, double u) {
  const float scale = 1 / params_.temperature;
  // Also greedy: temperatures so small that their inverse is no number.
  if (!(params_.temperature > 0) || !std::isfinite(scale)) return peak_token;
  if (!HasFilters(params_, logits.size())) return PickFromAll(logits, peak_logit, scale, u, block_sums_);

  Filter(logits, {.token = peak_token, .logit = peak_logit}, params_, candidates_, edge_);
  // floats_ holds the candidates' logits, then their weights.
  floats_.resize(candidates_.size());
  std::transform(candidates_.begin(), candidates_.end(), floats_.begin(), [](const auto& c) { return c.logprob; });
  const double total = ExpSum(floats_, peak_logit, scale);
  ExpRelative(floats_, peak_logit, scale, floats_.data());
  const int64_t at = PickByWeight(floats_, u * total);
  TENFOLD_CHECK(at >= 0, "the peak always is a candidate");
  return candidates_[static_cast<size_t>(at)].token;
}

}  // namespace tenfold::sampling
