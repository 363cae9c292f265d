// Logits to one token, reproducibly: penalties-free chain of temperature, top-k, min-p and top-p.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace tenfold::sampling {

// As the OpenAI and llama-server fields of the same names. temperature 0 is greedy (ties: the lowest id).
struct Params {
  float temperature = 1.0f;   // 0 .. 2 (larger is refused by api/)
  float top_p = 1.0f;         // (0, 1]
  int32_t top_k = 0;          // 0: off
  float min_p = 0.0f;         // [0, 1]
  uint64_t seed = 0;
};

struct TokenLogprob { int32_t token = 0; float logprob = 0; };

struct Sample {
  int32_t token = 0;
  float logprob = 0;                    // of `token` under softmax(logits), before temperature and filters
  std::vector<TokenLogprob> top;        // the n_top likeliest, likeliest first; empty unless asked
};

// One per sequence; used by one thread at a time. The n-th draw depends only on (params.seed, n).
class Sampler {
 public:
  explicit Sampler(Params params);
  // logits: (vocab) floats, not modified. n_top < 0: no log-probabilities are computed at all (logprob stays 0).
  // NaN logits count as -inf; if nothing is finite, kInternal.
  Result<Sample> Draw(std::span<const float> logits, int32_t n_top);
  const Params& params() const { return params_; }

 private:
  Params params_;
  uint64_t draws_ = 0;
  std::vector<TokenLogprob> candidates_;  // reused between draws
};

}  // namespace tenfold::sampling
