#include "sched/admission_control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "sched/scheduler.h"

namespace tenfold::sched {
namespace {

double HundredEach(const StepCost&) { return 100; }
const Service kService{.max_running = 2, .max_step_tokens = 64, .prompt_tokens_beside_answers = 64};

Ask AskFor(int64_t prompt, int64_t answer, double deadline_ms) {
  return {.tenant = 1,
          .fingerprint = 1,
          .work = {.prompt_left = prompt, .answer_left = answer},
          .deadline_ms = deadline_ms};
}
Admitted Busy(int64_t answer, double deadline_ms = kNoDeadline) {
  return {.seq = 1, .tenant = 1, .work = {.context = 10, .answer_left = answer}, .deadline_ms = deadline_ms};
}

TEST(AdmissionControl, WhatIsInTimeIsAdmittedAndToldWhen) {
  AdmissionControl admission(kService);
  const Verdict v = admission.Decide(AskFor(10, 5, 1000), {}, HundredEach, 0);
  EXPECT_TRUE(v.admitted);
  EXPECT_DOUBLE_EQ(v.first_token_ms, 100);
  EXPECT_DOUBLE_EQ(v.done_ms, 500);
}

TEST(AdmissionControl, WhatCannotBeInTimeIsRefusedAtOnce) {
  AdmissionControl admission(kService);
  const Verdict v = admission.Decide(AskFor(10, 50, 3000), {}, HundredEach, 0);
  EXPECT_FALSE(v.admitted);
  EXPECT_FALSE(v.ever);
  EXPECT_EQ(v.retry_after_ms, 0);
  EXPECT_EQ(admission.reservations(), 0);
  EXPECT_TRUE(admission.Decide(AskFor(10, 50, kNoDeadline), {}, HundredEach, 0).admitted);
}

TEST(AdmissionControl, BehindOthersItWaitsAndIsToldWhenToComeBack) {
  AdmissionControl admission(kService);
  Backlog backlog;
  backlog.running = {Busy(20), Busy(20)};
  const Verdict v = admission.Decide(AskFor(10, 10, 2000), backlog, HundredEach, 0);  // done at 3000
  EXPECT_FALSE(v.admitted);
  EXPECT_NEAR(v.retry_after_ms, (3300 - 2000) * 1.15, 1);
  EXPECT_TRUE(v.ever);
  EXPECT_EQ(admission.reservations(), 1);
}

TEST(AdmissionControl, NobodyIsMadeLateByANewcomer) {
  AdmissionControl admission(kService);
  const StepTime slower_together = [](const StepCost& c) { return c.decode_rows > 1 ? 200.0 : 100.0; };
  Backlog backlog;
  backlog.running = {Busy(10, 1100)};  // alone: 1000
  EXPECT_FALSE(admission.Decide(AskFor(10, 5, 60000), backlog, slower_together, 0).admitted);
  backlog.running = {Busy(10, 3000)};
  EXPECT_TRUE(admission.Decide(AskFor(10, 5, 60000), backlog, slower_together, 0).admitted);
  // One that is late anyway stands in nobody's way.
  backlog.running = {Busy(10, 500)};
  EXPECT_TRUE(admission.Decide(AskFor(10, 5, 60000), backlog, slower_together, 0).admitted);
}

TEST(AdmissionControl, AKeptPlaceIsForTheOneWhoWasToldToComeBack) {
  AdmissionControl admission({.max_running = 1, .max_step_tokens = 64, .prompt_tokens_beside_answers = 64});
  Backlog backlog;
  backlog.running = {Busy(20)};
  Ask first = AskFor(10, 10, 2000);
  first.fingerprint = 11;
  const Verdict refused = admission.Decide(first, backlog, HundredEach, 0);
  ASSERT_FALSE(refused.admitted);
  const double later = refused.retry_after_ms;
  backlog.running = {Busy(20 - static_cast<int64_t>(later / 100))};
  Ask other = AskFor(10, 10, later + 2000);
  other.fingerprint = 12;
  EXPECT_FALSE(admission.Decide(other, backlog, HundredEach, later).admitted) << "the place is somebody else's";
  first.deadline_ms = later + 2000;
  EXPECT_TRUE(admission.Decide(first, backlog, HundredEach, later).admitted);
  EXPECT_EQ(admission.reservations(), 1);  // of the other
  // Who does not come back loses the place.
  EXPECT_TRUE(admission.Decide(AskFor(1, 1, 1e9), {}, HundredEach, 1e8).admitted);
  EXPECT_EQ(admission.reservations(), 0);
}

TEST(AdmissionControl, LearnsThatItPredictsTooLittle) {
  AdmissionControl admission(kService);
  for (int i = 0; i < 200; ++i) {
    const Verdict v = admission.Decide(AskFor(10, 10, kNoDeadline), {}, HundredEach, 0);
    admission.Observe(v.done_ms, 1500);
  }
  EXPECT_NEAR(admission.correction(), 1.5, 0.02);
  admission.Observe(0, 100);
  EXPECT_NEAR(admission.correction(), 1.5, 0.02);
}

// A server without a model: arrivals, the real scheduler, a clock that steps advance.
class Server {
 public:
  Server(bool deadlines, uint64_t seed) : deadlines_(deadlines), random_(seed) {}

