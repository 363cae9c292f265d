// Decides which tokens of which sequences the next step computes, and which pages they use.
//
// A deterministic function of the calls made on it: no clock, no thread, no I/O, no model. Tokens themselves are not
// here, only their counts. Not thread safe: the engine loop owns it.
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
  int64_t max_running = 10;         // sequences that may hold pages at once
  int64_t max_step_tokens = 512;    // tokens per step (n_batch)
  int64_t max_context = 4096;       // longest prompt + answer of one request (-c)
};

enum class Admission { kQueued, kNeverFits };

struct SequenceView {
  int64_t known_tokens = 0;      // prompt + sampled so far
  int64_t computed_tokens = 0;   // in the KV pages
  bool running = false;
  std::span<const kv::PageId> pages;
};

class Scheduler {
 public:
  Scheduler(Limits limits, int32_t pages);

  // seq ids are new and positive. kNeverFits when prompt + max_new exceeds max_context or the whole pool.
  Admission Add(SeqId seq, int64_t prompt_tokens, int64_t max_new_tokens);
  // Forgets a sequence in any state and frees its pages: finished and cancelled alike. Must exist.
  void Remove(SeqId seq);
  // The next step. Running sequences with one token to compute come first, so that no prompt delays them by more than
  // the rest of the step's budget; the remaining budget goes to prompt chunks, oldest first. When pages run out the
  // youngest running sequence is preempted: it frees its pages and waits at the head of the queue. rows is empty only if there is no
  // sequence at all.
  StepPlan Plan();
  // The planned rows have been computed.
  void Commit(const StepPlan& plan);
  // A token was sampled for the sequence: its known count grows by one. Needs computed == known.
  void AppendToken(SeqId seq);
  // Drops KV beyond `tokens` (speculation, retry). Needs tokens <= computed.
  void Truncate(SeqId seq, int64_t tokens);

  SequenceView View(SeqId seq) const;   // must exist; spans are valid until the next non-const call
  bool empty() const;
  int64_t running() const;
  int64_t waiting() const;
  const kv::BlockPool& pool() const;
  // "" or what is wrong: every page owned by exactly the sequences that list it, counts within bounds, no sequence both
  // running and waiting.
  std::string CheckIntegrity() const;
};

}  // namespace tenfold::sched
