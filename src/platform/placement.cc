#include "platform/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace tenfold::platform {
namespace {

constexpr int kMostCpu = 1 << 16;  // far above any kernel's limit; keeps "0-999999999" from filling memory

bool Contains(const std::vector<int>& values, int value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

const Cpu* FindCpu(const Topology& topology, int id) {
  for (const Cpu& cpu : topology.cpus) {
    if (cpu.id == id) return &cpu;
  }
  return nullptr;
}

std::optional<int> ParseCpu(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > kMostCpu) return std::nullopt;
  return value;
}

std::string_view NameOf(Affinity::Kind kind) {
  switch (kind) {
    case Affinity::Kind::kNone:
      return "none";
    case Affinity::Kind::kCompact:
      return "compact";
    case Affinity::Kind::kSpread:
      return "spread";
    case Affinity::Kind::kList:
      return "list";
  }
  return "none";
}

// A usable CPU with what its place in the order depends on.
struct Candidate {
  Cpu cpu;
  int sibling = 0;   // how many CPUs of its core come before it
  int in_cache = 0;  // how many cores of its cache come before its own
  int in_node = 0;   // how many caches of its node come before its own
};

// The usable CPUs with their ranks, in the order given.
std::vector<Candidate> Rank(const std::vector<Cpu>& cpus) {
  std::map<int, int> siblings;                               // of a core, so far
  std::map<int, std::vector<int>> cores;                     // of a cache
  std::map<int, std::vector<int>> caches;                    // of a node
  const auto rank = [](std::vector<int>& seen, int value) {  // where `value` stands among the values met so far
    const auto at = std::find(seen.begin(), seen.end(), value);
    const auto index = static_cast<int>(at - seen.begin());
    if (at == seen.end()) seen.push_back(value);
    return index;
  };
  std::vector<Candidate> out;
  for (const Cpu& cpu : cpus) {
    out.push_back({.cpu = cpu,
                   .sibling = siblings[cpu.core]++,
                   .in_cache = rank(cores[cpu.cache], cpu.core),
                   .in_node = rank(caches[cpu.node], cpu.cache)});
  }
  return out;
}

// CPU ids in the order in which threads take them. The first CPU of every core comes before any second one: an
// efficiency core is worth more than half of a performance core's units.
std::vector<int> Order(Affinity::Kind kind, const std::vector<Cpu>& cpus) {
  std::vector<Candidate> candidates = Rank(cpus);
  const auto key = [kind](const Candidate& c) {
    const bool apart = kind == Affinity::Kind::kSpread;
    return apart ? std::tuple(c.sibling, -c.cpu.speed, c.in_cache, c.in_node, c.cpu.node)
                 : std::tuple(c.sibling, -c.cpu.speed, c.cpu.node, c.cpu.cache, c.in_cache);
  };
  const auto before = [&](const Candidate& a, const Candidate& b) {
    return kind == Affinity::Kind::kList ? a.sibling < b.sibling : key(a) < key(b);
  };
  std::stable_sort(candidates.begin(), candidates.end(), before);
  std::vector<int> ids;
  for (const Candidate& c : candidates) ids.push_back(c.cpu.id);
  return ids;
}

Status CheckList(const Topology& topology, const std::vector<int>& list) {
  std::vector<int> all;
  for (const Cpu& cpu : topology.cpus) all.push_back(cpu.id);
  for (const int id : list) {
    if (!Contains(all, id)) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("cpu_affinity: there is no CPU {}; this machine has {}", id, CpuListText(all))};
    }
    if (!Contains(topology.allowed, id)) {
      return Error{
          ErrorCode::kInvalidArgument,
          fmt::format("cpu_affinity: this process may not use CPU {}; its CPU set (taskset, cgroup, container) "
                      "has {}",
                      id, CpuListText(topology.allowed))};
    }
  }
  return {};
}

// The topology as if only the listed CPUs were allowed; of both kinds of cores, all that are listed.
CpuBudget BudgetOfCpus(const std::vector<Cpu>& cpus, double quota_cpus, bool fast_only) {
  CpuBudget budget;
  std::map<int, std::set<int>> cores_by_speed;
  for (const Cpu& cpu : cpus) cores_by_speed[fast_only ? cpu.speed : 0].insert(cpu.core);
  int cores = 0;
  for (const auto& [speed, of_speed] : cores_by_speed) cores += static_cast<int>(of_speed.size());
  const int fast = cores_by_speed.empty() ? 1 : static_cast<int>(cores_by_speed.rbegin()->second.size());
  budget.logical_cpus = std::max(1, static_cast<int>(cpus.size()));
  budget.physical_cores = std::max(1, cores);
  budget.fast_cores = fast;
  budget.quota_cpus = quota_cpus;
  budget.threads = fast;
  if (quota_cpus > 0 && quota_cpus < budget.threads) {
    budget.threads = std::max(1, static_cast<int>(std::floor(quota_cpus)));
  }
  return budget;
}

