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
constexpr double kSecondMs = 1000;
// The typical request is the mean of about as many, and so is who comes back.
constexpr double kTypicalOf = 8;
constexpr double kReturningOf = 16;
// Where a later place is looked for: so often, each time later by what was missing.
constexpr int64_t kMostSearches = 8;
// Fewer where many are there, because a replay of a thousand takes a millisecond.
constexpr int64_t kMostSearched = 800;
// Places are given for a machine so many times slower, because what is predicted for a minute's time errs more, and
// delays add up where no time is left between two who come back.
constexpr double kCalendarSlack = 1.2;
// A newcomer leaves those who will come back this part of their time. 0.1: 0.81 of them were admitted when they came,
// 0.3: 0.90, 0.5: 0.95, and the throughput went from 1.01 to 0.97 of that without deadlines.
constexpr double kMarginOfKept = 0.5;
// Most of its margin was for the time until it came back; so much is still kept then.
constexpr double kMarginOnReturn = 0.02;
// Predictions are not exact enough to see less harm.
constexpr double kLeastHarm = 1.005;

double WholeSeconds(double ms) { return std::max(1.0, std::ceil(ms / kSecondMs)) * kSecondMs; }

}  // namespace

Verdict AdmissionControl::Decide(const Ask& ask, const Backlog& backlog, const StepTime& step_ms, double now_ms) {
  Learn(ask.work);
  Expire(now_ms);
  const auto own = std::find_if(reserved_.begin(), reserved_.end(), [&](const Reservation& r) {
    return r.fingerprint == ask.fingerprint && r.tenant == ask.tenant;
  });
  const bool returns = own != reserved_.end();
  if (returns) {
    reserved_.erase(own);
    Came(true);
  }
  const Scene scene = Set(ask, backlog, now_ms);
  const Outcome outcome = Serve(scene, ask.work, true, step_ms);
  Verdict verdict{.first_token_ms = outcome.first_token_ms, .done_ms = outcome.done_ms};
  if (ask.deadline_ms == kNoDeadline) return verdict;
  const double patience_ms = ask.deadline_ms - now_ms;
  // Who was told this moment need not stand back for those who may come yet, nor for those who were told a later one.
  const double late_ms = (returns ? Serve(scene, ask.work, false, step_ms).done_ms * (1 + kMarginOnReturn)
                                  : outcome.done_ms * (1 + kMargin)) -
                         patience_ms;
  const double harmed_ms = HarmedUntil(scene, ask.work, !returns, step_ms);
  if (late_ms <= 0 && harmed_ms <= 0) return verdict;
  verdict.admitted = false;
  // Too long for its deadline even on an idle machine: no place would help.
  verdict.ever = Serve({}, ask.work, false, step_ms).done_ms <= patience_ms;
  if (verdict.ever) {
    verdict.retry_after_ms = FirstPlace(scene, ask.work, patience_ms, std::max(late_ms, harmed_ms), step_ms);
    Reserve(ask, now_ms + verdict.retry_after_ms, patience_ms);
  }
  return verdict;
}

void AdmissionControl::Expire(double now_ms) {
  while (!reserved_.empty() && reserved_.front().due_ms + kGraceMs < now_ms) {
    reserved_.pop_front();
    Came(false);
  }
}

void AdmissionControl::Came(bool back) { returning_ += ((back ? 1.0 : 0.0) - returning_) / kReturningOf; }

// Places kept for others of the tenant stand where it does. What other tenants wait for is a matter of fair shares, and
// takes nothing from this one's.
AdmissionControl::Scene AdmissionControl::Set(const Ask& ask, const Backlog& backlog, double now_ms) const {
  Scene scene;
  for (const Admitted& one : backlog.running) {
    scene.running.push_back(one.work);
    scene.running_patience_ms.push_back(one.deadline_ms - now_ms);
  }
  scene.place = static_cast<size_t>(std::clamp<int64_t>(backlog.place, 0, std::ssize(backlog.waiting)));
  const auto wait = [&](const Work& work, double patience_ms) {
    scene.waiting.push_back(work);
    scene.waiting_patience_ms.push_back(patience_ms);
  };
  for (size_t i = 0; i < scene.place; ++i) wait(backlog.waiting[i].work, backlog.waiting[i].deadline_ms - now_ms);
  double coming = 0.5;
  for (const Reservation& r : reserved_) {
    if (r.tenant != ask.tenant) continue;
    coming += returning_;
    if (coming < 1) continue;
    coming -= 1;
    Work work = r.work;
    work.arrives_ms = std::max(0.0, r.due_ms - now_ms);
    wait(work, r.patience_ms);
    ++scene.kept;
  }
  for (size_t i = scene.place; i < backlog.waiting.size(); ++i) {
    wait(backlog.waiting[i].work, backlog.waiting[i].deadline_ms - now_ms);
  }
  return scene;
}

// Behind those of its tenant who come back before it arrives.
size_t AdmissionControl::PlaceOf(const Scene& scene, const Work& work) {
  size_t place = scene.place;
  while (place < scene.place + scene.kept && scene.waiting[place].arrives_ms < work.arrives_ms) ++place;
  return place;
}

