// How long answers are, learnt from those that ended by themselves.
//
// A window of the last answers, not a distribution fitted to them: what people ask changes within a day, and a few
// hundred numbers are sorted in no time. Answers that were cut by their own limit are kept too, as at least that long:
// leaving them out would make the learnt length too short where limits are small.
#pragma once

#include <cstdint>
#include <deque>

namespace tenfold::sched {

// Not thread safe. Deterministic.
class AnswerLengths {
 public:
  // `quantile` in (0, 1): which share of answers is not longer than expected.
  explicit AnswerLengths(double quantile = 0.8) : quantile_(quantile) {}

  // An answer of `tokens` ended; `cut`: by its limit, it would have gone on.
  void Observe(int64_t tokens, bool cut);
  // Tokens still to come of an answer that has `generated` and may have at most `limit` in all, <= limit - generated.
  // The quantile of the observed answers longer than `generated`, or the limit when fewer than kEnough of them are
  // known.
  int64_t Left(int64_t generated, int64_t limit) const;
  int64_t observations() const { return static_cast<int64_t>(window_.size()); }

  static constexpr int64_t kEnough = 8;
  static constexpr int64_t kWindow = 256;

 private:
  struct Answer {
    int64_t tokens;
    bool cut;
  };
  double quantile_;
  std::deque<Answer> window_;
};

}  // namespace tenfold::sched
