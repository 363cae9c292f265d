// Bytes as the life of a scheduler: three for its limits and pool, then one operation each of arrive, cancel, truncate,
// step, with their arguments. Every promise of the scheduler's header is checked after each (sched/simulation.h).
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "sched/simulation.h"

namespace {

// Hands out bytes, then zeros.
struct Bytes {
  const uint8_t* data;
  size_t left;
  uint8_t Next() {
    if (left == 0) return 0;
    --left;
    return *data++;
  }
};

void Demand(const std::string& wrong) { TENFOLD_CHECK(wrong.empty(), wrong.c_str()); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using tenfold::sched::SeqId;
  if (size > 4096) return 0;
  Bytes bytes{data, size};
  const tenfold::sched::Limits limits{.max_running = 1 + bytes.Next() % 12,
                                      .max_step_tokens = 1 + bytes.Next() % 40,
                                      .max_context = 200,
                                      .max_scored_tokens = 7};
  tenfold::sched::Simulation simulation(limits, 1 + bytes.Next() % 24);
  const auto step = [&] { Demand(simulation.Step([&](SeqId) { return bytes.Next() % 8 == 7; })); };
  while (bytes.left > 0) {
    switch (bytes.Next() % 8) {
      case 0:
      case 1: {
        const int64_t prompt = 1 + bytes.Next();
        const int64_t max_new = bytes.Next();
        Demand(simulation.Arrive({.prompt = prompt,
                                  .max_new = max_new,
                                  .scores_prompt = max_new % 4 == 3,
                                  .uses_cache = max_new % 16 != 2,
                                  .text = static_cast<uint64_t>(prompt) * 7 % 60,
                                  .salt = static_cast<uint64_t>(prompt) % 2}));
        break;
      }
      case 2:
        Demand(simulation.Cancel(bytes.Next()));
        break;
      case 3: {
        const uint64_t which = bytes.Next();
        Demand(simulation.Truncate(which, bytes.Next()));
        break;
      }
      default:
        step();
    }
  }
  // The simulation's own bound on steps ends this loop, or the run.
  while (!simulation.scheduler().empty()) step();
  return 0;
}
