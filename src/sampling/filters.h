// Which tokens may be drawn: top-k, then typical-p, then top-p, then min-p, without ever sorting the vocabulary.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sampling/sampler.h"
#include "sampling/softmax.h"

namespace tenfold::sampling {

// In this room TokenLogprob also carries plain logits. Likelier first; among equals the lower id.
inline bool Likelier(const TokenLogprob& a, const TokenLogprob& b) {
  return a.logprob != b.logprob ? a.logprob > b.logprob : a.token < b.token;
}

// The k >= 1 largest logits above -inf (fewer if there are fewer) with their ids, likeliest first. NaN is skipped.
// One pass that skips what cannot be among them; O(vocabulary + k log k) however the logits are ordered.
void SelectTop(std::span<const float> logits, int64_t k, std::vector<TokenLogprob>& out);

// True if the parameters exclude any token at all of a vocabulary of that size.
bool HasFilters(const Params& params, size_t vocabulary);

// The tokens with logits that pass top_k, typical_p, top_p and min_p, in no particular but always the same order. At
// least one, and without typical_p at least the peak. Needs a finite peak of these logits and HasFilters. edge:
// scratch, kept by the caller between calls.
void Filter(std::span<const float> logits, const Peak& peak, const Params& params, std::vector<TokenLogprob>& out,
            std::vector<TokenLogprob>& edge);

}  // namespace tenfold::sampling