  void Run(double until_ms) {
    while (now_ < until_ms) {
      while (!arrivals_.empty() && arrivals_.begin()->first <= now_) {
        const Client client = arrivals_.begin()->second;
        arrivals_.erase(arrivals_.begin());
        Arrive(client);
      }
      if (scheduler_.empty()) {
        now_ = arrivals_.empty() ? until_ms : arrivals_.begin()->first;
      } else {
        Step();
      }
    }
  }
  // Poisson arrivals of different lengths, `per_s` a second.
  void Expect(double per_s, double until_ms) {
    std::exponential_distribution<double> gap(per_s / 1000);
    for (double at = gap(random_); at < until_ms; at += gap(random_)) {
      arrivals_.emplace(at, Client{.id = ++clients_,
                                   .prompt = 20 + static_cast<int64_t>(random_() % 200),
                                   .answer = 10 + static_cast<int64_t>(random_() % 60)});
    }
  }

  int64_t finished = 0, in_time = 0, admitted = 0, refused = 0, retries = 0, retries_admitted = 0;
  std::vector<double> errors;  // |predicted - actual| / actual

 private:
  static constexpr double kPatienceMs = 45000;
  struct Client {
    int64_t id = 0, prompt = 0, answer = 0;
    bool retry = false;
  };
  struct Job {
    double arrived = 0, predicted = 0, deadline = kNoDeadline;
    int64_t answer_left = 0;
  };

  static double Cost(const StepCost& c) {
    return 30 + 11 * static_cast<double>(c.decode_rows) + 8 * static_cast<double>(c.prompt_tokens);
  }

  Backlog Now() const {
    Backlog backlog;
    for (const auto& [id, job] : jobs_) {
      const SequenceView view = scheduler_.View(id);
      const int64_t pending = view.known_tokens - view.computed_tokens;
      const Admitted one{.seq = id,
                         .tenant = 1,
                         .work = {.context = view.computed_tokens,
                                  .prompt_left = view.computed_tokens > 0 && pending == 1 ? 0 : pending,
                                  .answer_left = job.answer_left},
                         .deadline_ms = job.deadline};
      (view.running ? backlog.running : backlog.waiting).push_back(one);
    }
    backlog.place = std::ssize(backlog.waiting);
    return backlog;
  }

  void Arrive(Client client) {
    const double deadline = deadlines_ ? now_ + kPatienceMs : kNoDeadline;
    const Verdict v =
        admission_.Decide({.tenant = 1,
                           .fingerprint = static_cast<uint64_t>(client.id),
                           .work = {.context = 0, .prompt_left = client.prompt, .answer_left = client.answer},
                           .deadline_ms = deadline},
                          Now(), Cost, now_);
    if (client.retry) ++retries, retries_admitted += v.admitted ? 1 : 0;
    if (!v.admitted) {
      ++refused;
      if (client.retry) return;  // asks no third time
      client.retry = true;
      arrivals_.emplace(now_ + v.retry_after_ms + static_cast<double>(random_() % 300), client);
      return;
    }
    ++admitted;
    const SeqId id = ++next_;
    const std::vector<int32_t> prompt(static_cast<size_t>(client.prompt), static_cast<int32_t>(id));  // shared by none
    ASSERT_EQ(scheduler_.Add(id, {.prompt = prompt, .max_new_tokens = client.answer}), Admission::kQueued);
    jobs_[id] = {.arrived = now_, .predicted = v.done_ms, .deadline = deadline, .answer_left = client.answer};
  }

