// How many KV pages a model gets, and how long a request may then be: arithmetic on what was asked for and what is
// free, so that every case can be tested without a machine that has it. Pure, any thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace tenfold::engine {

// Of one request, where nobody says (-c) and the model allows more.
inline constexpr int64_t kDefaultMaxContext = 8192;

struct PoolInput {
  uint64_t page_bytes = 0;   // > 0
  uint64_t asked_bytes = 0;  // --kv-memory; 0: from what is free
  // Free memory, with what packing the weights will give back; 0: unknown. Of it the weights take weight_bytes.
  uint64_t available_bytes = 0;
  uint64_t weight_bytes = 0;
  // The buffers of the largest step (-b). What the margin that is always left holds is its own matter; the rest is kept
  // out of the pool.
  uint64_t step_bytes = 0;
  int64_t step_tokens = 0;      // for messages
  int64_t asked_context = 0;    // -c; 0: default_context, or what the pool holds if that is less
  int64_t default_context = 0;  // >= 1
  int64_t max_running = 1;
};

struct PoolPlan {
  int32_t pages = 0;
  int64_t context = 0;     // longest prompt + answer of one request; never more than the pool holds
  bool shortened = false;  // the pool holds less than default_context
  std::string text;        // for the log: how large, how many contexts, why
};

// A pool that was asked for gets its size, or an error if there is no such memory. Otherwise the pool is what is free
// less a margin (kv/pool_size.h), at most twice what max_running full contexts need: the second half is for the
// prefixes of requests that are over. A context that was asked for (-c) must fit; the default one is shortened to the
// pool, down to 256 tokens. Errors: kInvalidArgument and kResourceExhausted, one sentence with the numbers and what to
// change.
Result<PoolPlan> PlanPool(const PoolInput& input);

}  // namespace tenfold::engine
