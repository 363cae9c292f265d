// Planning has three stages: admit who fits, share the step's tokens, take pages (oldest first, preempting from the
// young end). Preemption drops pages and computes again later instead of copying them elsewhere: on a CPU the pages
// already are in the memory they would be copied to, and those that nobody needs before stay in the cache.
#include <algorithm>
#include <map>

#include "sched/prompt_shares.h"
#include "sched/scheduler.h"

namespace tenfold::sched {

StepPlan Scheduler::Plan() {
  StepPlan plan;
  Admit(plan);
  // Whose turn it is may find that the pages of all whom it preempted are held by others too: it is the youngest then
  // and gets none, so the turn is another's. Each further round has preempted somebody, so they end.
  size_t preempted = 0;
  do {
    preempted = plan.preempted.size();
    ShareBudget();
    TakePages(plan);
  } while (plan.preempted.size() > preempted && !HasShare());
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

void Scheduler::Admit(StepPlan& plan) {
  while (!waiting_.empty()) {
    Sequence& candidate = Find(waiting_.Front());
    if (running() >= limits_.max_running) MakePlaceFor(candidate, plan);
    if (running() >= limits_.max_running || !Fits(candidate)) return;
    waiting_.Pop();
    candidate.running = true;
    candidate.admission = ++admissions_;
    candidate.last_turn = ++turns_;
    running_.push_back(&candidate);
    Adopt(candidate);  // at once, so that the next candidate sees what is left
  }
}

// All places are taken. A tenant that has none gets one of the tenant that has most, at least two, and for which more
// was done: the youngest sequence of that one waits, and finds its full pages again when its turn comes, if it uses the
// cache. Not one that was promised an end in time, nor an older one in its stead: a tenant is served in order.
void Scheduler::MakePlaceFor(Sequence& candidate, StepPlan& plan) {
  const TenantId tenant = candidate.tenant;
  if (waiting_.served(tenant) > 0) return;
  size_t victim = 0;
  int64_t most = 1;
  for (size_t i = running_.size(); i-- > 1;) {
    const int64_t served = waiting_.served(running_[i]->tenant);
    if (served <= most || waiting_.work(running_[i]->tenant) <= waiting_.work(tenant)) continue;
    most = served;
    victim = i;
  }
  if (most <= 1 || running_[victim]->keeps_place) return;
  int64_t freed = 0;  // pages that nobody else holds; not for nothing does anybody lose its place
  for (const kv::PageId page : running_[victim]->pages) freed += pages_.holders(page) == 1 ? 1 : 0;
  if (Fits(candidate, freed)) Preempt(victim, plan);
}

// A newcomer must find room for its known tokens and one more, beside what the running sequences still lack for the
// same and one page that each of them may grow into. Without the latter it would be admitted, computed and thrown out a
// few steps later, again and again. Pages that it can adopt from those who hold them cost nothing. With nothing running
// it always fits, because Add compared its limit with the whole pool.
bool Scheduler::Fits(Sequence& candidate, int64_t freed) const {
  const auto pages_soon = [](const Sequence& s) { return kv::PagesFor(std::min(s.known() + 1, s.limit)); };
  int64_t free = pages_.available() + freed - (pages_soon(candidate) - HeldPagesToAdopt(candidate));
  for (const Sequence* s : running_) {
    const int64_t wanted = std::min(pages_soon(*s) + 1, kv::PagesFor(s->limit));
    free -= std::max<int64_t>(0, wanted - static_cast<int64_t>(s->pages.size()));
  }
  return free >= 0;
}

// Only the youngest can be: an older one would preempt it. It must not be given tokens that it cannot use.
bool Scheduler::IsStuck(const Sequence& s) const {
  return &s == running_.back() && running_.size() > 1 && pages_.available() == 0 &&
         kv::PagesFor(s.computed + 1) > static_cast<int64_t>(s.pages.size());
}

void Scheduler::Give(Sequence& s, int64_t tokens) {
  if (tokens == 0) return;
  s.share = tokens;
  s.last_turn = ++turns_;
}

bool Scheduler::HasShare() const {
  return std::any_of(running_.begin(), running_.end(), [](const Sequence* s) { return s->share > 0; });
}

// Sets each running sequence's share of the step's tokens; 0 for those that get none.
void Scheduler::ShareBudget() {
  std::vector<Sequence*> eager;
  for (Sequence* s : running_) {
    s->share = 0;
    Adopt(*s);
    if (s->pending() > 0 && !IsStuck(*s)) eager.push_back(s);
  }
  const int64_t budget = limits_.max_step_tokens;
  if (static_cast<int64_t>(eager.size()) > budget) {
    // Too many for one token each: those who have waited longest take a turn.
    std::stable_sort(eager.begin(), eager.end(),
                     [](const Sequence* a, const Sequence* b) { return a->last_turn < b->last_turn; });
    eager.resize(static_cast<size_t>(budget));
    for (Sequence* s : eager) Give(*s, 1);
    return;
  }
  StepCost streams;
  int64_t deepest = 0;
  std::vector<Sequence*> prompts;
  for (Sequence* s : eager) {
    if (s->pending() > 1) {
      prompts.push_back(s);
      deepest = std::max(deepest, s->computed);
    } else {
      Give(*s, 1);
      streams.AddRow(s->computed, 1);
    }
  }
  // Giving the prompts of a tenant that has many requests next to nothing beside another's only stream was tried: no
  // difference to one request beside forty (two cores, 4B, quiet: 2.7 times as long as beside one, without it).
  if (!prompts.empty()) SharePrompts(prompts, PromptTokensBeside(streams, deepest));
}

int64_t Scheduler::PromptTokensBeside(const StepCost& streams, int64_t first_position) const {
  return sched::PromptTokensBeside(cost_model_, limits_.step_budget, limits_.max_step_tokens, streams, first_position);
}

// The oldest comes first, so it never waits for another to fill its page. Who waits lends its rank: if it is nearer to
// its first token than the one that fills the page, that one is served as if it were as near.
// Not kept: stopping it where others wait for it no further, so that the ends of all prompts share steps. Ten users
// with 576 tokens in common and 25 of their own had their first tokens after 8.5 s instead of 8.8 in the mean, the last
// of them 10 % earlier, but the oldest prompt lost its half.
void Scheduler::SharePrompts(std::span<Sequence* const> prompts, int64_t budget) {
  int64_t scored_budget = limits_.max_scored_tokens;
  std::map<kv::PrefixKey, size_t> led;  // pages that somebody in this step is filling: whose demand
  std::vector<Sequence*> makers;
  std::vector<PromptDemand> demands;
  for (Sequence* s : prompts) {
    if (Leads(*s)) {
      const auto [leader, is_new] = led.emplace(KeyOf(*s, s->page()), demands.size());
      if (!is_new && MayAdopt(*s, s->page())) {
        int64_t& rank = demands[leader->second].rank;
        rank = std::min(rank, s->pending());
        continue;
      }
    }
    const bool scores = s->logits_next() + 1 < s->known();
    const int64_t tokens = scores ? std::min(s->pending(), scored_budget) : s->pending();
    if (scores) scored_budget -= tokens;
    makers.push_back(s);
    demands.push_back({tokens, s->pending()});
  }
  const std::vector<int64_t> shares = SharePromptTokens(demands, budget);
  for (size_t i = 0; i < makers.size(); ++i) Give(*makers[i], shares[i]);
}

void Scheduler::TakePages(StepPlan& plan) {
  for (size_t i = 0; i < running_.size(); ++i) {  // running_ shrinks from its end while we go
    Sequence& s = *running_[i];
    if (s.share == 0) continue;
    const auto needed = static_cast<size_t>(kv::PagesFor(s.computed + s.share));
    while (s.pages.size() < needed) {
      if (const auto page = pages_.Allocate()) {
        s.pages.push_back(*page);
      } else if (running_.back() != &s) {
        Preempt(running_.size() - 1, plan);
      } else {
        s.share = std::min(s.share, static_cast<int64_t>(s.pages.size()) * kv::kPageTokens - s.computed);
        break;
      }
    }
  }
}

void Scheduler::Preempt(size_t index, StepPlan& plan) {
  Sequence& victim = *running_[index];
  running_.erase(running_.begin() + static_cast<ptrdiff_t>(index));
  FreePagesBeyond(victim, 0);
  victim.computed = 0;
  victim.published = 0;
  victim.running = false;
  waiting_.PushFront(victim.tenant, victim.id);
  waiting_.Done(victim.tenant);
  plan.preempted.push_back(victim.id);
}

}  // namespace tenfold::sched
