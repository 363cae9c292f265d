// Logits to one token, reproducibly: the chain top-k, top-p, min-p, temperature, draw. No penalties.
//
// The order is llama-server's default: the filters see the plain softmax (top-p that of the top-k tokens, min-p
// relative to the likeliest token), and the temperature only shapes the draw among what is left.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace tenfold::sampling {

// As the OpenAI and llama-server fields of the same names. temperature 0 is greedy (ties: the lowest id). Ranges are
// api/'s to check; what lies outside is taken as the nearest thing that makes sense (a negative or NaN temperature is
// greedy, a top_p of 0 or less keeps one token).
struct Params {
  float temperature = 1.0f;  // 0 .. 2 (larger is refused by api/)
  float top_p = 1.0f;        // (0, 1]: the likeliest tokens whose probabilities together first reach it
  int32_t top_k = 0;         // 0: off
  float min_p = 0.0f;        // [0, 1]: at least this part of the likeliest token's probability
  uint64_t seed = 0;
};

struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
};

struct Sample {
  int32_t token = 0;
  float logprob = 0;              // of `token` under softmax(logits), before temperature and filters
  std::vector<TokenLogprob> top;  // the n_top likeliest, likeliest first; empty unless asked
};

// One per sequence; used by one thread at a time. The n-th draw depends only on (params, n, logits): no state but the
// number of draws made, so results do not depend on threads or on other sequences.
// Log-probabilities are exact to 1e-6 plus float rounding.
class Sampler {
 public:
  explicit Sampler(Params params);
  // logits: (vocab) floats, not modified. n_top < 0: no log-probabilities are computed at all (logprob stays 0); else
  // one more pass over the vocabulary for the sum, and one for n_top > 0. `top` is shorter than n_top if fewer tokens
  // have a finite logit. NaN and infinite logits count as -inf, which is never drawn; if nothing is finite, kInternal.
  Result<Sample> Draw(std::span<const float> logits, int32_t n_top);

 private:
  int32_t Pick(std::span<const float> logits, float peak_logit, int32_t peak_token, double u);

  Params params_;
  uint64_t draws_ = 0;
  // Scratch, reused between draws.
  std::vector<TokenLogprob> candidates_;
  std::vector<TokenLogprob> edge_;
  std::vector<float> floats_;
  std::vector<double> block_sums_;
};

}  // namespace tenfold::sampling
