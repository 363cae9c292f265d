// What one engine step computes, as plain data: made by the scheduler, read by the model.
#pragma once

#include <cstdint>
#include <vector>

namespace tenfold::sched {

using SeqId = int64_t;

// Tokens [first_position, first_position + count) of one sequence. There is no prefill and no decode: a row catches a
// sequence's computed tokens up with its known tokens.
struct PlanRow {
  SeqId seq = 0;
  int64_t first_position = 0;
  int64_t count = 0;          // >= 1
  int64_t logits_from = 0;    // logits are wanted for positions >= this (first_position + count: none)
  bool wants_hidden = false;  // the last hidden state too (embeddings)
};

struct StepPlan {
  std::vector<PlanRow> rows;
  std::vector<SeqId> preempted;  // lost their pages in this planning; they wait and will be recomputed
  int64_t tokens = 0;            // sum of counts
};

}  // namespace tenfold::sched
