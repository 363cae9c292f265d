// An engine without a model, for tests and fuzzing: drives a Scheduler and checks every promise of its header against a
// shadow. Each call returns "" or the promise that was broken.
//
// In place of keys and values, every slot of every page remembers which tokens it was computed from: a hash of the salt
// and of all tokens up to its own. A sequence that meets a slot of another beginning has been given another's content.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "sched/scheduler.h"

namespace tenfold::sched {

// A request of the simulation. Texts are made of a number: those that are equal modulo 4 begin alike, some for 0 to 79
// tokens, every third to the end of their answers, so that a later, longer prompt continues an earlier answer.
struct Visit {
  int64_t prompt = 1;
  int64_t max_new = 0;
  bool scores_prompt = false;
  bool uses_cache = true;
  uint64_t text = 0;
  uint64_t salt = 0;
  TenantId tenant = 0;  // below the simulation's number of tenants
};

class Simulation {
 public:
  Simulation(Limits limits, int32_t pages, int64_t tenants = 1)
      : limits_(limits),
        tenants_(tenants),
        scheduler_(limits, pages),
        slots_(static_cast<size_t>(pages) * kv::kPageTokens, 0) {}

  const Scheduler& scheduler() const { return scheduler_; }
  uint64_t plan_hash() const { return hash_; }  // of all plans so far
  int64_t finished() const { return finished_; }
  int64_t preemptions() const { return preemptions_; }
  int64_t computed_tokens() const { return computed_tokens_; }
  int64_t adopted_tokens() const { return adopted_tokens_; }

  std::string Arrive(const Visit& visit) {
    const SeqId id = next_id_++;
    const bool fits = visit.prompt <= limits_.max_context && visit.max_new <= limits_.max_context - visit.prompt &&
                      kv::PagesFor(visit.prompt + visit.max_new) <= scheduler_.pages().total();
    std::vector<int32_t> prompt;
    for (int64_t i = 0; i < visit.prompt; ++i) prompt.push_back(TokenOf(visit.text, i));
    const bool queued = scheduler_.Add(id, {.prompt = prompt,
                                            .max_new_tokens = visit.max_new,
                                            .scores_prompt = visit.scores_prompt,
                                            .uses_cache = visit.uses_cache,
                                            .cache_salt = std::to_string(visit.salt),
                                            .tenant = visit.tenant}) == Admission::kQueued;
    if (queued != fits) {
      return fmt::format("admission of {} + {} tokens answered {}", visit.prompt, visit.max_new, queued);
    }
    if (!queued) return Check();
    Shadow& added = shadows_[id];
    added.visit = visit;
    for (const int32_t token : prompt) added.Know(token);
    added.limit = visit.prompt + visit.max_new;
    for (const auto& [other, shadow] : shadows_) added.steps_left += Turns() * shadow.limit;
    if (tenants_ > 1) {
      added.steps_left += Turns() * limits_.max_running * limits_.max_context;
      added.steps_left *= tenants_ * Scheduler::kDecodeWork;
    }
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
    const auto asked = static_cast<int64_t>(keep % static_cast<uint64_t>(it->second.computed + 1));
    scheduler_.Truncate(it->first, asked);
    const int64_t left = scheduler_.View(it->first).computed_tokens;
    if (left > asked || left < asked / kv::kPageTokens * kv::kPageTokens) {
      return fmt::format("truncation to {} left {}", asked, left);
    }
    // The dropped tokens are work for everybody from here on; with several tenants, also for those who came before.
    for (auto later = tenants_ > 1 ? shadows_.begin() : it; later != shadows_.end(); ++later) {
      later->second.steps_left += tenants_ * Turns() * (it->second.computed - left);
    }
    it->second.computed = left;
    return Check();
  }

  // One engine step. stop(id) says whether the token just sampled for a sequence ends it.
  template <class Stop>
  std::string Step(Stop&& stop) {
    const std::vector<SeqId> before = scheduler_.Running();
    const StepPlan plan = scheduler_.Plan();
    HashPlan(plan);
    if (plan.rows.empty() != shadows_.empty())
      return fmt::format("{} rows of {} sequences", plan.rows.size(), shadows_.size());
    if (std::string wrong = TakePreempted(plan, before.empty() ? 0 : before.front()); !wrong.empty()) return wrong;
    if (std::string wrong = TakeAdopted(); !wrong.empty()) return wrong;
    if (std::string wrong = CheckRows(plan); !wrong.empty()) return wrong;
    if (std::string wrong = Compute(plan); !wrong.empty()) return wrong;
    if (std::string wrong = Check(); !wrong.empty()) return wrong;
    scheduler_.Commit(plan);
    scheduler_.Observe(plan, 5.0 + 3.0 * static_cast<double>(plan.tokens));
    for (const PlanRow& row : plan.rows) Finish(row, stop);
    for (auto& [id, shadow] : shadows_) {
      if (--shadow.steps_left < 0) return fmt::format("sequence {} is not finished within its bound of steps", id);
    }
    return Check();
  }

