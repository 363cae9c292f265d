// What a request changes about logits before anything is filtered: biases of single tokens, and penalties of those that
// have appeared.
//
// Counts are kept from draw to draw and follow the history as it grows, so that a long answer costs no more a token
// than a short one; what Apply does is still a function of parameters and history alone.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "sampling/sampler.h"

namespace tenfold::sampling {

// One per sequence, used by one thread at a time.
class Penalties {
 public:
  explicit Penalties(const Params& params);

  // False: no call of Apply would change anything.
  bool any() const { return !bias_.empty() || counts_answer_ || counts_window_; }
  // Takes notice of the tokens behind those seen so far. Needs a history that begins with the one given before.
  void Follow(History history);
  // Bias, then, as llama.cpp does: a token of the window is divided by the repeat penalty where its logit is positive
  // and multiplied otherwise; then presence + frequency * count are taken off the tokens of the answer. Ids beyond the
  // vocabulary are left out.
  void Apply(std::span<float> logits) const;

 private:
  std::vector<TokenBias> bias_;
  float repeat_;
  float presence_;
  float frequency_;
  bool counts_answer_;
  bool counts_window_;
  size_t window_tokens_;  // how many of the last ones count

  size_t seen_ = 0;
  size_t window_begin_ = 0;
  std::unordered_map<int32_t, int64_t> answer_;  // token to its count
  std::unordered_map<int32_t, int64_t> window_;
};

}  // namespace tenfold::sampling
