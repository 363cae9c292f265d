#include "sched/admission_control.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace tenfold::sched {
namespace {

// How fast the correction follows: half of it comes from the last 35 answers. Eight were tried: it then swings
// with the load, and those who come back for a kept place find other figures than when they were told the time.
constexpr double kLearning = 0.02;
// A single answer says no more than this about the next.
constexpr double kMostSurprise = 2.0;
constexpr double kLeastRetryMs = 1000;
// Times to come back are told this much too late, so that those who do find their place. Simulated at twice the
// capacity: 1.1 lets 90 to 96 % of them in, 1.15 94 to 98 %, 1.25 costs a tenth of the throughput.
constexpr double kRetrySlack = 1.15;
// The typical request is the mean of about as many.
constexpr double kTypicalOf = 8;

std::vector<Work> Works(const std::vector<Admitted>& requests) {
  std::vector<Work> works;
  works.reserve(requests.size() + 1);
  for (const Admitted& request : requests) works.push_back(request.work);
  return works;
}

}  // namespace

Verdict AdmissionControl::Decide(const Ask& ask, const Backlog& backlog, const StepTime& step_ms, double now_ms) {
  Learn(ask.work);
  std::erase_if(reserved_, [&](const Reservation& r) { return r.due_ms + kGraceMs < now_ms; });
  const auto own = std::find_if(reserved_.begin(), reserved_.end(), [&](const Reservation& r) {
    return r.fingerprint == ask.fingerprint && r.tenant == ask.tenant;
  });
  const bool returns = own != reserved_.end();
  // Places kept for others of the tenant who were here before, all of them before one who is new. What other tenants
  // wait for is a matter of fair shares, and takes nothing from this one's.
  std::vector<Work> kept;
  for (auto it = reserved_.begin(); it != own; ++it) {
    if (it->tenant == ask.tenant) kept.push_back(it->work);
  }
  if (returns) reserved_.erase(own);
  // What is promised is when it will be done if nobody comes back for a kept place; what is decided on, if all do.
  const bool has_deadline = ask.deadline_ms != kNoDeadline;
  const Outcome alone = Try(ask, backlog, step_ms, now_ms, {}, has_deadline && kept.empty());
  Verdict verdict{.first_token_ms = alone.first_token_ms, .done_ms = alone.done_ms};
  if (!has_deadline) return verdict;
  const Outcome outcome = kept.empty() ? alone : Try(ask, backlog, step_ms, now_ms, kept, true);
  // The margin was in the time that it was told; it is there to be used up now.
  const double margin = returns ? 0 : kMargin;
  const double late_ms = now_ms + outcome.done_ms * (1 + margin) - ask.deadline_ms;
  const double wait_ms = std::max(late_ms, outcome.harmed_until_ms);
  if (wait_ms <= 0) return verdict;
  verdict.admitted = false;
  verdict.retry_after_ms = std::max(kLeastRetryMs, wait_ms * kRetrySlack);
  // Too long for its deadline even on an idle machine: no place would help.
  const Outcome idle = Try(ask, {}, step_ms, now_ms, {}, false);
  verdict.ever = now_ms + idle.done_ms <= ask.deadline_ms;
  if (verdict.ever) {
    Reserve(ask, now_ms + verdict.retry_after_ms);
  } else {
    verdict.retry_after_ms = 0;
  }
  return verdict;
}

AdmissionControl::Outcome AdmissionControl::Try(const Ask& ask, const Backlog& backlog, const StepTime& step_ms,
                                                double now_ms, std::span<const Work> kept, bool with_others) const {
  const std::vector<Work> running = Works(backlog.running);
  std::vector<Work> waiting = Works(backlog.waiting);
  Forecast without;
  if (with_others) without = Replay(running, waiting, service_, step_ms);
  // Behind the kept places, which are behind all that wait, if there are any.
  auto place = static_cast<size_t>(std::clamp<int64_t>(backlog.place, 0, std::ssize(backlog.waiting)));
  if (!kept.empty()) {
    waiting.insert(waiting.end(), kept.begin(), kept.end());
    place = waiting.size();
  }
  waiting.insert(waiting.begin() + static_cast<ptrdiff_t>(place), ask.work);
  Outcome outcome;
  if (with_others) {
    const Forecast with = Replay(running, waiting, service_, step_ms);
    outcome.harmed_until_ms = HarmedUntil(backlog, with, without, place, now_ms);
  }
  const std::vector<Work> tail = Tail(backlog);
  waiting.insert(waiting.end(), tail.begin(), tail.end());
  const Forecast busy = Replay(running, waiting, service_, step_ms);
  const size_t index = running.size() + place;
  outcome.first_token_ms = busy.first_token_ms[index] * correction_;
  outcome.done_ms = busy.done_ms[index] * correction_;
  return outcome;
}

// Those who will come while this request is served. Without them the last one in the queue seems to have the machine
// for itself at its end, everybody is admitted at the edge of the deadline, and whoever comes next would push them over
// it.
std::vector<Work> AdmissionControl::Tail(const Backlog& backlog) const {
  const int64_t there = std::ssize(backlog.running) + std::ssize(backlog.waiting);
  const Work typical{
      .context = 0, .prompt_left = std::llround(typical_prompt_), .answer_left = std::llround(typical_answer_)};
  return std::vector<Work>(static_cast<size_t>(std::min(there, service_.max_running)), typical);
}

void AdmissionControl::Learn(const Work& work) {
  const auto follow = [this](double& mean, int64_t value) {
    mean += (static_cast<double>(value) - mean) * (learnt_ ? 1.0 / kTypicalOf : 1.0);
  };
  follow(typical_prompt_, work.prompt_left);
  follow(typical_answer_, work.answer_left);
  learnt_ = true;
}

// `place`: where the newcomer stands among those that wait, so that those behind it are one further in `with`.
double AdmissionControl::HarmedUntil(const Backlog& backlog, const Forecast& with, const Forecast& without,
                                     size_t place, double now_ms) const {
  double worst = 0;
  const size_t running = backlog.running.size();
  for (size_t i = 0; i < running + backlog.waiting.size(); ++i) {
    const Admitted& other = i < running ? backlog.running[i] : backlog.waiting[i - running];
    const size_t moved = i >= running + place ? i + 1 : i;
    const double late_ms = now_ms + with.done_ms[moved] * correction_ - other.deadline_ms;
    const bool was_in_time = now_ms + without.done_ms[i] * correction_ <= other.deadline_ms;
    if (was_in_time && late_ms > 0) worst = std::max(worst, without.done_ms[i] * correction_);
  }
  return worst;
}

void AdmissionControl::Reserve(const Ask& ask, double due_ms) {
  if (std::ssize(reserved_) >= kMostReservations) return;
  const auto at =
      std::find_if(reserved_.begin(), reserved_.end(), [&](const Reservation& r) { return r.due_ms > due_ms; });
  reserved_.insert(at, {ask.fingerprint, ask.tenant, ask.work, due_ms});
}

void AdmissionControl::Observe(double predicted_ms, double actual_ms) {
  if (predicted_ms <= 0 || actual_ms <= 0) return;
  // The prediction had the correction of its time in it; what is left of the error moves the correction on.
  const double surprise = std::clamp(actual_ms / predicted_ms, 1 / kMostSurprise, kMostSurprise);
  correction_ = std::clamp(correction_ * std::pow(surprise, kLearning), 0.25, 4.0);
}

}  // namespace tenfold::sched
