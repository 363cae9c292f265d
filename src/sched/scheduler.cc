// Planning has three stages: admit who fits, share the step's tokens, take pages (oldest first, preempting from the
// young end). Preemption drops pages and computes again later instead of copying them elsewhere: on a CPU the pages
// already are in the memory they would be copied to.
#include "sched/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace tenfold::sched {

Scheduler::Scheduler(Limits limits, int32_t pages) : limits_(limits), pool_(pages) {
  TENFOLD_CHECK(limits.max_running >= 1 && limits.max_step_tokens >= 1 && limits.max_scored_tokens >= 1,
                "a scheduler that could never run anything");
}

Admission Scheduler::Add(SeqId seq, int64_t prompt_tokens, int64_t max_new_tokens, bool scores_prompt) {
  TENFOLD_CHECK(seq > 0 && !sequences_.contains(seq), "sequence ids are positive and new");
  TENFOLD_CHECK(prompt_tokens >= 1 && max_new_tokens >= 0, "a sequence has a prompt and no negative answer");
  // Written so that no sum can overflow.
  if (prompt_tokens > limits_.max_context || max_new_tokens > limits_.max_context - prompt_tokens) {
    return Admission::kNeverFits;
  }
  const int64_t limit = prompt_tokens + max_new_tokens;
  if (kv::PagesFor(limit) > pool_.total()) return Admission::kNeverFits;
  Sequence& added = sequences_[seq];
  added.id = seq;
  added.known = prompt_tokens;
  added.limit = limit;
  added.arrival = ++arrivals_;
  added.scores_prompt = scores_prompt;
  waiting_.push_back(&added);
  return Admission::kQueued;
}

void Scheduler::Remove(SeqId seq) {
  Sequence& sequence = Find(seq);
  FreePagesBeyond(sequence, 0);
  if (sequence.running) {
    running_.erase(std::find(running_.begin(), running_.end(), &sequence));
  } else {
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &sequence));
  }
  sequences_.erase(seq);
}

StepPlan Scheduler::Plan() {
  Admit();
  ShareBudget();
  StepPlan plan;
  TakePages(plan);
  for (const bool single : {true, false}) {
    for (Sequence* s : running_) {
      if (s->share == 0 || (s->pending() == 1) != single) continue;
      const int64_t end = s->computed + s->share;
      plan.rows.push_back({.seq = s->id,
                           .first_position = s->computed,
                           .count = s->share,
                           .logits_from = std::clamp(s->logits_next(), s->computed, end),
                           .wants_hidden = false});
      plan.tokens += s->share;
    }
  }
  return plan;
}

void Scheduler::Admit() {
  while (!waiting_.empty() && running() < limits_.max_running && Fits(*waiting_.front())) {
    Sequence* admitted = waiting_.front();
    waiting_.pop_front();
    admitted->running = true;
    admitted->last_turn = ++turns_;
    running_.push_back(admitted);
  }
}

// A newcomer must find room for its known tokens and one more, beside what the running sequences still lack for the
// same and one page that each of them may grow into. Without the latter it would be admitted, computed and thrown out a
// few steps later, again and again. With nothing running it always fits, because Add compared its limit with the whole
// pool.
bool Scheduler::Fits(const Sequence& candidate) const {
  const auto pages_soon = [](const Sequence& s) { return kv::PagesFor(std::min(s.known + 1, s.limit)); };
  int64_t free = pool_.free() - pages_soon(candidate);
  for (const Sequence* s : running_) {
    const int64_t wanted = std::min(pages_soon(*s) + 1, kv::PagesFor(s->limit));
    free -= std::max<int64_t>(0, wanted - static_cast<int64_t>(s->pages.size()));
  }
  return free >= 0;
}

// Only the youngest can be: an older one would preempt it. It must not be given tokens that it cannot use.
bool Scheduler::IsStuck(const Sequence& s) const {
  return &s == running_.back() && running_.size() > 1 && pool_.free() == 0 &&
         kv::PagesFor(s.computed + 1) > static_cast<int64_t>(s.pages.size());
}

