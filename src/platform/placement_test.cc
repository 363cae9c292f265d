// Machines that this one is not, as hwloc describes them.
#include "platform/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hwloc.h>
#include <sched.h>

#include <thread>

#include "platform/thread_binding.h"

namespace tenfold::platform {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Topology Machine(const std::string& description) {
  auto topology = ReadSyntheticTopology(description);
  EXPECT_TRUE(topology.ok()) << description;
  return *topology;
}

// Two sockets with a memory node each, two last-level caches of two cores in each, two hyper-threads a core. CPUs are
// numbered as hwloc does: 0 and 1 share the first core.
Topology TwoSockets() { return Machine("package:2 [numa] l3:2 core:2 pu:2"); }

// Cores 0 and 1 are performance cores with two hyper-threads (CPUs 0-3), cores 2 to 5 efficiency cores (CPUs 4-7). The
// kinds go through hwloc's XML, which is how they come from a real machine's description.
Topology Hybrid() {
  hwloc_topology_t raw = nullptr;
  EXPECT_EQ(hwloc_topology_init(&raw), 0);
  EXPECT_EQ(hwloc_topology_set_synthetic(raw, "package:1 l3:1 core:6 pu:2"), 0);
  EXPECT_EQ(hwloc_topology_load(raw), 0);
  const hwloc_bitmap_t keep = hwloc_bitmap_alloc();
  hwloc_bitmap_list_sscanf(keep, "0-4,6,8,10");
  EXPECT_EQ(hwloc_topology_restrict(raw, keep, 0), 0);
  const auto add_kind = [&](const char* cpus, int efficiency, const char* type) {
    const hwloc_bitmap_t set = hwloc_bitmap_alloc();
    hwloc_bitmap_list_sscanf(set, cpus);
    hwloc_info_s info{};
    info.name = const_cast<char*>("CoreType");
    info.value = const_cast<char*>(type);
    EXPECT_EQ(hwloc_cpukinds_register(raw, set, efficiency, 1, &info, 0), 0);
    hwloc_bitmap_free(set);
  };
  add_kind("4,6,8,10", 0, "IntelAtom");
  add_kind("0-3", 1, "IntelCore");
  char* xml = nullptr;
  int length = 0;
  EXPECT_EQ(hwloc_topology_export_xmlbuffer(raw, &xml, &length, 0), 0);
  auto topology = ReadXmlTopology(xml);
  EXPECT_TRUE(topology.ok());
  hwloc_free_xmlbuffer(raw, xml);
  hwloc_bitmap_free(keep);
  hwloc_topology_destroy(raw);
  return *topology;
}

Placement Place(const Topology& topology, Affinity::Kind kind, int asked = 0, double quota = 0) {
  const auto placement = PlaceThreads(topology, quota, {kind, {}}, asked);
  EXPECT_TRUE(placement.ok());
  return *placement;
}

Placement PlaceOn(const Topology& topology, const std::string& list, int asked = 0) {
  const auto affinity = ParseAffinity(list);
  EXPECT_TRUE(affinity.ok());
  const auto placement = PlaceThreads(topology, 0, *affinity, asked);
  EXPECT_TRUE(placement.ok()) << placement.error().message;
  return *placement;
}

TEST(Placement, HyperThreadsOfACoreCountOnce) {
  const Topology machine = TwoSockets();
  ASSERT_EQ(machine.cpus.size(), 16u);
  const CpuBudget budget = BudgetOf(machine, 0);
  EXPECT_EQ(budget.logical_cpus, 16);
  EXPECT_EQ(budget.physical_cores, 8);
  EXPECT_EQ(budget.fast_cores, 8);
  EXPECT_EQ(budget.threads, 8);
  const Placement none = Place(machine, Affinity::Kind::kNone);
  EXPECT_EQ(none.threads, 8);
  EXPECT_THAT(none.cpus, IsEmpty());
  EXPECT_EQ(none.threads_reason, "one for each of 8 cores with 16 CPUs");
}

TEST(Placement, CompactFillsOneCacheAfterAnotherAndSiblingsLast) {
  const Topology machine = TwoSockets();
  EXPECT_THAT(Place(machine, Affinity::Kind::kCompact).cpus, ElementsAre(0, 2, 4, 6, 8, 10, 12, 14));
  EXPECT_THAT(Place(machine, Affinity::Kind::kCompact, 10).cpus, ElementsAre(0, 2, 4, 6, 8, 10, 12, 14, 1, 3));
  EXPECT_THAT(Place(machine, Affinity::Kind::kCompact, 3).cpus, ElementsAre(0, 2, 4));
}

TEST(Placement, SpreadTakesMemoryNodesAndCachesInTurns) {
  const Topology machine = TwoSockets();
  EXPECT_THAT(Place(machine, Affinity::Kind::kSpread).cpus, ElementsAre(0, 8, 4, 12, 2, 10, 6, 14));
  EXPECT_THAT(Place(machine, Affinity::Kind::kSpread, 2).cpus, ElementsAre(0, 8));
}

TEST(Placement, MoreThreadsThanCpusShareThem) {
  EXPECT_THAT(Place(Machine("core:2 pu:1"), Affinity::Kind::kCompact, 5).cpus, ElementsAre(0, 1, 0, 1, 0));
}

TEST(Placement, MemoryIsInterleavedOverTheNodesOfTheThreads) {
  const Topology machine = TwoSockets();
  EXPECT_THAT(Place(machine, Affinity::Kind::kNone).nodes, ElementsAre(0, 1)) << "they may run anywhere";
  EXPECT_THAT(Place(machine, Affinity::Kind::kSpread, 2).nodes, ElementsAre(0, 1));
  EXPECT_THAT(Place(machine, Affinity::Kind::kCompact, 4).nodes, ElementsAre(0)) << "all on the first socket";
  EXPECT_THAT(PlaceOn(machine, "8-15").nodes, ElementsAre(1));
  EXPECT_THAT(Place(Machine("core:4 pu:2"), Affinity::Kind::kSpread).nodes.size(), 1u);
}

TEST(Placement, PerformanceCoresAlone) {
  const Topology machine = Hybrid();
  ASSERT_EQ(machine.cpus.size(), 8u);
  const CpuBudget budget = BudgetOf(machine, 0);
  EXPECT_EQ(budget.physical_cores, 6);
  EXPECT_EQ(budget.fast_cores, 2);
  EXPECT_EQ(budget.threads, 2);
  const Placement none = Place(machine, Affinity::Kind::kNone);
  EXPECT_THAT(none.threads_reason,
              AllOf(HasSubstr("one for each of 2 performance cores"), HasSubstr("4 efficiency cores are left out")));
  EXPECT_THAT(Place(machine, Affinity::Kind::kCompact).cpus, ElementsAre(0, 2));
  EXPECT_THAT(Place(machine, Affinity::Kind::kCompact, 4).cpus, ElementsAre(0, 2, 4, 6)) << "then efficiency cores";
  EXPECT_THAT(Place(machine, Affinity::Kind::kSpread, 8).cpus, ElementsAre(0, 2, 4, 6, 8, 10, 1, 3)) << "then siblings";
}

TEST(Placement, OnlyEfficiencyCoresAllowedAreAllThereIs) {
  Topology machine = Hybrid();
  machine.allowed = {4, 6, 8};
  EXPECT_EQ(BudgetOf(machine, 0).threads, 3);
  EXPECT_THAT(Place(machine, Affinity::Kind::kCompact).cpus, ElementsAre(4, 6, 8));
}

TEST(Placement, OneCpu) {
  const Topology machine = Machine("core:1 pu:1");
  for (const auto kind : {Affinity::Kind::kNone, Affinity::Kind::kCompact, Affinity::Kind::kSpread}) {
    EXPECT_EQ(Place(machine, kind).threads, 1);
  }
  EXPECT_EQ(Place(machine, Affinity::Kind::kNone).threads_reason, "on 1 core with 1 CPU");
}

TEST(Placement, StaysInsideTheCpuSet) {
  Topology machine = TwoSockets();
  machine.allowed = {1, 2, 3, 9};  // a hyper-thread, a whole core, and one of the other socket
  const CpuBudget budget = BudgetOf(machine, 0);
  EXPECT_EQ(budget.logical_cpus, 4);
  EXPECT_EQ(budget.physical_cores, 3);
  EXPECT_THAT(Place(machine, Affinity::Kind::kCompact).cpus, ElementsAre(1, 2, 9));
  EXPECT_THAT(Place(machine, Affinity::Kind::kSpread).cpus, ElementsAre(1, 9, 2));
  machine.allowed = {1, 2, 3};
  EXPECT_THAT(Place(machine, Affinity::Kind::kNone).nodes, ElementsAre(0));
}

TEST(Placement, NoMoreThreadsThanTheQuotaUnlessAsked) {
  const Topology machine = TwoSockets();
  EXPECT_EQ(Place(machine, Affinity::Kind::kNone, 0, 3.9).threads, 3);
  EXPECT_EQ(Place(machine, Affinity::Kind::kNone, 0, 0.5).threads, 1);
  EXPECT_EQ(Place(machine, Affinity::Kind::kNone, 0, 100).threads, 8);
  EXPECT_THAT(Place(machine, Affinity::Kind::kCompact, 0, 2).cpus, ElementsAre(0, 2));
  EXPECT_EQ(Place(machine, Affinity::Kind::kNone, 0, 3.9).threads_reason,
            "as many as the quota allows of 8 cores with 16 CPUs, a cgroup quota of 3.90 CPUs");
  EXPECT_EQ(Place(machine, Affinity::Kind::kNone, 6, 3.9).threads, 6);
}

TEST(Placement, AListIsTakenInItsOrderSiblingsLast) {
  const Topology machine = TwoSockets();
  const Placement placement = PlaceOn(machine, "8,0-3");
  EXPECT_EQ(placement.affinity, "list");
  EXPECT_EQ(placement.threads, 3) << "three cores";
  EXPECT_THAT(placement.cpus, ElementsAre(8, 0, 2));
  EXPECT_THAT(PlaceOn(machine, "8,0-3", 5).cpus, ElementsAre(8, 0, 2, 1, 3));
  EXPECT_THAT(PlaceOn(Hybrid(), "0,4,6").cpus, ElementsAre(0, 4, 6)) << "who lists efficiency cores wants them";
}

TEST(Placement, AListOfWhatIsNotThereIsRefusedWithTheReason) {
  Topology machine = TwoSockets();
  machine.allowed = {0, 1, 2, 3};
  const auto refusal = [&](std::vector<int> list) {
    const auto placement = PlaceThreads(machine, 0, {Affinity::Kind::kList, std::move(list)}, 0);
    EXPECT_FALSE(placement.ok());
    return placement.ok() ? "" : placement.error().message;
  };
  EXPECT_EQ(refusal({0, 16}), "cpu_affinity: there is no CPU 16; this machine has 0-15");
  EXPECT_EQ(refusal({0, 5}),
            "cpu_affinity: this process may not use CPU 5; its CPU set (taskset, cgroup, container) has 0-3");
}

TEST(Affinity, Texts) {
  EXPECT_EQ(ParseAffinity("none")->kind, Affinity::Kind::kNone);
  EXPECT_EQ(ParseAffinity("compact")->kind, Affinity::Kind::kCompact);
  EXPECT_EQ(ParseAffinity("spread")->kind, Affinity::Kind::kSpread);
  EXPECT_THAT(ParseAffinity("3")->list, ElementsAre(3));
  EXPECT_THAT(ParseAffinity("0-3,8")->list, ElementsAre(0, 1, 2, 3, 8));
  EXPECT_THAT(ParseAffinity("8,1-2,2,8")->list, ElementsAre(8, 1, 2));
  for (const char* wrong :
       {"", "x", "3-1", "-1", "1-", "1,,2", "1,", "0-99999999999", "0-999999999", "0x3", "Compact"}) {
    const auto affinity = ParseAffinity(wrong);
    ASSERT_FALSE(affinity.ok()) << wrong;
    EXPECT_EQ(affinity.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(affinity.error().message, HasSubstr("'" + std::string(wrong) + "'"));
  }
}

TEST(Affinity, ListTexts) {
  EXPECT_EQ(CpuListText({}), "");
  EXPECT_EQ(CpuListText({0}), "0");
  EXPECT_EQ(CpuListText({0, 1, 2, 5, 7, 8}), "0-2,5,7-8");
}

TEST(Topology, WhatIsNoMachineIsAnError) {
  EXPECT_FALSE(ReadSyntheticTopology("three blind mice").ok());
  EXPECT_FALSE(ReadXmlTopology("<topology").ok());
}

TEST(Topology, ThisMachineHasTheCpusThatTheKernelAllows) {
  const Topology here = DetectTopology();
  EXPECT_EQ(here.allowed, DetectCpuLimits().cpus);
  EXPECT_GE(here.cpus.size(), here.allowed.size());
  const CpuBudget budget = BudgetOf(here, 0);
  EXPECT_EQ(budget.logical_cpus, static_cast<int>(here.allowed.size()));
  EXPECT_LE(budget.threads, budget.physical_cores);
}

TEST(ThreadBinding, AThreadRunsWhereItIsPut) {
  const std::vector<int> allowed = DetectCpuLimits().cpus;
  std::thread([&] {
    for (const int cpu : {allowed.front(), allowed.back()}) {
      const Status bound =
          BindThread({.threads = 1, .affinity = "list", .cpus = {cpu}, .nodes = {}, .threads_reason = ""}, 3);
      ASSERT_TRUE(bound.ok()) << bound.error().message;
      EXPECT_EQ(sched_getcpu(), cpu);
    }
    EXPECT_EQ(DetectCpuLimits().cpus, allowed) << "what the process may use is asked of its main thread";
    const Status refused =
        BindThread({.threads = 1, .affinity = "list", .cpus = {60'000}, .nodes = {}, .threads_reason = ""}, 0);
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error().message, HasSubstr("CPU 60000"));
  }).join();
}

TEST(ThreadBinding, MemoryOfNodesThatAreNotThereIsAWarning) {
  std::thread([] {
    const Status refused =
        BindThread({.threads = 1, .affinity = "none", .cpus = {}, .nodes = {900, 901}, .threads_reason = ""}, 0);
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error().message, HasSubstr("900-901"));
  }).join();
}

}  // namespace
}  // namespace tenfold::platform
