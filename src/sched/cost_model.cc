#include "sched/cost_model.h"

#include <algorithm>
#include <cmath>

namespace tenfold::sched {
namespace {

constexpr int64_t kWarmup = 8;        // observations before disturbances are told from news
constexpr double kLeastError = 0.02;  // relative noise that no clock and no machine stays below
constexpr double kClip = 4;           // times the usual error
constexpr double kForget = 0.01;      // of a price, each step: half of what is known is older than some hundred steps
constexpr double kMostDoubt = 0.25;   // of a price: where forgetting stops
constexpr double kSeep = 0.02;        // of the speed's logarithm, each step, into the prices
constexpr double kMostSlowness = 8;
// What a step without tokens would cost beside one token: 7 on two cores with AVX-512, 4 with AVX2. Half of the first
// step's time, whatever it had, was tried: after a prompt of 512 a stream seemed to cost half of what it did, and the
// prompts beside it got a third of their tokens.
constexpr double kWeightsInTokens = 8;

void AddPrompt(int64_t first_position, int64_t tokens, StepCost* cost) {
  cost->prompt_tokens += tokens;
  cost->prompt_context_reads += tokens * first_position + tokens * (tokens + 1) / 2;
}

}  // namespace

void StepCost::AddRow(int64_t first_position, int64_t count) {
  if (count == 1) {
    ++decode_rows;
    decode_context_reads += first_position + 1;
  } else {
    AddPrompt(first_position, count, this);
  }
}

CostModel::Vector CostModel::Features(const StepCost& cost) {
  const int64_t first = std::min(cost.prompt_tokens, kFirstTokens);
  return {1,
          static_cast<double>(cost.decode_rows),
          static_cast<double>(first),
          static_cast<double>(cost.prompt_tokens - first),
          static_cast<double>(cost.decode_context_reads),
          static_cast<double>(cost.prompt_context_reads)};
}

double CostModel::Raw(const Vector& x) const {
  double sum = 0;
  for (size_t i = 0; i < kFeatures; ++i) sum += prices_[i] * x[i];
  return std::max(sum, 1e-6);
}

double CostModel::PredictMs(const StepCost& cost) const { return seen_ == 0 ? 1.0 : slowness_ * Raw(Features(cost)); }

// Until more is known, reading the weights costs what kWeightsInTokens tokens do, and contexts are free. The first is
// doubted least: a few tokens beside a stream, all that a cautious step has, cannot tell the two apart.
void CostModel::Begin(const StepCost& cost, double ms) {
  const double token_ms = ms / (kWeightsInTokens + static_cast<double>(cost.decode_rows + cost.prompt_tokens));
  const double weights_ms = kWeightsInTokens * token_ms;
  prices_ = {weights_ms, token_ms, token_ms, token_ms, 0, 0};
  scale_ = {weights_ms / 4, 2 * token_ms, 2 * token_ms, 2 * token_ms, token_ms / 1000, token_ms / 1000};
  for (size_t i = 0; i < kFeatures; ++i) uncertainty_[i][i] = scale_[i] * scale_[i];
  recent_.fill(1);
}

void CostModel::Observe(const StepCost& cost, double ms) {
  if (!(ms > 0) || !std::isfinite(ms) || cost.decode_rows + cost.prompt_tokens <= 0) return;
  if (seen_ == 0) Begin(cost, ms);
  const Vector x = Features(cost);
  const double wrong = std::min(1.0, std::abs(ms - slowness_ * Raw(x)) / ms);
  if (seen_ > 0) error_ += 0.05 * (wrong - error_);
  int64_t& largest = cost.decode_rows > 0 ? largest_mixed_ : largest_prompt_;
  largest = std::max(largest, cost.prompt_tokens);
  ++seen_;
  if (seen_ > kWarmup) FollowSpeed(ms / Raw(x));
  Learn(x, ms / slowness_);
}

// One step of a Kalman filter on the relative error: the target is 1, the features are divided by what was measured.
void CostModel::Learn(const Vector& x, double ms) {
  Forget();
  const double noise = std::max(error_, kLeastError);
  double wrong = 1 - Raw(x) / ms;
  if (seen_ > kWarmup) wrong = std::clamp(wrong, -kClip * noise, kClip * noise);
  Vector gain{};
  double spread = noise * noise;
  for (size_t i = 0; i < kFeatures; ++i) {
    for (size_t j = 0; j < kFeatures; ++j) gain[i] += uncertainty_[i][j] * x[j] / ms;
    spread += gain[i] * x[i] / ms;
  }
  for (size_t i = 0; i < kFeatures; ++i) {
    prices_[i] = std::max(0.0, prices_[i] + gain[i] / spread * wrong);
    for (size_t j = 0; j < kFeatures; ++j) uncertainty_[i][j] -= gain[i] * gain[j] / spread;
  }
}

void CostModel::Forget() {
  for (size_t i = 0; i < kFeatures; ++i) {
    const double price = std::max(prices_[i], 0.05 * scale_[i]);
    const double most = kMostDoubt * price;
    uncertainty_[i][i] = std::max(uncertainty_[i][i], 0.0);  // rounding
    if (uncertainty_[i][i] < most * most) uncertainty_[i][i] += kForget * kForget * price * price;
  }
}

void CostModel::FollowSpeed(double ratio) {
  recent_[static_cast<size_t>(seen_) % kRecent] = ratio;
  std::array<double, kRecent> sorted = recent_;
  std::nth_element(sorted.begin(), sorted.begin() + kRecent / 2, sorted.end());
  slowness_ = std::clamp(sorted[kRecent / 2], 1 / kMostSlowness, kMostSlowness);
  const double seep = std::pow(slowness_, kSeep);
  for (size_t i = 0; i < kFeatures; ++i) {
    prices_[i] *= seep;
    scale_[i] *= seep;
    for (double& u : uncertainty_[i]) u *= seep * seep;
  }
  for (double& r : recent_) r /= seep;
  slowness_ /= seep;
}

int64_t CostModel::PromptTokensWithin(double budget_ms, const StepCost& base, int64_t first_position,
                                      int64_t most) const {
  // Beside streams only what was seen there counts: steps of hundreds of tokens tell little of steps of ten.
  int64_t high = most;
  if (base.decode_rows > 0) {
    StepCost seen = base;
    AddPrompt(first_position, largest_mixed_, &seen);
    const double rows = static_cast<double>(seen.decode_rows + seen.prompt_tokens) * budget_ms / PredictMs(seen);
    const double more = std::clamp(rows - static_cast<double>(base.decode_rows + base.prompt_tokens), 0.0, 1e9);
    high = std::min(high, std::max(largest_mixed_, static_cast<int64_t>(more)));
  } else if (largest_prompt_ > 0) {
    high = std::min(high, 2 * largest_prompt_);
  }
  int64_t low = 0;  // the most that is known to do
  while (low < high) {
    const int64_t middle = low + (high - low + 1) / 2;
    StepCost with = base;
    AddPrompt(first_position, middle, &with);
    if (PredictMs(with) <= budget_ms) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

}  // namespace tenfold::sched