// Sets each running sequence's share of the step's tokens; 0 for those that get none.
void Scheduler::ShareBudget() {
  std::vector<Sequence*> eager;
  for (Sequence* s : running_) {
    s->share = 0;
    if (s->pending() > 0 && !IsStuck(*s)) eager.push_back(s);
  }
  int64_t budget = limits_.max_step_tokens;
  const auto give = [&](Sequence* s, int64_t tokens) {
    if (tokens == 0) return;
    s->share = tokens;
    s->last_turn = ++turns_;
    budget -= tokens;
  };
  if (static_cast<int64_t>(eager.size()) > budget) {
    // Too many for one token each: those who have waited longest take a turn.
    std::stable_sort(eager.begin(), eager.end(),
                     [](const Sequence* a, const Sequence* b) { return a->last_turn < b->last_turn; });
    eager.resize(static_cast<size_t>(budget));
    for (Sequence* s : eager) give(s, 1);
    return;
  }
  for (Sequence* s : eager) {
    if (s->pending() == 1) give(s, 1);
  }
  // There is one token left for each prompt at least, so the oldest prompt always advances.
  int64_t scored_budget = limits_.max_scored_tokens;
  for (Sequence* s : eager) {
    if (s->share != 0) continue;
    const bool scores = s->logits_next() + 1 < s->known;
    const int64_t share = std::min({s->pending(), budget, scores ? scored_budget : budget});
    if (scores) scored_budget -= share;
    give(s, share);
  }
}

void Scheduler::TakePages(StepPlan& plan) {
  for (size_t i = 0; i < running_.size(); ++i) {  // running_ shrinks from its end while we go
    Sequence& s = *running_[i];
    if (s.share == 0) continue;
    const auto needed = static_cast<size_t>(kv::PagesFor(s.computed + s.share));
    while (s.pages.size() < needed) {
      if (const auto page = pool_.Allocate()) {
        s.pages.push_back(*page);
      } else if (running_.back() != &s) {
        Preempt(plan);
      } else {
        s.share = std::min(s.share, static_cast<int64_t>(s.pages.size()) * kv::kPageTokens - s.computed);
        break;
      }
    }
  }
}

void Scheduler::Preempt(StepPlan& plan) {
  Sequence* youngest = running_.back();
  running_.pop_back();
  FreePagesBeyond(*youngest, 0);
  youngest->computed = 0;
  youngest->running = false;
  waiting_.push_front(youngest);
  plan.preempted.push_back(youngest->id);
}

void Scheduler::Commit(const StepPlan& plan) {
  for (const PlanRow& row : plan.rows) {
    const auto found = sequences_.find(row.seq);
    if (found == sequences_.end()) continue;  // cancelled while its row was computed
    Sequence& s = found->second;
    TENFOLD_CHECK(s.running && row.first_position == s.computed && row.count >= 1 && row.count <= s.pending(),
                  "a committed row is not the continuation of its sequence");
    s.computed += row.count;
    s.awaits_token = s.pending() == 0;
    if (s.scores_prompt) s.scored = std::max(s.scored, s.computed);
  }
}

void Scheduler::AppendToken(SeqId seq) {
  Sequence& s = Find(seq);
  TENFOLD_CHECK(s.awaits_token, "a token was appended to a sequence that has not reached its last known one");
  TENFOLD_CHECK(s.known < s.limit, "a token was appended beyond the sequence's max_new_tokens");
  ++s.known;
  s.awaits_token = false;
}

void Scheduler::Truncate(SeqId seq, int64_t tokens) {
  Sequence& s = Find(seq);
  TENFOLD_CHECK(tokens >= 0 && tokens <= s.computed, "a sequence was truncated to more than it has");
  FreePagesBeyond(s, tokens);
  s.awaits_token = s.awaits_token && tokens == s.computed;
  s.computed = tokens;
}

SequenceView Scheduler::View(SeqId seq) const {
  const Sequence& s = Find(seq);
  return {.known_tokens = s.known, .computed_tokens = s.computed, .running = s.running, .pages = s.pages};
}

Scheduler::Sequence& Scheduler::Find(SeqId seq) {
  const auto found = sequences_.find(seq);
  TENFOLD_CHECK(found != sequences_.end(), "no such sequence");
  return found->second;
}

const Scheduler::Sequence& Scheduler::Find(SeqId seq) const { return const_cast<Scheduler*>(this)->Find(seq); }

void Scheduler::FreePagesBeyond(Sequence& sequence, int64_t tokens) {
  const auto keep = static_cast<size_t>(kv::PagesFor(tokens));
  while (sequence.pages.size() > keep) {
    pool_.Release(sequence.pages.back());
    sequence.pages.pop_back();
  }
}

}  // namespace tenfold::sched
