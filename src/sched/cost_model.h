// How long a step takes, learnt from the steps that were taken.
//
// What it does: predicts milliseconds for a step that is described by counts (StepCost). What it does not: look at a
// clock or decide anything; the loop measures, the scheduler and admission ask.
//
// Why this algorithm: a step reads all weights once (a constant), multiplies them with every token (linear), and every
// token reads the context before it (linear in tokens times context). So time is a sum of a few products of a count and
// an unknown price, and recursive least squares finds the prices in O(features squared) a step without keeping history.
// Four things are added, each because the plain method fails without it:
// - Errors count relative to the step's length: a 5 s prompt step would otherwise drown out every 80 ms decode step.
// - Prices stay at 0 or above, and the uncertainty of a price that is not being exercised stops growing (hours of
//   decoding say nothing about prompts, and must not make the next prompt step rewrite everything).
// - A step far from its prediction moves the prices by at most a few times the usual error.
// - On a shared host everything becomes slower and faster together within seconds. One factor for the speed of the
//   moment, the median over the last steps of actual over predicted, multiplies every prediction: one or two disturbed
//   steps do not move it, a change that lasts does within three. What stays seeps into the prices.
// Prompt tokens have two prices, for the first kFirstTokens of a step and for the others, because few tokens wait for
// memory and many for arithmetic.
//
// Deterministic: the same observations give the same predictions. Not thread safe; copies are cheap (some 500 bytes),
// so that whoever predicts may hold one beside the loop's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tenfold::sched {

// What decides how long a step takes. "Context" of a row is the number of tokens that each of its tokens attends to, on
// average; context_reads is tokens times context, summed.
struct StepCost {
  int64_t decode_rows = 0;           // rows of one token, drawn from
  int64_t prompt_tokens = 0;         // tokens of all other rows
  int64_t decode_context_reads = 0;  // sum of the decode rows' contexts
  int64_t prompt_context_reads = 0;  // sum over prompt rows of tokens * mean context

  // Adds a row of `count` tokens that begins at `first_position`.
  void AddRow(int64_t first_position, int64_t count);
};

class CostModel {
 public:
  static constexpr int64_t kFirstTokens = 32;

  // A step of this cost took `ms` (> 0; others are ignored, as is a cost without tokens).
  void Observe(const StepCost& cost, double ms);

  // Milliseconds, > 0. Before the first observation 1 ms, whatever the cost: ask observations() first.
  double PredictMs(const StepCost& cost) const;

  // The most prompt tokens beginning at `first_position` that can be added to `base` so that the step is predicted to
  // take at most budget_ms; 0 when none can, `most` (>= 0) when all can. Besides only a little more than any such step
  // so far had (with decode rows, or without), because prices learnt from a few tokens say little about many: without
  // decode rows twice as many, beside them as many as hold for any machine, where k times the tokens cannot take longer
  // than k times the step.
  int64_t PromptTokensWithin(double budget_ms, const StepCost& base, int64_t first_position, int64_t most) const;

  // The speed of the moment: predictions are multiplied by it; 1 is as usual, 2 half as fast.
  double slowness() const { return slowness_; }
  // Mean relative error of recent predictions, 0.1 for a tenth; for metrics and logs.
  double relative_error() const { return error_; }
  int64_t observations() const { return seen_; }

 private:
  static constexpr size_t kFeatures = 6;
  static constexpr size_t kRecent = 5;
  using Vector = std::array<double, kFeatures>;

  static Vector Features(const StepCost& cost);
  double Raw(const Vector& x) const;  // without the speed of the moment
  void Begin(const StepCost& cost, double ms);
  void Learn(const Vector& x, double ms);
  void Forget();
  void FollowSpeed(double ratio);

  Vector prices_{};                              // ms for one of each feature
  Vector scale_{};                               // what a price of this kind may be like, for the uncertainty
  std::array<Vector, kFeatures> uncertainty_{};  // covariance of the prices
  std::array<double, kRecent> recent_{};         // actual / raw of the last steps, oldest overwritten
  double slowness_ = 1;
  double error_ = 0.1;
  int64_t seen_ = 0;
  int64_t largest_prompt_ = 0;  // tokens of a step without decode rows
  int64_t largest_mixed_ = 0;   // prompt tokens of a step with some
};

}  // namespace tenfold::sched
