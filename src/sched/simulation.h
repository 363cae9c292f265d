// An engine without a model, for tests and fuzzing: drives a Scheduler and checks every promise of its header against a
// shadow that only counts. Each call returns "" or the promise that was broken.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>

#include "sched/scheduler.h"

namespace tenfold::sched {

class Simulation {
 public:
  Simulation(Limits limits, int32_t pages) : limits_(limits), scheduler_(limits, pages) {}

  const Scheduler& scheduler() const { return scheduler_; }
  uint64_t plan_hash() const { return hash_; }  // of all plans so far
  int64_t finished() const { return finished_; }
  int64_t preemptions() const { return preemptions_; }
  int64_t computed_tokens() const { return computed_tokens_; }

  std::string Arrive(int64_t prompt, int64_t max_new, bool scores_prompt = false) {
    const SeqId id = next_id_++;
    const bool fits = prompt <= limits_.max_context && max_new <= limits_.max_context - prompt &&
                      kv::PagesFor(prompt + max_new) <= scheduler_.pool().total();
    const bool queued = scheduler_.Add(id, prompt, max_new, scores_prompt) == Admission::kQueued;
    if (queued != fits) return fmt::format("admission of {} + {} tokens answered {}", prompt, max_new, queued);
    if (!queued) return Check();
    Shadow& added = shadows_[id];
    added.known = prompt;
    added.limit = prompt + max_new;
    added.scores_prompt = scores_prompt;
    for (const auto& [other, shadow] : shadows_) added.steps_left += Turns() * shadow.limit;
    return Check();
  }

  // `which` picks one of the sequences there are, in any way; nothing happens when there is none.
  std::string Cancel(uint64_t which) {
    if (shadows_.empty()) return "";
    const auto it = Pick(which);
    scheduler_.Remove(it->first);
    shadows_.erase(it);
    return Check();
  }

  // Drops a part of what is computed; `keep` is taken modulo what there is.
  std::string Truncate(uint64_t which, uint64_t keep) {
    if (shadows_.empty()) return "";
    const auto it = Pick(which);
    const int64_t left = static_cast<int64_t>(keep % (it->second.computed + 1));
    // The dropped tokens are work for everybody from here on.
    for (auto later = it; later != shadows_.end(); ++later) {
      later->second.steps_left += Turns() * (it->second.computed - left);
    }
    scheduler_.Truncate(it->first, left);
    it->second.computed = left;
    return Check();
  }

  // One engine step. stop(id) says whether the token just sampled for a sequence ends it.
  template <class Stop>
  std::string Step(Stop&& stop) {
    const StepPlan plan = scheduler_.Plan();
    HashPlan(plan);
    if (plan.rows.empty() != shadows_.empty())
      return fmt::format("{} rows of {} sequences", plan.rows.size(), shadows_.size());
    if (std::string wrong = TakePreempted(plan); !wrong.empty()) return wrong;
    if (std::string wrong = CheckRows(plan); !wrong.empty()) return wrong;
    if (std::string wrong = Check(); !wrong.empty()) return wrong;
    scheduler_.Commit(plan);
    for (const PlanRow& row : plan.rows) Finish(row, stop);
    for (auto& [id, shadow] : shadows_) {
      if (--shadow.steps_left < 0) return fmt::format("sequence {} is not finished within its bound of steps", id);
    }
    return Check();
  }

 private:
  struct Shadow {
    int64_t known = 0;
    int64_t computed = 0;
    int64_t limit = 0;
    int64_t steps_left = 0;  // until the header's bound
    bool scores_prompt = false;
    int64_t scored = 0;  // positions whose logits were handed out
  };

  int64_t Turns() const { return (limits_.max_running + limits_.max_step_tokens - 1) / limits_.max_step_tokens; }
  std::map<SeqId, Shadow>::iterator Pick(uint64_t which) {
    return std::next(shadows_.begin(), static_cast<int64_t>(which % shadows_.size()));
  }

  std::string TakePreempted(const StepPlan& plan) {
    for (const SeqId id : plan.preempted) {
      const auto it = shadows_.find(id);
      if (it == shadows_.end()) return fmt::format("preempted {}, which does not exist", id);
      if (it == shadows_.begin()) return fmt::format("preempted {}, the oldest", id);
      it->second.computed = 0;
      ++preemptions_;
    }
    return "";
  }