// When it is done, after its arrival. Without successors the last one in the queue seems to have the machine for itself
// at its end, everybody is admitted at the edge of the deadline, and whoever comes next would push them over it.
AdmissionControl::Outcome AdmissionControl::Serve(const Scene& scene, const Work& work, bool with_successors,
                                                  const StepTime& step_ms) const {
  std::vector<Work> waiting = scene.waiting;
  const size_t place = PlaceOf(scene, work);
  waiting.insert(waiting.begin() + static_cast<ptrdiff_t>(place), work);
  if (with_successors) {
    const std::vector<Work> tail = Tail(scene, work.arrives_ms);
    waiting.insert(waiting.end(), tail.begin(), tail.end());
  }
  const Forecast busy = Replay(scene.running, waiting, service_, step_ms);
  const size_t index = scene.running.size() + place;
  return {.first_token_ms = (busy.first_token_ms[index] - work.arrives_ms) * correction_,
          .done_ms = (busy.done_ms[index] - work.arrives_ms) * correction_};
}

// As many typical requests as are there.
std::vector<Work> AdmissionControl::Tail(const Scene& scene, double arrives_ms) const {
  const auto there = static_cast<int64_t>(scene.running.size() + scene.waiting.size() - scene.kept);
  const Work typical{.context = 0,
                     .prompt_left = std::llround(typical_prompt_),
                     .answer_left = std::llround(typical_answer_),
                     .arrives_ms = arrives_ms};
  return std::vector<Work>(static_cast<size_t>(std::min(there, service_.max_running)), typical);
}

// When the last of those is done whom it would make late; 0: it harms nobody. Who is late anyway stands in nobody's
// way.
double AdmissionControl::HarmedUntil(const Scene& scene, const Work& work, bool spare_kept,
                                     const StepTime& step_ms) const {
  const Forecast without = Replay(scene.running, scene.waiting, service_, step_ms);
  std::vector<Work> waiting = scene.waiting;
  const size_t place = PlaceOf(scene, work);
  waiting.insert(waiting.begin() + static_cast<ptrdiff_t>(place), work);
  const Forecast with = Replay(scene.running, waiting, service_, step_ms);
  double worst = 0;
  const size_t running = scene.running.size();
  for (size_t i = 0; i < running + scene.waiting.size(); ++i) {
    const bool is_kept = i >= running + scene.place && i < running + scene.place + scene.kept;
    if (is_kept && !spare_kept) continue;
    const double patience_ms = i < running ? scene.running_patience_ms[i] : scene.waiting_patience_ms[i - running];
    const double arrives_ms = i < running ? 0 : scene.waiting[i - running].arrives_ms;
    const double before_ms = (without.done_ms[i] - arrives_ms) * correction_;
    const double after_ms = (with.done_ms[i >= running + place ? i + 1 : i] - arrives_ms) * correction_;
    const double margin = is_kept ? 1 + kMarginOfKept : 1;
    if (before_ms <= patience_ms && after_ms * margin > patience_ms && after_ms > before_ms * kLeastHarm) {
      worst = std::max(worst, arrives_ms + before_ms);
    }
  }
  return worst;
}

// In how many ms it should ask again: the first second, from the given one on, at which it is in time and harms nobody.
double AdmissionControl::FirstPlace(const Scene& scene, Work work, double patience_ms, double from_ms,
                                    const StepTime& step_ms) const {
  const StepTime slower = [&step_ms](const StepCost& cost) { return kCalendarSlack * step_ms(cost); };
  double at_ms = WholeSeconds(from_ms);
  const auto there = static_cast<int64_t>(scene.running.size() + scene.waiting.size() + 1);
  for (int64_t i = 0; i < std::clamp<int64_t>(kMostSearched / there, 1, kMostSearches); ++i) {
    work.arrives_ms = at_ms;
    const double late_ms = Serve(scene, work, true, slower).done_ms * (1 + kMargin) - patience_ms;
    if (late_ms <= 0 && HarmedUntil(scene, work, true, slower) <= 0) break;
    at_ms += WholeSeconds(late_ms);
  }
  return at_ms;
}

void AdmissionControl::Reserve(const Ask& ask, double due_ms, double patience_ms) {
  if (std::ssize(reserved_) >= kMostReservations) return;
  const auto at =
      std::find_if(reserved_.begin(), reserved_.end(), [&](const Reservation& r) { return r.due_ms > due_ms; });
  reserved_.insert(at, {ask.fingerprint, ask.tenant, ask.work, due_ms, patience_ms});
}

void AdmissionControl::Learn(const Work& work) {
  const auto follow = [this](double& mean, int64_t value) {
    mean += (static_cast<double>(value) - mean) * (learnt_ ? 1.0 / kTypicalOf : 1.0);
  };
  follow(typical_prompt_, work.prompt_left);
  follow(typical_answer_, work.answer_left);
  learnt_ = true;
}

void AdmissionControl::Observe(double predicted_ms, double actual_ms) {
  if (predicted_ms <= 0 || actual_ms <= 0) return;
  // The prediction had the correction of its time in it; what is left of the error moves the correction on.
  const double surprise = std::clamp(actual_ms / predicted_ms, 1 / kMostSurprise, kMostSurprise);
  correction_ = std::clamp(correction_ * std::pow(surprise, kLearning), 0.25, 4.0);
}

}  // namespace tenfold::sched
