#include "engine/admission_desk.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "sched/scheduler.h"

namespace tenfold::engine {
namespace {

// Fewer timed steps say too little to turn anybody away.
constexpr int64_t kEnoughSteps = 8;
constexpr int64_t kNewcomer = std::numeric_limits<int64_t>::max();

// The share of a prompt that the prefix cache will have is taken from about the last eight requests: to look it up
// would take the loop's own page table.
constexpr double kCachedShareLearning = 1.0 / 8;

double Ms(int64_t us) { return static_cast<double>(us) * 1e-3; }
int64_t Us(double ms) { return static_cast<int64_t>(ms * 1e3); }

}  // namespace

void AdmissionDesk::Open(const sched::Service& service, const sched::StepBudget& budget) {
  const std::lock_guard lock(mutex_);
  open_ = true;
  max_running_ = service.max_running;
  sched::Service priced = service;
  priced.prompt_room = [this, budget, most = service.max_step_tokens](const sched::StepCost& streams, int64_t first) {
    return sched::PromptTokensBeside(costs_, budget, most, streams, first);
  };
  control_ = sched::AdmissionControl(priced);
  costs_ = {};
}

void AdmissionDesk::Close() {
  const std::lock_guard lock(mutex_);
  open_ = false;
  running_.clear();
  waiting_.clear();
  submitted_.clear();
  order_ = {};
}

void AdmissionDesk::Publish(std::vector<Entry> running, std::vector<Entry> waiting, const sched::FairQueue& order,
                            const sched::CostModel& costs, int64_t last_taken) {
  const std::lock_guard lock(mutex_);
  running_ = std::move(running);
  waiting_ = std::move(waiting);
  costs_ = costs;
  std::erase_if(submitted_, [&](const Entry& entry) { return entry.id <= last_taken; });
  order_ = order;
  for (const Entry& entry : submitted_) order_.Push(entry.tenant, entry.id);
}

void AdmissionDesk::Ended(const Outcome& outcome) {
  const std::lock_guard lock(mutex_);
  if (outcome.generated > 0) lengths_.Observe(outcome.generated, outcome.cut);
  if (outcome.prompt_tokens > 0) {
    const double share = static_cast<double>(outcome.cached_tokens) / static_cast<double>(outcome.prompt_tokens);
    cached_share_ += (share - cached_share_) * kCachedShareLearning;
  }
  if (outcome.predicted_us >= 0) control_.Observe(Ms(outcome.predicted_us), Ms(outcome.actual_us));
}

void AdmissionDesk::Submitted(const Entry& entry) {
  const std::lock_guard lock(mutex_);
  submitted_.push_back(entry);
  order_.Push(entry.tenant, entry.id);
}

int64_t AdmissionDesk::Uncached(int64_t prompt_tokens) const {
  return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(prompt_tokens) * (1 - cached_share_)));
}

sched::Admitted AdmissionDesk::ToAdmitted(const Entry& entry) const {
  // One token to compute is an ordinary step of an answer; more is a prompt, or what a preemption has thrown away.
  int64_t pending = entry.known - entry.computed;
  if (entry.computed == 0 && entry.generated == 0) pending = Uncached(pending);
  return {.seq = entry.id,
          .tenant = entry.tenant,
          .work = {.context = entry.computed,
                   .prompt_left = entry.generated > 0 && pending <= 1 ? 0 : pending,
                   .answer_left = lengths_.Left(entry.generated, entry.limit)},
          .deadline_ms = entry.deadline_us < 0 ? sched::kNoDeadline : Ms(entry.deadline_us)};
}

// Everybody who is there, and where a newcomer of the tenant would stand if each of those that wait cost `work`.
sched::Backlog AdmissionDesk::Now(uint64_t tenant, double work) const {
  sched::Backlog backlog;
  for (const Entry& entry : running_) backlog.running.push_back(ToAdmitted(entry));
  std::map<int64_t, const Entry*> by_id;
  for (const Entry& entry : waiting_) by_id[entry.id] = &entry;
  for (const Entry& entry : submitted_) by_id[entry.id] = &entry;
  sched::FairQueue order = order_;
  order.Push(tenant, kNewcomer);
  for (const sched::SeqId id : order.Order(work)) {
    if (id == kNewcomer) {
      backlog.place = std::ssize(backlog.waiting);
    } else if (const auto found = by_id.find(id); found != by_id.end()) {
      backlog.waiting.push_back(ToAdmitted(*found->second));
    }
  }
  if (backlog.place == 0) MakePlace(tenant, order, &backlog);
  return backlog;
}

// What Scheduler::MakePlaceFor will do for a newcomer that is next. Its tenant begins with as much work as the least of
// the others; a step later they have more, so equal counts as more here.
void AdmissionDesk::MakePlace(uint64_t tenant, const sched::FairQueue& order, sched::Backlog* backlog) const {
  std::vector<sched::Admitted>& running = backlog->running;
  if (std::ssize(running) < max_running_ || order.served(tenant) > 0) return;
  size_t victim = 0;
  int64_t most = 1;
  for (size_t i = running.size(); i-- > 1;) {
    const int64_t served = order.served(running[i].tenant);
    if (served <= most || order.work(running[i].tenant) < order.work(tenant)) continue;
    most = served;
    victim = i;
  }
  if (most <= 1 || running[victim].deadline_ms != sched::kNoDeadline) return;
  // It waits before its tenant's others, and finds its pages again.
  const auto first = std::find_if(backlog->waiting.begin(), backlog->waiting.end(),
                                  [&](const sched::Admitted& one) { return one.tenant == running[victim].tenant; });
  backlog->waiting.insert(first, running[victim]);
  running.erase(running.begin() + static_cast<ptrdiff_t>(victim));
}

Prediction AdmissionDesk::Decide(const Demand& demand, int64_t now_us) {
  const std::lock_guard lock(mutex_);
  if (!open_ || costs_.observations() < kEnoughSteps) return {};
  const int64_t uncached = Uncached(demand.prompt_tokens);
  const sched::Work work{.context = demand.prompt_tokens - uncached,
                         .prompt_left = uncached,
                         .answer_left = lengths_.Left(0, demand.max_new_tokens)};
  sched::Backlog backlog =
      Now(demand.tenant, static_cast<double>(work.prompt_left + sched::Scheduler::kDecodeWork * work.answer_left));
  // Of several choices the last one counts; the others come before it and share its prompt.
  for (int64_t i = 1; i < demand.choices; ++i) {
    const sched::Work choice{.context = demand.prompt_tokens - 1, .prompt_left = 1, .answer_left = work.answer_left};
    backlog.waiting.insert(backlog.waiting.begin() + static_cast<ptrdiff_t>(backlog.place), {.work = choice});
    ++backlog.place;
  }
  const sched::Ask ask{.tenant = demand.tenant,
                       .fingerprint = demand.fingerprint,
                       .work = work,
                       .deadline_ms = demand.deadline_us < 0 ? sched::kNoDeadline : Ms(demand.deadline_us)};
  const sched::Verdict verdict = control_.Decide(
      ask, backlog, [this](const sched::StepCost& cost) { return costs_.PredictMs(cost); }, Ms(now_us));
  return {.in_time = verdict.admitted,
          .ever = verdict.ever,
          .first_token_us = Us(verdict.first_token_ms),
          .done_us = Us(verdict.done_ms),
          .retry_after_us = Us(verdict.retry_after_ms)};
}

}  // namespace tenfold::engine