  // Rows continue their sequences, stay in their pages and in the budget; single tokens come first; whoever waits for a
  // token gets one unless the budget, or pages, are short.
  std::string CheckRows(const StepPlan& plan) {
    int64_t total = 0;
    bool chunk_seen = false;
    bool oldest_seen = false;
    int64_t scored_total = 0;
    std::map<SeqId, int> rows_of;
    for (const PlanRow& row : plan.rows) {
      const auto it = shadows_.find(row.seq);
      if (it == shadows_.end()) return fmt::format("a row of {}, which does not exist", row.seq);
      const Shadow& s = it->second;
      const int64_t end = row.first_position + row.count;
      if (++rows_of[row.seq] > 1) return fmt::format("two rows of {}", row.seq);
      if (row.first_position != s.computed || row.count < 1 || end > s.known) {
        return fmt::format("row [{}, {}) of {} with {} computed, {} known", row.first_position, end, row.seq,
                           s.computed, s.known);
      }
      // Every position of a scored prompt once, and the last known one, from which a token is drawn.
      const int64_t scored = s.scores_prompt ? std::clamp(s.scored, row.first_position, end) : end;
      if (row.logits_from != (end == s.known ? std::min(scored, end - 1) : scored)) {
        return fmt::format("wrong logits_from of {}", row.seq);
      }
      if (end - row.logits_from > 1) scored_total += end - row.logits_from;
      if (kv::PagesFor(end) > std::ssize(scheduler_.View(row.seq).pages))
        return fmt::format("no pages for {}", row.seq);
      const bool single = s.known - s.computed == 1;
      if (single && chunk_seen) return fmt::format("the single token of {} comes after a chunk", row.seq);
      chunk_seen = chunk_seen || !single;
      oldest_seen = oldest_seen || it == shadows_.begin();
      total += row.count;
    }
    if (total != plan.tokens || total > limits_.max_step_tokens) return fmt::format("{} tokens in the step", total);
    if (scored_total > limits_.max_scored_tokens) return fmt::format("{} scored tokens in the step", scored_total);
    if (!oldest_seen && Turns() == 1 && !shadows_.empty()) return "the oldest sequence did not advance";
    computed_tokens_ += total;
    return "";
  }

  template <class Stop>
  void Finish(const PlanRow& row, Stop&& stop) {
    const auto it = shadows_.find(row.seq);
    Shadow& s = it->second;
    s.computed += row.count;
    s.scored = std::max(s.scored, s.computed);
    if (s.computed < s.known) return;
    if (s.known < s.limit) {
      scheduler_.AppendToken(row.seq);
      ++s.known;
    }
    if (s.known < s.limit && !stop(row.seq)) return;
    scheduler_.Remove(row.seq);
    shadows_.erase(it);
    ++finished_;
  }

  std::string Check() const {
    int64_t running = 0;
    for (const auto& [id, shadow] : shadows_) {
      const SequenceView view = scheduler_.View(id);
      if (view.known_tokens != shadow.known || view.computed_tokens != shadow.computed) {
        return fmt::format("sequence {} has {} of {} computed, expected {} of {}", id, view.computed_tokens,
                           view.known_tokens, shadow.computed, shadow.known);
      }
      running += view.running ? 1 : 0;
    }
    if (running != scheduler_.running() || std::ssize(shadows_) != running + scheduler_.waiting()) {
      return "the counts of sequences disagree";
    }
    return scheduler_.CheckIntegrity();
  }

  void Hash(int64_t value) { hash_ = (hash_ ^ static_cast<uint64_t>(value)) * 0x100000001B3ULL; }  // FNV-1a
  void HashPlan(const StepPlan& plan) {
    for (const PlanRow& row : plan.rows) {
      for (const int64_t value : {row.seq, row.first_position, row.count, row.logits_from}) Hash(value);
      for (const kv::PageId page : scheduler_.View(row.seq).pages) Hash(page);
    }
    for (const SeqId id : plan.preempted) Hash(-id);
  }

  Limits limits_;
  Scheduler scheduler_;
  std::map<SeqId, Shadow> shadows_;  // ids go up, so this is the order of arrival
  SeqId next_id_ = 1;
  uint64_t hash_ = 0xCBF29CE484222325ULL;
  int64_t finished_ = 0;
  int64_t preemptions_ = 0;
  int64_t computed_tokens_ = 0;
};

}  // namespace tenfold::sched