  void Step() {
    const StepPlan plan = scheduler_.Plan();
    StepCost cost;
    for (const PlanRow& row : plan.rows) cost.AddRow(row.first_position, row.count);
    // The truth is a tenth noise.
    now_ += Cost(cost) * (0.9 + 0.2 * static_cast<double>(random_() % 1000) / 1000);
    scheduler_.Commit(plan);
    for (const PlanRow& row : plan.rows) {
      const SequenceView view = scheduler_.View(row.seq);
      if (view.computed_tokens < view.known_tokens) continue;
      scheduler_.AppendToken(row.seq, 0);
      Job& job = jobs_[row.seq];
      if (--job.answer_left > 0) continue;
      const double actual = now_ - job.arrived;
      ++finished;
      in_time += now_ <= job.deadline ? 1 : 0;
      errors.push_back(std::abs(job.predicted - actual) / actual);
      admission_.Observe(job.predicted, actual);
      scheduler_.Remove(row.seq);
      jobs_.erase(row.seq);
    }
  }

  const bool deadlines_;
  std::mt19937_64 random_;
  Scheduler scheduler_{{.max_running = 10, .max_step_tokens = 512, .max_context = 4096}, 4096};
  AdmissionControl admission_{{.max_running = 10, .max_step_tokens = 512, .prompt_tokens_beside_answers = 512}};
  std::multimap<double, Client> arrivals_;
  std::map<SeqId, Job> jobs_;
  double now_ = 0;
  SeqId next_ = 0;
  int64_t clients_ = 0;
};

// Of four loads together: a single one is chaotic, a step of a millisecond more changes who is let in for minutes.
TEST(AdmissionControl, AtTwiceTheCapacityPromisesAreKept) {
  constexpr double kOverloadMs = 200e3;
  double free_finished = 0, in_time_under_load = 0, in_time = 0, finished = 0, retries = 0, retries_admitted = 0;
  std::vector<double> errors;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    Server free(false, seed);
    free.Expect(3, kOverloadMs);  // far more than it can do: what it finishes is its capacity
    free.Run(kOverloadMs);
    free_finished += static_cast<double>(free.finished);
    Server server(true, seed);
    server.Expect(2 * static_cast<double>(free.finished) / (kOverloadMs / 1000), kOverloadMs);
    server.Run(kOverloadMs);
    in_time_under_load += static_cast<double>(server.in_time);
    server.Run(5 * kOverloadMs);  // those who were told to come back do
    in_time += static_cast<double>(server.in_time);
    finished += static_cast<double>(server.finished);
    retries += static_cast<double>(server.retries);
    retries_admitted += static_cast<double>(server.retries_admitted);
    errors.insert(errors.end(), server.errors.begin(), server.errors.end());
    EXPECT_GT(server.refused, 20);
  }
  std::sort(errors.begin(), errors.end());
  EXPECT_LE(errors[errors.size() / 2], 0.2);
  EXPECT_GE(in_time, 0.95 * finished);
  EXPECT_GE(in_time_under_load, 0.85 * free_finished);
  EXPECT_GE(retries_admitted, 0.9 * retries);
}

// Who asks for a tenant of its own is not behind the places that are kept for another.
TEST(AdmissionControl, PlacesKeptForOneTenantTakeNothingFromAnother) {
  AdmissionControl admission({.max_running = 1, .max_step_tokens = 64, .prompt_tokens_beside_answers = 64});
  Backlog backlog;
  backlog.running = {Busy(20)};
  for (uint64_t i = 0; i < 40; ++i) {
    Ask ask = AskFor(10, 10, 2000);
    ask.fingerprint = 100 + i;
    ASSERT_FALSE(admission.Decide(ask, backlog, HundredEach, 0).admitted);
  }
  EXPECT_EQ(admission.reservations(), 40);
  Ask other = AskFor(10, 10, 4000);  // done at 3000
  other.tenant = 2;
  EXPECT_TRUE(admission.Decide(other, backlog, HundredEach, 0).admitted);
  other.tenant = 1;
  other.fingerprint = 999;
  EXPECT_FALSE(admission.Decide(other, backlog, HundredEach, 0).admitted);
}

}  // namespace
}  // namespace tenfold::sched
