#include "platform/topology.h"

#include <fmt/format.h>
#include <hwloc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <type_traits>

#include "platform/cpu.h"

namespace tenfold::platform {
namespace {

struct Destroy {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using Handle = std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>, Destroy>;

// Not loaded yet; null when hwloc refuses. CPUs outside our CPU set are read too, so that a wish for one of them can be
// told from a wish for one that does not exist.
Handle Make() {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return nullptr;
  Handle topology(raw);
  hwloc_topology_set_flags(raw, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
  return topology;
}

// The rank that hwloc gives the CPU's kind, where kinds are kinds of cores (Intel's P and E). Kinds that only differ in
// their highest clock count as one: such cores run the same code equally well, if not equally fast.
int SpeedOf(hwloc_topology_t topology, hwloc_const_cpuset_t cpu) {
  const int kind = hwloc_cpukinds_get_by_cpuset(topology, cpu, 0);
  if (kind < 0) return 0;
  int efficiency = -1;
  unsigned count = 0;
  hwloc_info_s* infos = nullptr;
  if (hwloc_cpukinds_get_info(topology, static_cast<unsigned>(kind), nullptr, &efficiency, &count, &infos, 0) != 0) {
    return 0;
  }
  const bool told =
      std::any_of(infos, infos + count, [](const hwloc_info_s& i) { return std::string_view(i.name) == "CoreType"; });
  return told ? std::max(0, efficiency) : 0;
}

int IndexOfAncestor(hwloc_topology_t topology, hwloc_obj_type_t type, hwloc_obj_t of, int otherwise) {
  const hwloc_obj_t found = hwloc_get_ancestor_obj_by_type(topology, type, of);
  return found == nullptr ? otherwise : static_cast<int>(found->logical_index);
}

Topology FromHwloc(hwloc_topology_t topology) {
  Topology out;
  for (hwloc_obj_t pu = nullptr; (pu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, pu)) != nullptr;) {
    const int package = IndexOfAncestor(topology, HWLOC_OBJ_PACKAGE, pu, 0);
    const int node = pu->nodeset == nullptr ? -1 : hwloc_bitmap_first(pu->nodeset);
    out.cpus.push_back({.id = static_cast<int>(pu->os_index),
                        .core = IndexOfAncestor(topology, HWLOC_OBJ_CORE, pu, static_cast<int>(pu->logical_index)),
                        .cache = IndexOfAncestor(topology, HWLOC_OBJ_L3CACHE, pu, package),
                        .node = std::max(0, node),
                        .speed = SpeedOf(topology, pu->cpuset)});
  }
  std::sort(out.cpus.begin(), out.cpus.end(), [](const Cpu& a, const Cpu& b) { return a.id < b.id; });
  return out;
}

void AllowAll(Topology& topology) {
  for (const Cpu& cpu : topology.cpus) topology.allowed.push_back(cpu.id);
}

Result<Topology> Finish(Handle topology, int described, const std::string& what) {
  if (topology == nullptr || described != 0 || hwloc_topology_load(topology.get()) != 0) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("hwloc cannot read '{}' as a machine", what)};
  }
  Topology out = FromHwloc(topology.get());
  AllowAll(out);
  return out;
}

}  // namespace

Topology DetectTopology() {
  Topology out;
  if (const Handle topology = Make(); topology != nullptr && hwloc_topology_load(topology.get()) == 0) {
    out = FromHwloc(topology.get());
  }
  for (const int id : DetectCpuLimits().cpus) {
    const auto at = std::lower_bound(out.cpus.begin(), out.cpus.end(), id,
                                     [](const Cpu& cpu, int wanted) { return cpu.id < wanted; });
    if (at == out.cpus.end() || at->id != id) out.cpus.insert(at, Cpu{.id = id, .core = (1 << 20) + id});
    out.allowed.push_back(id);
  }
  return out;
}

Result<Topology> ReadSyntheticTopology(const std::string& description) {
  Handle topology = Make();
  const int described = topology ? hwloc_topology_set_synthetic(topology.get(), description.c_str()) : -1;
  return Finish(std::move(topology), described, description);
}

Result<Topology> ReadXmlTopology(const std::string& xml) {
  Handle topology = Make();
  const int described =
      topology ? hwloc_topology_set_xmlbuffer(topology.get(), xml.c_str(), static_cast<int>(xml.size() + 1)) : -1;
  return Finish(std::move(topology), described, xml.substr(0, 60));
}

void KeepTopologyPluginsOut() { setenv("HWLOC_PLUGINS_PATH", "/nonexistent", /*overwrite=*/0); }

}  // namespace tenfold::platform
