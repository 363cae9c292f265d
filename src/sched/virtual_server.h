// A server without a model, for tests: arrivals, the real scheduler, cost model and admission, and a clock that its
// steps advance. Clients behave as those of tools/compare/overload.py do, and steps cost what the 4B shape's cost on
// two cores, with noise and with a speed of the machine that drifts.
//
// As in the engine, who arrives while a step is under way is judged by what was there before it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <random>
#include <vector>

#include "base/check.h"
#include "sched/admission_control.h"
#include "sched/scheduler.h"

namespace tenfold::sched {

// The truth about a machine.
struct VirtualMachine {
  double step_ms = 62;
  double decode_row_ms = 7.5;
  double prompt_token_ms = 9.5;
  double noise = 0.1;    // each step is up to so much longer or shorter
  double drift = 0;      // and for some ten seconds all of them are
  double returning = 1;  // the share of refused clients who come back when they were told to
  int64_t max_running = 10;
};

class VirtualServer {
 public:
  VirtualServer(const VirtualMachine& machine, uint64_t seed)
      : machine_(machine),
        random_(seed),
        scheduler_({.max_running = machine.max_running, .max_step_tokens = 512, .max_context = 4096}, 4096),
        admission_(ServiceNow()) {}

  // Twelve of these are the tool's first phase: each asks again as soon as it has its answer.
  void AddUsers(int64_t users) {
    for (int64_t i = 0; i < users; ++i) Expect(now_, Next(kNoDeadline, true));
  }
  void SendUsersAway() { users_stay_ = false; }
  // Poisson arrivals, `per_s` a second from now on for so long, each to be done within patience_ms.
  void Expect(double per_s, double for_ms, double patience_ms) {
    const double end = now_ + for_ms;
    for (double at = now_ + Gap(per_s); at < end; at += Gap(per_s)) Expect(at, Next(patience_ms, false));
  }
  void RunUntil(double until_ms) {
    while (now_ < until_ms) {
      ArriveUntil(now_);
      if (!scheduler_.empty()) {
        Step();
      } else {
        now_ = arrivals_.empty() ? until_ms : std::min(until_ms, arrivals_.begin()->first);
      }
    }
  }
  double now_ms() const { return now_; }

  struct Answer {
    double ended_ms = 0, took_ms = 0, predicted_ms = 0;
    bool in_time = true;
  };
  std::vector<Answer> answers;
  int64_t admitted = 0, refused = 0, returned = 0, returned_admitted = 0;

 private:
  struct Client {
    uint64_t id = 0;
    int64_t prompt = 0, answer = 0;
    double patience_ms = kNoDeadline;
    bool is_user = false;
    bool returns = false;
  };
  struct Job {
    Client client;
    double arrived_ms = 0, predicted_ms = 0, deadline_ms = kNoDeadline;
    int64_t answer_left = 0;
  };

  double Uniform() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  double Gap(double per_s) { return -std::log(1 - Uniform()) * 1000 / per_s; }
  void Expect(double at_ms, const Client& client) { arrivals_.emplace(at_ms, client); }

  // From a deck that holds each kind of request once, shuffled when it is empty: no two loads differ in their work.
  Client Next(double patience_ms, bool is_user) {
    if (deck_.empty()) {
      for (const int64_t prompt : {20, 40, 60, 100, 200}) {
        for (const int64_t answer : {8, 16, 24, 40}) deck_.push_back({prompt, answer});
      }
      for (size_t i = deck_.size(); i > 1; --i) std::swap(deck_[i - 1], deck_[random_() % i]);
    }
    const auto [prompt, answer] = deck_.back();
    deck_.pop_back();
    return {.id = ++clients_, .prompt = prompt, .answer = answer, .patience_ms = patience_ms, .is_user = is_user};
  }

  double TrueMs(const StepCost& c) {
    if (now_ >= drift_until_) {
      drift_until_ = now_ + 5000 + 10000 * Uniform();
      drift_ = 1 + machine_.drift * (2 * Uniform() - 1);
    }
    const double usual = machine_.step_ms + machine_.decode_row_ms * static_cast<double>(c.decode_rows) +
                         machine_.prompt_token_ms * static_cast<double>(c.prompt_tokens);
    return usual * drift_ * (1 + machine_.noise * (2 * Uniform() - 1));
  }

  Service ServiceNow() const {
    return {.max_running = machine_.max_running,
            .max_step_tokens = 512,
            .prompt_room = [this](const StepCost& streams, int64_t first_position) {
              return scheduler_.PromptTokensBeside(streams, first_position);
            }};
  }

