// Which CPUs this machine has and how they lie to each other: plain data, read through hwloc.
//
// What it does: turns hwloc's tree into one row a CPU, which is all that placement.h asks for. What it does not: choose
// or bind. hwloc knows what /sys only hints at: caches shared by some cores, kinds of cores, memory nodes.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace tenfold::platform {

// One CPU (hyper-thread) as the operating system counts them.
struct Cpu {
  int id = 0;     // the operating system's number
  int core = 0;   // CPUs of one core have the same
  int cache = 0;  // cores that share a last-level cache have the same; numbers rise with `node`
  int node = 0;   // the operating system's number of the nearest memory node
  int speed = 0;  // rank of the kind of core: performance cores have more than efficiency cores; 0 where all are alike
};

struct Topology {
  std::vector<Cpu> cpus;     // of the machine, as far as they are on; by id, each once
  std::vector<int> allowed;  // ids of those that this process may use; ascending
};

// This machine. Without any help from the system every allowed CPU counts as a core of its own. About 3 ms. Any thread.
Topology DetectTopology();

// A machine that is not this one, for tests and questions of "what would it do there": hwloc's synthetic notation
// ("package:2 [numa] core:4 pu:2") or its XML. Every CPU is allowed. Error: hwloc does not understand it.
Result<Topology> ReadSyntheticTopology(const std::string& description);
Result<Topology> ReadXmlTopology(const std::string& xml);

// hwloc loads plugins for graphics cards (OpenCL, GL: 25 ms and foreign code in our process) that say nothing about
// CPUs. Call at the start of main, while there is one thread: it sets an environment variable.
void KeepTopologyPluginsOut();

}  // namespace tenfold::platform
