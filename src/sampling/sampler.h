// Logits to one token, reproducibly: the chain bias, penalties, mask, top-k, typical-p, top-p, min-p, temperature,
// draw.
//
// The order is llama-server's default: the filters see the softmax of the penalised logits (each that of the tokens the
// one before it left, min-p relative to the likeliest of them), and the temperature only shapes the draw among what is
// left. Log-probabilities are told of the plain logits, as the model computed them, whatever the chain does.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"

namespace tenfold::sampling {

// As the OpenAI and llama-server fields of the same names. temperature 0 is greedy (ties: the lowest id). Ranges are
// api/'s to check; what lies outside is taken as the nearest thing that makes sense (a negative or NaN temperature is
// greedy, a top_p of 0 or less keeps one token).
struct TokenBias {
  int32_t token = 0;
  float bias = 0;  // added to the logit; -inf: the token is never drawn
};

struct Params {
  float temperature = 1.0f;  // 0 .. 2 (larger is refused by api/)
  float top_p = 1.0f;        // (0, 1]: the likeliest tokens whose probabilities together first reach it
  int32_t top_k = 0;         // 0: off
  float min_p = 0.0f;        // [0, 1]: at least this part of the likeliest token's probability
  float typical_p = 1.0f;    // (0, 1]: the tokens nearest to the expected surprise whose probabilities first reach it
  float repeat_penalty = 1.0f;     // > 0; of the last repeat_last_n tokens, the prompt's included
  int32_t repeat_last_n = 64;      // < 0: all, 0: none
  float presence_penalty = 0.0f;   // -2 .. 2; once for every token of the answer so far
  float frequency_penalty = 0.0f;  // -2 .. 2; for every time it appeared there
  std::vector<TokenBias> bias{};   // several of one token add up
  uint64_t seed = 0;
};

// The tokens before the one to be drawn: a prompt, then what was drawn.
struct History {
  std::span<const int32_t> tokens{};
  int64_t prompt_tokens = 0;
};

struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
};

struct Sample {
  int32_t token = 0;
  float logprob = 0;              // of `token` under softmax(logits), before everything the chain does
  std::vector<TokenLogprob> top;  // the n_top likeliest, likeliest first; empty unless asked
};

// The log-probability of `token` under softmax(logits), and of the n_top likeliest (n_top >= 0). No draw, no state; any
// thread. Errors and accuracy as Sampler::Draw; -inf where the token's logit is not finite.
Result<Sample> Score(std::span<const float> logits, int32_t token, int32_t n_top);

class Penalties;

// One per sequence; used by one thread at a time. The n-th draw depends only on (params, n, history, logits): the only
// states are the number of draws made and the counts of the history, so results do not depend on threads or on other
// sequences.
// Log-probabilities are exact to 1e-6 plus float rounding.
class Sampler {
 public:
  explicit Sampler(Params params);
  ~Sampler();
  Sampler(Sampler&&) noexcept;
  Sampler& operator=(Sampler&&) noexcept;
  // logits: (vocab) floats, not modified. n_top < 0: no log-probabilities are computed at all (logprob stays 0); else
  // one more pass over the vocabulary for the sum, and one for n_top > 0. `top` is shorter than n_top if fewer tokens
  // have a finite logit. NaN and infinite logits count as -inf, which is never drawn; if nothing is finite, kInternal;
  // if the biases and the mask leave nothing, kInvalidArgument. A history begins with the one given before.
  // mask: token t is never drawn unless bit t % 64 of word t / 64 is set; empty: all may be.
  Result<Sample> Draw(std::span<const float> logits, int32_t n_top, History history = {},
                      std::span<const uint64_t> mask = {});

 private:
  int32_t Pick(std::span<const float> logits, float peak_logit, int32_t peak_token, double u);

  Params params_;
  uint64_t draws_ = 0;
  std::unique_ptr<Penalties> penalties_;  // null: nothing is changed
  // Scratch, reused between draws.
  std::vector<float> adjusted_;
  std::vector<TokenLogprob> candidates_;
  std::vector<TokenLogprob> edge_;
  std::vector<float> floats_;
  std::vector<double> block_sums_;
};

}  // namespace tenfold::sampling