 private:
  struct Shadow {
    Visit visit;
    std::vector<int32_t> tokens;
    std::vector<uint64_t> beginnings;  // of each token: the hash of salt and tokens up to it
    int64_t computed = 0;
    int64_t limit = 0;
    int64_t steps_left = 0;  // until the header's bound
    int64_t scored = 0;      // positions whose logits were handed out

    int64_t known() const { return static_cast<int64_t>(tokens.size()); }
    int64_t logits_next() const { return visit.scores_prompt ? std::min(scored, known() - 1) : known() - 1; }
    void Know(int32_t token) {
      tokens.push_back(token);
      const uint64_t before = beginnings.empty() ? Mix(visit.salt, 0x5A17) : beginnings.back();
      beginnings.push_back(Mix(before, static_cast<uint64_t>(token)));
    }
  };

  static uint64_t Mix(uint64_t a, uint64_t b) {  // splitmix64's finisher
    uint64_t x = (a ^ (b + 1) * 0x9E3779B97F4A7C15ULL) + 0x9E3779B97F4A7C15ULL;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
  }
  static int32_t TokenOf(uint64_t text, int64_t position) {
    const uint64_t kind = text / 4 % 3;
    const auto alike = static_cast<int64_t>(kind == 0 ? 1 << 20 : text / 12 % 80);
    const uint64_t of = position < alike ? text % 4 : text;
    return static_cast<int32_t>(Mix(of, static_cast<uint64_t>(position)) % 1000);
  }

  int64_t Turns() const { return (limits_.max_running + limits_.max_step_tokens - 1) / limits_.max_step_tokens; }
  std::map<SeqId, Shadow>::iterator Pick(uint64_t which) {
    return std::next(shadows_.begin(), static_cast<int64_t>(which % shadows_.size()));
  }

  std::string TakePreempted(const StepPlan& plan, SeqId first) {
    for (const SeqId id : plan.preempted) {
      const auto it = shadows_.find(id);
      if (it == shadows_.end()) return fmt::format("preempted {}, which does not exist", id);
      if (id == first) return fmt::format("preempted {}, the first", id);
      if (tenants_ == 1 && it == shadows_.begin()) return fmt::format("preempted {}, the oldest", id);
      it->second.computed = 0;
      ++preemptions_;
    }
    return "";
  }

  // The oldest prompt gets half of what prompts get, unless it wants less, or its logits or the pages are short.
  std::string CheckOldestPrompt(const StepPlan& plan) const {
    int64_t prompts = 0;
    const PlanRow* oldest = nullptr;
    const std::vector<SeqId> order = scheduler_.Running();
    const auto place = [&](SeqId seq) { return std::find(order.begin(), order.end(), seq); };
    for (const PlanRow& row : plan.rows) {
      const Shadow& s = shadows_.at(row.seq);
      if (s.known() - s.computed == 1) continue;
      prompts += row.count;
      if (oldest == nullptr || place(row.seq) < place(oldest->seq)) oldest = &row;
    }
    if (oldest == nullptr || Turns() > 1) return "";
    const Shadow& s = shadows_.at(oldest->seq);
    const bool last = scheduler_.pages().available() == 0;
    if (s.visit.scores_prompt || last || oldest->count == s.known() - s.computed || 2 * oldest->count >= prompts)
      return "";
    return fmt::format("the oldest prompt, {}, got {} of {} tokens", oldest->seq, oldest->count, prompts);
  }

  // What planning found in the cache: whole pages, none of whose logits are wanted.
  std::string TakeAdopted() {
    for (auto& [id, s] : shadows_) {
      const int64_t computed = scheduler_.View(id).computed_tokens;
      if (computed == s.computed) continue;
      if (computed < s.computed || computed % kv::kPageTokens != 0 || computed > s.logits_next() ||
          !s.visit.uses_cache || !limits_.prefix_cache) {
        return fmt::format("sequence {} went from {} computed to {} by itself", id, s.computed, computed);
      }
      adopted_tokens_ += computed - s.computed;
      s.computed = computed;
      if (std::string wrong = CheckContent(id, computed); !wrong.empty()) return wrong;
    }
    return "";
  }

  // All rows write, then all read, as layers do.
  std::string Compute(const StepPlan& plan) {
    for (const PlanRow& row : plan.rows) {
      const Shadow& s = shadows_.at(row.seq);
      const auto pages = scheduler_.View(row.seq).pages;
      for (int64_t p = row.first_position; p < row.first_position + row.count; ++p) {
        const kv::PageId page = pages[static_cast<size_t>(p / kv::kPageTokens)];
        if (scheduler_.pages().IsPublished(page) || scheduler_.pages().holders(page) != 1) {
          return fmt::format("sequence {} writes page {}, which others may read", row.seq, page);
        }
        slots_[SlotOf(page, p)] = s.beginnings[static_cast<size_t>(p)];
      }
    }
    for (const PlanRow& row : plan.rows) {
      if (std::string wrong = CheckContent(row.seq, row.first_position + row.count); !wrong.empty()) return wrong;
    }
    return "";
  }

