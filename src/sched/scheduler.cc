// The life of sequences: they come, are committed, grow, shrink and go. What a step computes is decided in planning.cc,
// which pages are shared in prefix.cc.
#include "sched/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace tenfold::sched {

Scheduler::Scheduler(Limits limits, int32_t pages) : limits_(limits), pages_(pages) {
  TENFOLD_CHECK(limits.max_running >= 1 && limits.max_step_tokens >= 1 && limits.max_scored_tokens >= 1,
                "a scheduler that could never run anything");
}

Admission Scheduler::Add(SeqId seq, const Arrival& arrival) {
  TENFOLD_CHECK(seq > 0 && !sequences_.contains(seq), "sequence ids are positive and new");
  TENFOLD_CHECK(!arrival.prompt.empty() && arrival.max_new_tokens >= 0,
                "a sequence has a prompt and no negative answer");
  const auto prompt_tokens = static_cast<int64_t>(arrival.prompt.size());
  // Written so that no sum can overflow.
  if (prompt_tokens > limits_.max_context || arrival.max_new_tokens > limits_.max_context - prompt_tokens) {
    return Admission::kNeverFits;
  }
  const int64_t limit = prompt_tokens + arrival.max_new_tokens;
  if (kv::PagesFor(limit) > pages_.total()) return Admission::kNeverFits;
  Sequence& added = sequences_[seq];
  added.id = seq;
  added.tokens.assign(arrival.prompt.begin(), arrival.prompt.end());
  added.root = kv::RootKey(arrival.cache_salt, limits_.key_seed);
  added.limit = limit;
  added.tenant = arrival.tenant;
  added.arrival = ++arrivals_;
  added.scores_prompt = arrival.scores_prompt;
  added.uses_cache = arrival.uses_cache && limits_.prefix_cache;
  added.keeps_place = arrival.keeps_place;
  waiting_.Push(added.tenant, seq);
  return Admission::kQueued;
}

void Scheduler::Remove(SeqId seq) {
  Sequence& sequence = Find(seq);
  FreePagesBeyond(sequence, 0);
  if (sequence.running) {
    running_.erase(std::find(running_.begin(), running_.end(), &sequence));
    waiting_.Done(sequence.tenant);
  } else {
    waiting_.Erase(sequence.tenant, seq);
  }
  sequences_.erase(seq);
}

void Scheduler::Commit(const StepPlan& plan) {
  for (const PlanRow& row : plan.rows) {
    const auto found = sequences_.find(row.seq);
    if (found == sequences_.end()) continue;  // cancelled while its row was computed
    Sequence& s = found->second;
    TENFOLD_CHECK(s.running && row.first_position == s.computed && row.count >= 1 && row.count <= s.pending(),
                  "a committed row is not the continuation of its sequence");
    waiting_.Charge(s.tenant, static_cast<double>(row.count == 1 ? kDecodeWork : row.count));
    s.computed += row.count;
    s.awaits_token = s.pending() == 0;
    if (s.scores_prompt) s.scored = std::max(s.scored, s.computed);
    Publish(s);
  }
}

void Scheduler::Observe(const StepPlan& plan, double ms) {
  StepCost cost;
  for (const PlanRow& row : plan.rows) cost.AddRow(row.first_position, row.count);
  cost_model_.Observe(cost, ms);
}

void Scheduler::AppendToken(SeqId seq, int32_t token) {
  Sequence& s = Find(seq);
  TENFOLD_CHECK(s.awaits_token, "a token was appended to a sequence that has not reached its last known one");
  TENFOLD_CHECK(s.known() < s.limit, "a token was appended beyond the sequence's max_new_tokens");
  s.tokens.push_back(token);
  s.awaits_token = false;
}

void Scheduler::Truncate(SeqId seq, int64_t tokens) {
  Sequence& s = Find(seq);
  TENFOLD_CHECK(tokens >= 0 && tokens <= s.computed, "a sequence was truncated to more than it has");
  if (tokens < s.published * kv::kPageTokens) {
    s.published = tokens / kv::kPageTokens;
    tokens = s.published * kv::kPageTokens;
  }
  FreePagesBeyond(s, tokens);
  s.awaits_token = s.awaits_token && tokens == s.computed;
  s.computed = tokens;
}

std::vector<SeqId> Scheduler::Running() const {
  std::vector<SeqId> running;
  running.reserve(running_.size());
  for (const Sequence* s : running_) running.push_back(s->id);
  return running;
}

SequenceView Scheduler::View(SeqId seq) const {
  const Sequence& s = Find(seq);
  return {.known_tokens = s.known(), .computed_tokens = s.computed, .running = s.running, .pages = s.pages};
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
    pages_.Release(sequence.pages.back());
    sequence.pages.pop_back();
  }
}

}  // namespace tenfold::sched
