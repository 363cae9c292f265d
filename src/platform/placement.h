// How many compute threads, on which CPUs, with memory from which nodes: the choice as a pure function of a topology.
//
// Threads: one a core, because two hyper-threads share the units that products run on; performance cores alone where
// there are two kinds, because the slowest thread ends a phase; never more than the cgroup's quota of CPU time.
// Memory: all threads take work from one list, so no panel of weights belongs to a thread or its node. With CPUs on
// several nodes the compute threads therefore take their memory from those nodes in turns (the weights, the keys and
// values and the step's buffers are first touched by them): all memory channels are used evenly, where first touch
// would put a model that one thread reads onto one node. What is bound to one node stays on it by first touch.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "platform/cpu.h"
#include "platform/topology.h"

namespace tenfold::platform {

// What the operator wants of --cpu-affinity.
struct Affinity {
  enum class Kind {
    kNone,     // threads run where the scheduler puts them
    kCompact,  // each on a CPU of its own, neighbours first: one cache, one memory node after another
    kSpread,   // each on a CPU of its own, as far apart as can be: all caches and memory nodes in turns
    kList,     // each on a CPU of the list, in its order, hyper-threads of a core already used last
  };
  Kind kind = Kind::kNone;
  std::vector<int> list;  // kList: each CPU once
};
// "none", "compact", "spread" or a list such as "0-3,8". Errors say what is wrong with it. Any thread.
Result<Affinity> ParseAffinity(std::string_view text);

struct Placement {
  int threads = 0;             // compute threads in all; at least 1 once it was chosen
  std::string affinity;        // "none", "compact", "spread", "list"
  std::vector<int> cpus;       // CPU of each thread, by worker; empty: the scheduler's choice
  std::vector<int> nodes;      // memory nodes to take memory from in turns; fewer than two: as the system does
  std::string threads_reason;  // "one for each of 2 cores", for logs and reports
};

// What the process may use of the machine, and how many threads that is worth. quota_cpus: 0 without one. Pure.
CpuBudget BudgetOf(const Topology& topology, double quota_cpus);

// asked_threads: 0 for as many as the budget has (of a list: as many as it has cores, inside the quota). With more
// threads than CPUs some share one. Error: a list names a CPU that does not exist or that the process may not use.
// Pure.
Result<Placement> PlaceThreads(const Topology& topology, double quota_cpus, const Affinity& affinity,
                               int asked_threads);
// The same for this machine.
Result<Placement> PlaceThreadsHere(const Affinity& affinity, int asked_threads);

// "0-3,8" from {0, 1, 2, 3, 8}.
std::string CpuListText(const std::vector<int>& cpus);

}  // namespace tenfold::platform