  std::string CheckContent(SeqId id, int64_t tokens) const {
    const Shadow& s = shadows_.at(id);
    const auto pages = scheduler_.View(id).pages;
    for (int64_t p = 0; p < tokens; ++p) {
      const kv::PageId page = pages[static_cast<size_t>(p / kv::kPageTokens)];
      if (slots_[SlotOf(page, p)] != s.beginnings[static_cast<size_t>(p)]) {
        return fmt::format("sequence {} was given another's content at position {}, page {}", id, p, page);
      }
    }
    return "";
  }
  static size_t SlotOf(kv::PageId page, int64_t position) {
    return static_cast<size_t>(int64_t{page} * kv::kPageTokens + position % kv::kPageTokens);
  }

  // Rows continue their sequences, stay in their pages and in the budget; single tokens come first; whoever waits for a
  // token gets one unless the budget, or pages, are short.
  std::string CheckRows(const StepPlan& plan) {
    int64_t total = 0;
    bool chunk_seen = false;
    bool first_seen = false;
    const SeqId first = scheduler_.Running().empty() ? 0 : scheduler_.Running().front();
    int64_t scored_total = 0;
    std::map<SeqId, int> rows_of;
    for (const PlanRow& row : plan.rows) {
      const auto it = shadows_.find(row.seq);
      if (it == shadows_.end()) return fmt::format("a row of {}, which does not exist", row.seq);
      const Shadow& s = it->second;
      const int64_t end = row.first_position + row.count;
      if (++rows_of[row.seq] > 1) return fmt::format("two rows of {}", row.seq);
      if (row.first_position != s.computed || row.count < 1 || end > s.known()) {
        return fmt::format("row [{}, {}) of {} with {} computed, {} known", row.first_position, end, row.seq,
                           s.computed, s.known());
      }
      // Every position of a scored prompt once, and the last known one, from which a token is drawn.
      const int64_t scored = s.visit.scores_prompt ? std::clamp(s.scored, row.first_position, end) : end;
      if (row.logits_from != (end == s.known() ? std::min(scored, end - 1) : scored)) {
        return fmt::format("wrong logits_from of {}", row.seq);
      }
      if (end - row.logits_from > 1) scored_total += end - row.logits_from;
      if (kv::PagesFor(end) > std::ssize(scheduler_.View(row.seq).pages))
        return fmt::format("no pages for {}", row.seq);
      const bool single = s.known() - s.computed == 1;
      if (single && chunk_seen) return fmt::format("the single token of {} comes after a chunk", row.seq);
      chunk_seen = chunk_seen || !single;
      first_seen = first_seen || row.seq == first;
      total += row.count;
    }
    if (total != plan.tokens || total > limits_.max_step_tokens) return fmt::format("{} tokens in the step", total);
    if (scored_total > limits_.max_scored_tokens) return fmt::format("{} scored tokens in the step", scored_total);
    if (!first_seen && Turns() == 1 && !shadows_.empty()) return "the first sequence did not advance";
    if (tenants_ == 1 && first != (shadows_.empty() ? 0 : shadows_.begin()->first))
      return "the oldest is not the first";
    if (std::string wrong = CheckOldestPrompt(plan); !wrong.empty()) return wrong;
    computed_tokens_ += total;
    return "";
  }

  template <class Stop>
  void Finish(const PlanRow& row, Stop&& stop) {
    const auto it = shadows_.find(row.seq);
    Shadow& s = it->second;
    s.computed += row.count;
    s.scored = std::max(s.scored, s.computed);
    if (s.computed < s.known()) return;
    if (s.known() < s.limit) {
      const int32_t token = TokenOf(s.visit.text, s.known());
      scheduler_.AppendToken(row.seq, token);
      s.Know(token);
    }
    if (s.known() < s.limit && !stop(row.seq)) return;
    scheduler_.Remove(row.seq);
    shadows_.erase(it);
    ++finished_;
  }

  std::string Check() const {
    int64_t running = 0;
    for (const auto& [id, shadow] : shadows_) {
      const SequenceView view = scheduler_.View(id);
      if (view.known_tokens != shadow.known() || view.computed_tokens != shadow.computed) {
        return fmt::format("sequence {} has {} of {} computed, expected {} of {}", id, view.computed_tokens,
                           view.known_tokens, shadow.computed, shadow.known());
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
  int64_t tenants_;
  Scheduler scheduler_;
  std::map<SeqId, Shadow> shadows_;  // ids go up, so this is the order of arrival
  SeqId next_id_ = 1;
  uint64_t hash_ = 0xCBF29CE484222325ULL;
  int64_t finished_ = 0;
  int64_t preemptions_ = 0;
  int64_t computed_tokens_ = 0;
  int64_t adopted_tokens_ = 0;
  std::vector<uint64_t> slots_;  // what each slot of each page was computed from
};

}  // namespace tenfold::sched
