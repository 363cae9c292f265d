// Decides which tokens of which sequences the next step computes, and which pages they use.
//
// A deterministic function of the calls made on it: no clock, no thread, no I/O, no model. Tokens are known here only
// to find their pages again (kv/page_cache.h). Not thread safe: the engine loop owns it.
//
// A sequence takes published pages for its next tokens whenever there are some: when it is admitted, and at every later
// step of its prompt. If another sequence of the same step is about to compute the very page it needs next, it waits
// for that one and takes the page then: requests that begin alike compute their beginning once, also when all arrive
// together. It loses nothing by waiting, because what it needs is being computed. Positions whose logits are wanted are
// always computed: the last known one, and all of a prompt that is scored.
//
// How long a step takes it learns from Observe (cost_model.h), so that a prompt slows running streams down by a bounded
// factor instead of stopping them, and an arrival need not wait for a long step to end.
//
// Who waits is admitted fairly (fair_queue.h): the tenant for which the least work was done comes next, first come
// first served within a tenant. A tenant with nothing running does not wait for another's answers to end either: where
// all places are taken, the youngest sequence of the tenant that holds most of them, at least two, makes room, if it
// was promised nothing. Those that run are served in the order of their admission, but for the part of a step's prompt
// tokens that goes to short prompts: the youngest pays when pages run out, the first is never refused a page or
// preempted, and the oldest prompt gets half. So the first always advances, and nobody starves whatever arrives behind
// them.
//
// Measured in steps, with R = ceil(max_running / max_step_tokens): with one tenant, a sequence is finished after at
// most R * (sum of prompt + answer tokens of itself and of all that were there before it) steps, however small the
// pool. With T tenants it is at most T * kDecodeWork times that sum over all that are there when it arrives, and as
// much again for each place (max_running) that others may take before work is charged to them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kv/page_cache.h"
#include "sched/cost_model.h"
#include "sched/fair_queue.h"
#include "sched/step_budget.h"
#include "sched/step_plan.h"

namespace tenfold::sched {

struct Limits {
  int64_t max_running = 10;       // sequences that may hold pages at once, >= 1
  int64_t max_step_tokens = 512;  // tokens per step (n_batch), >= 1
  int64_t max_context = 4096;     // longest prompt + answer of one request (-c)
  // Prompt tokens per step whose logits are wanted, >= 1: each takes a row of vocabulary size, which a whole step's
  // tokens would make too large.
  int64_t max_scored_tokens = 64;
  StepBudget step_budget{};  // of time, once Observe has told how long steps take
  bool prefix_cache = true;  // full pages are shared and kept; false: as if every request said !uses_cache
  uint64_t key_seed = 0;     // of the prefix keys: a secret of the process, where clients are not trusted
};

// What a sequence brings. All of it is copied.
struct Arrival {
  std::span<const int32_t> prompt;  // >= 1 token
  int64_t max_new_tokens = 0;       // >= 0
  bool scores_prompt = false;       // the logits of every prompt position are wanted, each once, however often computed
  bool uses_cache = true;           // takes pages from the cache and leaves its own there
  std::string_view cache_salt{};    // pages are shared only between sequences with the same salt
  TenantId tenant = 0;              // whose share of the machine it takes
  bool keeps_place = false;         // was promised an end in time: does not make room for another tenant
};

enum class Admission { kQueued, kNeverFits };

struct SequenceView {
  int64_t known_tokens = 0;     // prompt + sampled so far
  int64_t computed_tokens = 0;  // in the KV pages
  bool running = false;
  std::span<const kv::PageId> pages;
};

class Scheduler {
 public:
  // The work of a token of an answer, in tokens of a prompt: in a step of ten users it takes twice as long.
  static constexpr int64_t kDecodeWork = 2;

  Scheduler(Limits limits, int32_t pages);
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // seq ids are new and positive. kNeverFits when prompt + max_new exceeds max_context or the whole pool; nothing is
  // remembered then.
  Admission Add(SeqId seq, const Arrival& arrival);
  // Forgets a sequence in any state and frees its pages: finished and cancelled alike. Must exist.
  void Remove(SeqId seq);
  // The next step. Running sequences with one token to compute come first: streams. Prompts get as many tokens as the
  // step's time allows (PromptTokensBeside), shared so that short ones are not stuck behind long ones and the oldest
  // gets half (prompt_shares.h). With more sequences to advance than the budget has tokens, they take turns, one token
  // each. When pages run out, pages that nobody holds are evicted, then the youngest running sequence is preempted: it
  // lets go of its pages and waits at the head of the queue; what is not evicted until its turn it need not compute
  // again. The youngest itself never preempts; short of pages it keeps its own and computes what fits in them. rows is
  // empty only if there is no sequence at all, or the oldest one waits for its AppendToken or Remove.
  StepPlan Plan();
  // The planned rows have been computed. Rows of sequences removed since are ignored.
  void Commit(const StepPlan& plan);
  // The committed plan's step took so long. Optional; what it tells is used from the next Plan on.
  void Observe(const StepPlan& plan, double ms);
  // A token was sampled for the sequence and is known from here on. Needs a committed row that reached the last known
  // token, once per such row, and no more than max_new tokens in all.
  void AppendToken(SeqId seq, int32_t token);
  // Drops KV beyond `tokens`, or beyond fewer where the rest of a page is published and must not be written again
  // (speculation, retry); known tokens stay and are computed again, or found again in the cache. Needs 0 <= tokens <=
  // computed, and no plan that is not committed yet.
  void Truncate(SeqId seq, int64_t tokens);