std::vector<Cpu> AllowedCpus(const Topology& topology) {
  std::vector<Cpu> cpus;
  for (const int id : topology.allowed) {
    if (const Cpu* cpu = FindCpu(topology, id); cpu != nullptr) cpus.push_back(*cpu);
  }
  return cpus;
}

std::string ReasonOf(const CpuBudget& budget, int threads, bool asked) {
  std::string text = asked ? "as asked for; there are " : threads == 1 ? "on " : "one for each of ";
  if (!asked && threads < budget.fast_cores) text = "as many as the quota allows of ";
  const bool hybrid = budget.fast_cores < budget.physical_cores;
  text += hybrid ? fmt::format("{} performance cores ({} efficiency cores are left out)", budget.fast_cores,
                               budget.physical_cores - budget.fast_cores)
                 : fmt::format("{} core{}", budget.physical_cores, budget.physical_cores == 1 ? "" : "s");
  text += fmt::format(" with {} CPU{}", budget.logical_cpus, budget.logical_cpus == 1 ? "" : "s");
  if (budget.quota_cpus > 0) text += fmt::format(", a cgroup quota of {:.2f} CPUs", budget.quota_cpus);
  return text;
}

std::vector<int> NodesOf(const Topology& topology, const std::vector<int>& cpus) {
  std::set<int> nodes;
  for (const int id : cpus) {
    if (const Cpu* cpu = FindCpu(topology, id); cpu != nullptr) nodes.insert(cpu->node);
  }
  return {nodes.begin(), nodes.end()};
}

}  // namespace

Result<Affinity> ParseAffinity(std::string_view text) {
  for (const auto kind : {Affinity::Kind::kNone, Affinity::Kind::kCompact, Affinity::Kind::kSpread}) {
    if (text == NameOf(kind)) return Affinity{kind, {}};
  }
  Affinity affinity{Affinity::Kind::kList, {}};
  std::string_view rest = text;
  while (true) {
    const std::string_view part = rest.substr(0, rest.find(','));
    const size_t dash = part.find('-');
    const auto first = ParseCpu(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : ParseCpu(part.substr(dash + 1));
    if (!first || !last || *last < *first) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("cpu_affinity: '{}' is neither none, compact, spread nor a list of CPUs such as 0-3,8",
                               text.substr(0, 80))};
    }
    for (int cpu = *first; cpu <= *last; ++cpu) {
      if (!Contains(affinity.list, cpu)) affinity.list.push_back(cpu);
    }
    if (part.size() == rest.size()) return affinity;
    rest.remove_prefix(part.size() + 1);
  }
}

CpuBudget BudgetOf(const Topology& topology, double quota_cpus) {
  return BudgetOfCpus(AllowedCpus(topology), quota_cpus, /*fast_only=*/true);
}

Result<Placement> PlaceThreads(const Topology& topology, double quota_cpus, const Affinity& affinity,
                               int asked_threads) {
  const bool listed = affinity.kind == Affinity::Kind::kList;
  std::vector<Cpu> usable = AllowedCpus(topology);
  if (listed) {
    TENFOLD_TRY_STATUS(CheckList(topology, affinity.list));
    usable.clear();
    for (const int id : affinity.list) usable.push_back(*FindCpu(topology, id));
  }
  const CpuBudget budget = BudgetOfCpus(usable, quota_cpus, !listed);
  Placement placement;
  placement.affinity = NameOf(affinity.kind);
  placement.threads = asked_threads > 0 ? asked_threads : budget.threads;
  placement.threads_reason = ReasonOf(budget, placement.threads, asked_threads > 0);
  const std::vector<int> order = Order(affinity.kind, usable);
  if (affinity.kind == Affinity::Kind::kNone || order.empty()) {
    placement.nodes = NodesOf(topology, topology.allowed);
    return placement;
  }
  for (int worker = 0; worker < placement.threads; ++worker) {
    placement.cpus.push_back(order[static_cast<size_t>(worker) % order.size()]);
  }
  placement.nodes = NodesOf(topology, placement.cpus);
  return placement;
}

Result<Placement> PlaceThreadsHere(const Affinity& affinity, int asked_threads) {
  return PlaceThreads(DetectTopology(), DetectCpuLimits().quota_cpus, affinity, asked_threads);
}

CpuBudget DetectCpuBudget() { return BudgetOf(DetectTopology(), DetectCpuLimits().quota_cpus); }

std::string CpuListText(const std::vector<int>& cpus) {
  std::string text;
  for (size_t i = 0; i < cpus.size();) {
    size_t last = i;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += last == i ? fmt::format("{}", cpus[i]) : fmt::format("{}-{}", cpus[i], cpus[last]);
    i = last + 1;
  }
  return text;
}

}  // namespace tenfold::platform
