#include "sched/forecast.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <list>

#include "base/check.h"
#include "sched/prompt_shares.h"

namespace tenfold::sched {
namespace {

class Replayer {
 public:
  Replayer(std::span<const Work> running, std::span<const Work> waiting, const Service& service,
           const StepTime& step_ms)
      : service_(service), step_ms_(step_ms), work_(running.begin(), running.end()) {
    work_.insert(work_.end(), waiting.begin(), waiting.end());
    forecast_.first_token_ms.assign(work_.size(), 0);
    forecast_.done_ms.assign(work_.size(), 0);
    for (size_t i = 0; i < running.size(); ++i) Start(i);
    for (size_t i = running.size(); i < work_.size(); ++i) pending_.push_back(i);
  }

  Forecast Run() {
    for (;;) {
      StartPending();
      if (!active_.empty()) {
        Stride();
      } else if (!pending_.empty()) {
        now_ms_ = NextArrival();
      } else {
        return std::move(forecast_);
      }
    }
  }

 private:
  // Whoever has arrived takes the places that are free.
  void StartPending() {
    for (auto it = pending_.begin(); it != pending_.end() && HasPlace();) {
      if (work_[*it].arrives_ms > now_ms_) {
        ++it;
      } else {
        Start(*it);
        it = pending_.erase(it);
      }
    }
  }
  bool HasPlace() const { return std::ssize(active_) < service_.max_running; }
  // Of those that are not there yet; where a place is free, all that are pending are.
  double NextArrival() const {
    double next = std::numeric_limits<double>::infinity();
    for (const size_t i : pending_) next = std::min(next, work_[i].arrives_ms);
    return next;
  }

  void Start(size_t i) {
    if (work_[i].prompt_left <= 0 && work_[i].answer_left <= 0) {
      forecast_.first_token_ms[i] = forecast_.done_ms[i] = now_ms_;
    } else {
      active_.push_back(i);
    }
  }

  // As many equal steps as there are before something ends.
  void Stride() {
    StepCost cost;
    int64_t steps = INT64_MAX;
    for (const size_t i : active_) {
      if (work_[i].prompt_left > 0) continue;
      cost.AddRow(work_[i].context, 1);
      steps = std::min(steps, work_[i].answer_left);
    }
    SharePrompts(cost, &steps);
    steps = std::min(steps, StepsToArrival(cost));
    // In the middle of the stride everybody's context has grown by half of it.
    const int64_t half = (steps - 1) / 2;
    cost.decode_context_reads += cost.decode_rows * half;
    for (size_t a = 0; a < active_.size(); ++a) {
      if (share_[a] > 0) AddPrompt(work_[active_[a]].context + share_[a] * half, share_[a], &cost);
    }
    now_ms_ += static_cast<double>(steps) * std::max(0.0, step_ms_(cost));
    Advance(steps);
  }

  // Who finds a free place begins with the step after its arrival.
  int64_t StepsToArrival(StepCost cost) const {
    if (pending_.empty() || !HasPlace()) return INT64_MAX;
    for (size_t a = 0; a < active_.size(); ++a) {
      if (share_[a] > 0) AddPrompt(work_[active_[a]].context, share_[a], &cost);
    }
    const double ms = std::max(1e-3, step_ms_(cost));
    return std::max<int64_t>(1, static_cast<int64_t>(std::min(1e9, std::ceil((NextArrival() - now_ms_) / ms))));
  }

  // A prompt's part is a prompt's part even if it is one token.
  static void AddPrompt(int64_t context, int64_t tokens, StepCost* cost) {
    cost->prompt_tokens += tokens;
    cost->prompt_context_reads += tokens * (context + tokens / 2);
  }

  // The prompts' part of each of the next steps, shared as the scheduler does.
  void SharePrompts(const StepCost& streams, int64_t* steps) {
    share_.assign(active_.size(), 0);
    std::vector<PromptDemand> demands;
    int64_t deepest = 0;
    for (const size_t i : active_) {
      const int64_t left = std::max<int64_t>(0, work_[i].prompt_left);
      if (left == 0) continue;
      demands.push_back({left, left});
      deepest = std::max(deepest, work_[i].context);
    }
    if (demands.empty()) return;
    int64_t budget = service_.max_step_tokens - streams.decode_rows;
    if (service_.prompt_room) budget = std::min(budget, service_.prompt_room(streams, deepest));
    const std::vector<int64_t> shares = SharePromptTokens(demands, std::max<int64_t>(budget, 1));
    size_t next = 0;
    for (size_t a = 0; a < active_.size(); ++a) {
      const int64_t left = work_[active_[a]].prompt_left;
      if (left <= 0) continue;
      share_[a] = shares[next++];
      // A prompt that shares its step with the next one ends in it; a long one takes whole steps until its last.
      if (share_[a] > 0) *steps = std::min(*steps, std::max<int64_t>(1, left / share_[a]));
    }
  }

  void Advance(int64_t steps) {
    for (size_t a = 0; a < active_.size(); ++a) {
      const size_t i = active_[a];
      Work& w = work_[i];
      if (w.prompt_left > 0) {
        const int64_t computed = std::min(w.prompt_left, share_[a] * steps);
        w.prompt_left -= computed;
        w.context += computed;
        if (share_[a] == 0 || w.prompt_left > 0) continue;
        forecast_.first_token_ms[i] = now_ms_;  // the step that ends a prompt draws the first token
        w.answer_left -= 1;
      } else {
        if (forecast_.first_token_ms[i] == 0) forecast_.first_token_ms[i] = now_ms_;
        w.answer_left -= steps;
        w.context += steps;
      }
      if (w.answer_left <= 0) forecast_.done_ms[i] = now_ms_;
    }
    std::erase_if(active_, [&](size_t i) { return work_[i].prompt_left <= 0 && work_[i].answer_left <= 0; });
  }

  const Service& service_;
  const StepTime& step_ms_;
  std::vector<Work> work_;
  std::vector<size_t> active_;  // oldest first
  std::vector<int64_t> share_;  // of active_'s prompts in the next steps
  std::list<size_t> pending_;   // not started, in the order in which they will be
  double now_ms_ = 0;
  Forecast forecast_;
};

}  // namespace

Forecast Replay(std::span<const Work> running, std::span<const Work> waiting, const Service& service,
                const StepTime& step_ms) {
  TENFOLD_CHECK(service.max_running >= 1 && service.max_step_tokens >= 1, "a service that serves nobody");
  return Replayer(running, waiting, service, step_ms).Run();
}

}  // namespace tenfold::sched