  // step_budget.h, at the prices learnt so far.
  int64_t PromptTokensBeside(const StepCost& streams, int64_t first_position) const;
  const CostModel& cost_model() const { return cost_model_; }

  SequenceView View(SeqId seq) const;  // must exist; spans are valid until the next non-const call
  bool empty() const { return sequences_.empty(); }
  int64_t running() const { return static_cast<int64_t>(running_.size()); }
  int64_t waiting() const { return waiting_.waiting(); }
  // Those that run, in the order in which they were admitted, and those that wait, in the order in which they will be.
  std::vector<SeqId> Running() const;
  const FairQueue& Waiting() const { return waiting_; }
  const kv::PageCache& pages() const { return pages_; }
  // "" or what is wrong: every page held by exactly the sequences that list it, counts within bounds, no sequence both
  // running and waiting, all in order of arrival. O(pages + sequences).
  std::string CheckIntegrity() const;

 private:
  struct Sequence {
    SeqId id = 0;
    std::vector<int32_t> tokens;  // all that are known
    int64_t computed = 0;
    int64_t published = 0;            // leading pages that are, all of them computed
    std::vector<kv::PrefixKey> keys;  // of the first full pages, as far as they were asked for
    kv::PrefixKey root;
    int64_t limit = 0;  // prompt + max_new
    TenantId tenant = 0;
    uint64_t arrival = 0;       // number in the order of Add
    uint64_t admission = 0;     // number in the order of admissions, the last one that it had
    uint64_t last_turn = 0;     // number of its admission or last share, in the order in which those were given
    int64_t share = 0;          // tokens given to it in the plan being made
    bool awaits_token = false;  // reached its last known token; AppendToken may follow
    bool running = false;
    bool scores_prompt = false;
    bool uses_cache = true;
    bool keeps_place = false;
    int64_t scored = 0;  // positions before it have handed out their logits; counted only with scores_prompt
    std::vector<kv::PageId> pages;

    int64_t known() const { return static_cast<int64_t>(tokens.size()); }
    int64_t pending() const { return known() - computed; }
    // The first position whose logits are still wanted.
    int64_t logits_next() const { return scores_prompt && scored < known() ? scored : known() - 1; }
    int64_t page() const { return computed / kv::kPageTokens; }  // the next one to fill, by its place
    kv::PageId parent(int64_t page) const { return page == 0 ? kv::kNoPage : pages[static_cast<size_t>(page) - 1]; }
  };

  Sequence& Find(SeqId seq);
  const Sequence& Find(SeqId seq) const;
  // planning.cc
  void Admit(StepPlan& plan);
  bool Fits(Sequence& candidate, int64_t freed = 0) const;
  bool IsStuck(const Sequence& s) const;
  void ShareBudget();
  bool HasShare() const;
  void SharePrompts(std::span<Sequence* const> prompts, int64_t budget);
  void Give(Sequence& s, int64_t tokens);
  // prefix.cc
  static kv::PageTokens TokensOf(const Sequence& s, int64_t page);
  const kv::PrefixKey& KeyOf(Sequence& s, int64_t page) const;
  static bool MayAdopt(const Sequence& s, int64_t page);
  static bool Leads(const Sequence& s);
  void Adopt(Sequence& s);
  int64_t HeldPagesToAdopt(Sequence& s) const;
  void Publish(Sequence& s);
  void TakePages(StepPlan& plan);
  void Preempt(size_t index, StepPlan& plan);
  void MakePlaceFor(Sequence& candidate, StepPlan& plan);
  // scheduler.cc
  void FreePagesBeyond(Sequence& sequence, int64_t tokens);
  std::string CheckSequence(const Sequence& sequence) const;

  Limits limits_;
  kv::PageCache pages_;
  CostModel cost_model_;
  std::map<SeqId, Sequence> sequences_;  // owns them; the lists below point into it
  std::vector<Sequence*> running_;       // in the order of their admissions
  FairQueue waiting_;
  uint64_t arrivals_ = 0;
  uint64_t admissions_ = 0;
  uint64_t turns_ = 0;  // admissions and shares so far
};

}  // namespace tenfold::sched