  // What the loop publishes between two steps.
  void Publish() {
    backlog_ = {};
    for (const auto& [id, job] : jobs_) {
      const SequenceView view = scheduler_.View(id);
      const int64_t pending = view.known_tokens - view.computed_tokens;
      const Admitted one{.seq = id,
                         .tenant = 1,
                         .work = {.context = view.computed_tokens,
                                  .prompt_left = view.computed_tokens > 0 && pending == 1 ? 0 : pending,
                                  .answer_left = job.answer_left},
                         .deadline_ms = job.deadline_ms};
      (view.running ? backlog_.running : backlog_.waiting).push_back(one);
    }
    backlog_.place = std::ssize(backlog_.waiting);
  }

  void ArriveUntil(double until_ms) {
    while (!arrivals_.empty() && arrivals_.begin()->first <= until_ms) {
      const double at = arrivals_.begin()->first;
      const Client client = arrivals_.begin()->second;
      arrivals_.erase(arrivals_.begin());
      Arrive(client, at);
    }
  }

  void Arrive(Client client, double now) {
    if (client.is_user && !users_stay_) return;
    const double deadline = client.patience_ms == kNoDeadline ? kNoDeadline : now + client.patience_ms;
    const Work work{.context = 0, .prompt_left = client.prompt, .answer_left = client.answer};
    Verdict v;
    if (scheduler_.cost_model().observations() >= 8) {
      v = admission_.Decide(
          {.tenant = 1, .fingerprint = client.id, .work = work, .deadline_ms = deadline}, backlog_,
          [this](const StepCost& c) { return scheduler_.cost_model().PredictMs(c); }, now);
    }
    if (client.returns) ++returned, returned_admitted += v.admitted ? 1 : 0;
    if (!v.admitted) {
      ++refused;
      if (client.returns || Uniform() >= machine_.returning) return;  // asks no third time
      client.returns = true;
      // The header knows seconds only.
      Expect(now + 1000 * std::ceil(v.retry_after_ms / 1000) + 20 * Uniform(), client);
      return;
    }
    ++admitted;
    const SeqId id = ++next_;
    const std::vector<int32_t> prompt(static_cast<size_t>(client.prompt), static_cast<int32_t>(id));  // shared by none
    const Admission fits = scheduler_.Add(id, {.prompt = prompt, .max_new_tokens = client.answer});
    TENFOLD_CHECK(fits == Admission::kQueued, "a virtual request is too long");
    jobs_[id] = {client, now, v.done_ms, deadline, client.answer};
    backlog_.waiting.push_back({.seq = id, .tenant = 1, .work = work, .deadline_ms = deadline});
    backlog_.place = std::ssize(backlog_.waiting);
  }

  void Step() {
    const StepPlan plan = scheduler_.Plan();
    StepCost cost;
    for (const PlanRow& row : plan.rows) cost.AddRow(row.first_position, row.count);
    const double ms = TrueMs(cost);
    ArriveUntil(now_ + ms);
    now_ += ms;
    scheduler_.Commit(plan);
    scheduler_.Observe(plan, ms);
    for (const PlanRow& row : plan.rows) {
      const SequenceView view = scheduler_.View(row.seq);
      if (view.computed_tokens < view.known_tokens) continue;
      scheduler_.AppendToken(row.seq, 0);
      if (--jobs_[row.seq].answer_left == 0) Finish(row.seq);
    }
    Publish();
  }

  void Finish(SeqId seq) {
    const Job job = jobs_[seq];
    const double actual = now_ - job.arrived_ms;
    answers.push_back({now_, actual, job.predicted_ms, now_ <= job.deadline_ms});
    admission_.Observe(job.predicted_ms, actual);
    scheduler_.Remove(seq);
    jobs_.erase(seq);
    if (job.client.is_user) Expect(now_, Next(kNoDeadline, true));
  }

  const VirtualMachine machine_;
  std::mt19937_64 random_;
  Scheduler scheduler_;
  AdmissionControl admission_;
  Backlog backlog_;
  std::multimap<double, Client> arrivals_;
  std::map<SeqId, Job> jobs_;
  std::vector<std::pair<int64_t, int64_t>> deck_;
  bool users_stay_ = true;
  double now_ = 0, drift_ = 1, drift_until_ = 0;
  SeqId next_ = 0;
  uint64_t clients_ = 0;
};

}  // namespace tenfold::sched
