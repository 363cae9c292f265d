#include "sampling/penalties.h"

#include <algorithm>
#include <limits>

namespace tenfold::sampling {

Penalties::Penalties(const Params& params)
    : bias_(params.bias),
      repeat_(params.repeat_penalty),
      presence_(params.presence_penalty),
      frequency_(params.frequency_penalty),
      counts_answer_(presence_ != 0 || frequency_ != 0),
      counts_window_(repeat_ != 1 && params.repeat_last_n != 0),
      window_tokens_(params.repeat_last_n < 0 ? std::numeric_limits<size_t>::max()
                                              : static_cast<size_t>(params.repeat_last_n)) {}

void Penalties::Follow(History history) {
  const size_t end = history.tokens.size();
  if (counts_answer_) {
    for (size_t i = std::max(seen_, static_cast<size_t>(history.prompt_tokens)); i < end; ++i) {
      ++answer_[history.tokens[i]];
    }
  }
  if (counts_window_) {
    const size_t begin = end > window_tokens_ ? end - window_tokens_ : 0;
    for (; window_begin_ < std::min(begin, seen_); ++window_begin_) {
      const auto left = window_.find(history.tokens[window_begin_]);
      if (--left->second == 0) window_.erase(left);
    }
    window_begin_ = begin;
    for (size_t i = std::max(seen_, begin); i < end; ++i) ++window_[history.tokens[i]];
  }
  seen_ = end;
}

void Penalties::Apply(std::span<float> logits) const {
  const auto known = [&](int32_t token) { return token >= 0 && static_cast<size_t>(token) < logits.size(); };
  for (const TokenBias& bias : bias_) {
    if (known(bias.token)) logits[static_cast<size_t>(bias.token)] += bias.bias;
  }
  for (const auto& [token, count] : window_) {
    if (!known(token)) continue;
    float& logit = logits[static_cast<size_t>(token)];
    logit = logit > 0 ? logit / repeat_ : logit * repeat_;
  }
  for (const auto& [token, count] : answer_) {
    if (known(token)) logits[static_cast<size_t>(token)] -= presence_ + frequency_ * static_cast<float>(count);
  }
}

}  // namespace tenfold::sampling
