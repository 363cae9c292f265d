#include "platform/cpu.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "platform/placement.h"
#include "platform/topology.h"

namespace tenfold::platform {
namespace {

// A machine with everything: the words of a recent server CPU, reduced to the bits that matter.
CpuidWords FullCpu() {
  CpuidWords words;
  words.leaf1_ecx = 1U << 12 | 1U << 27 | 1U << 28 | 1U << 29;
  words.leaf7_ebx = 1U << 5 | 1U << 8 | 1U << 16 | 1U << 17 | 1U << 30 | 1U << 31;
  words.leaf7_ecx = 1U << 11;
  words.leaf7_1_eax = 1U << 4;
  words.xcr0 = 0xE7;
  return words;
}

TEST(Cpu, FullMachineHasEverything) {
  const CpuFeatures f = DecodeCpuid(FullCpu());
  EXPECT_TRUE(f.avx2 && f.avxvnni && f.avx512vnni);
}

TEST(Cpu, NothingWithoutTheOperatingSystemSavingRegisters) {
  CpuidWords words = FullCpu();
  words.xcr0 = 0x07;  // ymm but not zmm: what some hypervisors and kernels do
  EXPECT_TRUE(DecodeCpuid(words).avx2);
  EXPECT_TRUE(DecodeCpuid(words).avxvnni);
  EXPECT_FALSE(DecodeCpuid(words).avx512vnni);
  words.xcr0 = 0x03;
  EXPECT_FALSE(DecodeCpuid(words).avx2);
  EXPECT_FALSE(DecodeCpuid(words).avxvnni);
  words = FullCpu();
  words.leaf1_ecx &= ~(1U << 27);
  EXPECT_FALSE(DecodeCpuid(words).avx2 || DecodeCpuid(words).avxvnni || DecodeCpuid(words).avx512vnni);
}

TEST(Cpu, EveryNeededBitIsNeeded) {
  for (int bit : {12, 28, 29}) {
    CpuidWords words = FullCpu();
    words.leaf1_ecx &= ~(1U << bit);
    EXPECT_FALSE(DecodeCpuid(words).avx2) << bit;
  }
  for (int bit : {5, 8, 16, 17, 30, 31}) {
    CpuidWords words = FullCpu();
    words.leaf7_ebx &= ~(1U << bit);
    EXPECT_FALSE(DecodeCpuid(words).avx512vnni) << bit;
    EXPECT_EQ(DecodeCpuid(words).avx2, bit > 8) << bit;
  }
  CpuidWords words = FullCpu();
  words.leaf7_ecx = 0;
  words.leaf7_1_eax = 0;
  EXPECT_FALSE(DecodeCpuid(words).avx512vnni || DecodeCpuid(words).avxvnni);
}

TEST(Cpu, ThisMachineAgreesWithTheCompilersOwnDetection) {
  const CpuFeatures& f = DetectCpu();
  EXPECT_EQ(f.avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"));
  EXPECT_EQ(f.avx512vnni, __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl"));
  EXPECT_EQ(&f, &DetectCpu());
}

// A folder that plays the part of "/".
class FakeRoot : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/tenfold_cpu_test_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text << '\n';
  }
  void AllowCpus(const std::string& list) {
    Write("/proc/self/status", "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t" + list);
  }
  void MountV2(const std::string& cgroup_root = "/") {
    Write("/proc/self/mountinfo", "22 27 0:21 / /proc rw - proc proc rw\n31 23 0:28 " + cgroup_root +
                                      " /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate");
  }
  // On a machine whose CPUs n and n + cores are hyper-threads of one core.
  CpuBudget Detect(int cores = 1 << 16) const {
    const CpuLimits limits = DetectCpuLimits(root_);
    Topology flat{.cpus = {}, .allowed = limits.cpus};
    for (const int id : limits.cpus) flat.cpus.push_back({.id = id, .core = id % cores});
    return BudgetOf(flat, limits.quota_cpus);
  }

  std::string root_;
};

TEST_F(FakeRoot, EmptyTreeIsOneThread) {
  const CpuBudget b = Detect();
  EXPECT_EQ(b.logical_cpus, 1);
  EXPECT_EQ(b.physical_cores, 1);
  EXPECT_EQ(b.quota_cpus, 0);
  EXPECT_EQ(b.threads, 1);
}

TEST_F(FakeRoot, TheCpuSetIsWhatTheKernelSays) {
  AllowCpus("3-5,9");
  EXPECT_EQ(DetectCpuLimits(root_).cpus, (std::vector<int>{3, 4, 5, 9}));
}

TEST_F(FakeRoot, MalformedCpuListsDoNotHurt) {
  AllowCpus("0-1,x,7-,-,99999999999999999999,5-999999999");
  EXPECT_EQ(Detect().logical_cpus, 2);
}

TEST_F(FakeRoot, QuotaV2IsTheTightestOnThePathRoundedDown) {
  AllowCpus("0-15");
  MountV2();
  Write("/proc/self/cgroup", "0::/machine/box/inner");
  Write("/sys/fs/cgroup/machine/box/inner/cpu.max", "max 100000");
  EXPECT_EQ(Detect().quota_cpus, 0);
  EXPECT_EQ(Detect().threads, 16);
  Write("/sys/fs/cgroup/machine/box/cpu.max", "800000 100000");
  EXPECT_EQ(Detect().quota_cpus, 8);
  Write("/sys/fs/cgroup/machine/cpu.max", "350000 100000");
  EXPECT_EQ(Detect().quota_cpus, 3.5);
  EXPECT_EQ(Detect().threads, 3);
  Write("/sys/fs/cgroup/machine/box/inner/cpu.max", "50000 100000");
  EXPECT_EQ(Detect().quota_cpus, 0.5);
  EXPECT_EQ(Detect().threads, 1);
  EXPECT_EQ(Detect().physical_cores, 16);
}

TEST_F(FakeRoot, QuotaAboveTheCoresChangesNothing) {
  AllowCpus("0-1");
  MountV2();
  Write("/proc/self/cgroup", "0::/");
  Write("/sys/fs/cgroup/cpu.max", "1600000 100000");
  EXPECT_EQ(Detect().quota_cpus, 16);
  EXPECT_EQ(Detect().threads, 2);
}

TEST_F(FakeRoot, ContainerThatSeesItsOwnCgroupAtTheMountPoint) {
  AllowCpus("0-7");
  MountV2("/docker/abc");
  Write("/proc/self/cgroup", "0::/docker/abc/child");
  Write("/sys/fs/cgroup/cpu.max", "200000 100000");
  Write("/sys/fs/cgroup/child/cpu.max", "150000 100000");
  EXPECT_EQ(Detect().quota_cpus, 1.5);
  Write("/sys/outside/cpu.max", "100000 100000");   // where a ".." that is taken literally would lead
  Write("/proc/self/cgroup", "0::/../../outside");  // our cgroup lies above the namespace's root
  EXPECT_EQ(Detect().quota_cpus, 2);
}

TEST_F(FakeRoot, QuotaV1) {
  AllowCpus("0-7");
  Write("/proc/self/mountinfo",
        "33 31 0:30 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct");
  Write("/proc/self/cgroup", "5:memory:/other\n2:cpu,cpuacct:/jobs/7");
  Write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1");
  Write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000");
  Write("/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_quota_us", "250000");
  Write("/sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_period_us", "100000");
  EXPECT_EQ(Detect().quota_cpus, 2.5);
  EXPECT_EQ(Detect().threads, 2);
}

TEST_F(FakeRoot, ACgroupWhoseNameOnlyBeginsLikeTheMountsIsNotBelowIt) {
  AllowCpus("0-7");
  MountV2("/docker/abc");
  Write("/proc/self/cgroup", "0::/docker/abcdef");
  Write("/sys/fs/cgroup/cpu.max", "300000 100000");
  Write("/sys/fs/cgroupdef/cpu.max", "100000 100000");  // where cutting the name would lead
  EXPECT_EQ(Detect().quota_cpus, 3);
}

TEST_F(FakeRoot, NestedQuotasV1TakeTheTightestAndHalfACoreIsOneThread) {
  AllowCpus("0-7");
  Write("/proc/self/mountinfo", "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu");
  Write("/proc/self/cgroup", "2:cpu:/pod/box");
  const auto limit = [&](const std::string& folder, const char* quota_us) {
    Write("/sys/fs/cgroup/cpu" + folder + "/cpu.cfs_quota_us", quota_us);
    Write("/sys/fs/cgroup/cpu" + folder + "/cpu.cfs_period_us", "100000");
  };
  limit("", "-1");
  limit("/pod", "-1");
  limit("/pod/box", "600000");
  EXPECT_EQ(Detect().threads, 6);
  limit("/pod", "390000");
  EXPECT_EQ(Detect().quota_cpus, 3.9);
  EXPECT_EQ(Detect().threads, 3);
  limit("/pod/box", "50000");
  EXPECT_EQ(Detect().quota_cpus, 0.5);
  EXPECT_EQ(Detect().threads, 1);
}

// A machine that mounts both, as during the move from one to the other: either may hold the limit.
TEST_F(FakeRoot, V1AndV2Together) {
  AllowCpus("0-7");
  Write("/proc/self/mountinfo",
        "30 31 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu");
  Write("/proc/self/cgroup", "2:cpu:/a\n0::/b");
  Write("/sys/fs/cgroup/unified/b/cpu.max", "500000 100000");
  EXPECT_EQ(Detect().threads, 5);
  Write("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "400000");
  Write("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000");
  EXPECT_EQ(Detect().threads, 4);
}

// Eight cores with two threads each, a cpuset of three whole cores and one half, and a quota of six CPUs: four cores.
TEST_F(FakeRoot, CpuSetSiblingsAndQuotaTogether) {
  AllowCpus("0-3,8-10");
  MountV2();
  Write("/proc/self/cgroup", "0::/box");
  Write("/sys/fs/cgroup/box/cpu.max", "600000 100000");
  EXPECT_EQ(Detect(8).logical_cpus, 7);
  EXPECT_EQ(Detect(8).physical_cores, 4);
  EXPECT_EQ(Detect(8).threads, 4);
  Write("/sys/fs/cgroup/box/cpu.max", "250000 100000");
  EXPECT_EQ(Detect(8).threads, 2);
  Write("/sys/fs/cgroup/box/cpu.max", "max 100000");
  EXPECT_EQ(Detect(8).threads, 4);
}

TEST_F(FakeRoot, BrokenQuotaFilesAreNoQuota) {
  AllowCpus("0-3");
  MountV2();
  Write("/proc/self/cgroup", "0::/");
  for (const char* text : {"", "100000", "x y", "100000 0", "-5 100000"}) {
    Write("/sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(Detect().quota_cpus, 0) << text;
  }
}

TEST(CpuBudget, ThisMachineGivesAtLeastOneThread) {
  const CpuBudget b = DetectCpuBudget();
  EXPECT_GE(b.threads, 1);
  EXPECT_LE(b.threads, b.physical_cores);
  EXPECT_LE(b.physical_cores, b.logical_cpus);
}

}  // namespace
}  // namespace tenfold::platform
