// Decides which tokens of which sequences the next step computes, and which pages they use.
//
// A deterministic function of the calls made on it: no clock, no thread, no I/O, no model. Tokens themselves are not
// here, only their counts. Not thread safe: the engine loop owns it.
//
// Everything is first come, first served: the running sequences are always older than the waiting ones, the youngest
// pays when pages run out, and the oldest is never refused a page. So the oldest always advances, every sequence
// becomes the oldest in the end, and nobody starves whatever arrives behind them. Measured in steps: with R =
// ceil(max_running / max_step_tokens), a sequence is finished after at most R * (sum of prompt + answer tokens of
// itself and of all that were there before it) steps, however small the pool.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kv/block_pool.h"
#include "sched/step_plan.h"

namespace tenfold::sched {

struct Limits {
  int64_t max_running = 10;       // sequences that may hold pages at once, >= 1
  int64_t max_step_tokens = 512;  // tokens per step (n_batch), >= 1
  int64_t max_context = 4096;     // longest prompt + answer of one request (-c)
  // Prompt tokens per step whose logits are wanted, >= 1: each takes a row of vocabulary size, which a whole step's
  // tokens would make too large.
  int64_t max_scored_tokens = 64;
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
  Scheduler(Limits limits, int32_t pages);
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // seq ids are new and positive, prompt_tokens >= 1, max_new_tokens >= 0. kNeverFits when prompt + max_new exceeds
  // max_context or the whole pool; nothing is remembered then.
  // `scores_prompt`: the logits of every prompt position are wanted, each once, however often it is computed.
  Admission Add(SeqId seq, int64_t prompt_tokens, int64_t max_new_tokens, bool scores_prompt = false);
  // Forgets a sequence in any state and frees its pages: finished and cancelled alike. Must exist.
  void Remove(SeqId seq);
  // The next step. Running sequences with one token to compute come first, so that no prompt delays them by more than
  // the rest of the step's budget; the remaining budget goes to prompt chunks, oldest first. With more sequences to
  // advance than the budget has tokens, they take turns, one token each.
  // When pages run out the youngest running sequence is preempted: it frees its pages and waits at the head of the
  // queue. The youngest itself never preempts; short of pages it keeps its own and computes what fits in them.
  // rows is empty only if there is no sequence at all, or the oldest one waits for its AppendToken or Remove.
  StepPlan Plan();
  // The planned rows have been computed. Rows of sequences removed since are ignored.
  void Commit(const StepPlan& plan);
  // A token was sampled for the sequence: its known count grows by one. Needs a committed row that reached the last
  // known token, once per such row, and no more than max_new tokens in all.
  void AppendToken(SeqId seq);
  // Drops KV beyond `tokens` (speculation, retry); known tokens stay and are computed again. Needs
  // 0 <= tokens <= computed, and no plan that is not committed yet.
  void Truncate(SeqId seq, int64_t tokens);

  SequenceView View(SeqId seq) const;  // must exist; spans are valid until the next non-const call
  bool empty() const { return sequences_.empty(); }
  int64_t running() const { return static_cast<int64_t>(running_.size()); }
  int64_t waiting() const { return static_cast<int64_t>(waiting_.size()); }
  const kv::BlockPool& pool() const { return pool_; }
  // "" or what is wrong: every page owned by exactly the sequences that list it, counts within bounds, no sequence both
  // running and waiting, all in order of arrival. O(pages + sequences).
  std::string CheckIntegrity() const;

 private:
  struct Sequence {
    SeqId id = 0;
    int64_t known = 0;
    int64_t computed = 0;
    int64_t limit = 0;          // prompt + max_new
    uint64_t arrival = 0;       // number in the order of Add
    uint64_t last_turn = 0;     // number of its admission or last share, in the order in which those were given
    int64_t share = 0;          // tokens given to it in the plan being made
    bool awaits_token = false;  // reached its last known token; AppendToken may follow
    bool running = false;
    bool scores_prompt = false;
    int64_t scored = 0;  // positions before it have handed out their logits; counted only with scores_prompt
    std::vector<kv::PageId> pages;

    int64_t pending() const { return known - computed; }
    int64_t logits_next() const { return scores_prompt && scored < known ? scored : known - 1; }
  };

  Sequence& Find(SeqId seq);
  const Sequence& Find(SeqId seq) const;
  void Admit();
  bool Fits(const Sequence& candidate) const;
  bool IsStuck(const Sequence& s) const;
  void ShareBudget();
  void TakePages(StepPlan& plan);
  void Preempt(StepPlan& plan);
  void FreePagesBeyond(Sequence& sequence, int64_t tokens);
  std::string CheckSequence(const Sequence& sequence) const;

  Limits limits_;
  kv::BlockPool pool_;
  std::map<SeqId, Sequence> sequences_;  // owns them; the lists below point into it
  std::vector<Sequence*> running_;       // oldest first
  std::deque<Sequence*> waiting_;        // oldest first, all younger than the running ones
  uint64_t arrivals_ = 0;
  uint64_t turns_ = 0;  // admissions and shares so far
};

}  // namespace tenfold::sched
