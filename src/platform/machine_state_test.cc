#include "platform/machine_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace tenfold::platform {
namespace {

// A folder that plays the part of "/".
class FakeMachine : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/machine_state_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  std::string root_;
};

TEST_F(FakeMachine, WhatIsNotThereIsUnknown) {
  const MachineState m = ReadMachineState(root_);
  EXPECT_EQ(m.memory_total_bytes, 0u);
  EXPECT_EQ(m.memory_limit_bytes, 0u);
  EXPECT_EQ(m.huge_pages, "");
  EXPECT_LT(m.load_average, 0);
  EXPECT_TRUE(m.governors.empty());
  EXPECT_FALSE(SharesBetween(ReadCpuTimes(root_), ReadCpuTimes(root_)));
}

TEST_F(FakeMachine, IsRead) {
  Write("/proc/meminfo",
        "MemTotal: 4000 kB\nMemAvailable: 2000 kB\nSwapTotal: 100 kB\nSwapFree: 30 kB\nHugetlb: 2048 kB\n");
  Write("/proc/loadavg", "1.25 2.00 3.00 1/100 4\n");
  Write("/proc/self/status", "Cpus_allowed_list:\t0-2\n");
  Write("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
  for (const char* cpu : {"0", "1"}) {
    Write(std::string("/sys/devices/system/cpu/cpu") + cpu + "/cpufreq/scaling_governor", "powersave\n");
    Write(std::string("/sys/devices/system/cpu/cpu") + cpu + "/cpufreq/scaling_driver", "acpi-cpufreq\n");
  }
  Write("/sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "performance\n");
  Write("/sys/devices/system/cpu/cpu9/cpufreq/scaling_governor", "ondemand\n");  // not ours
  const MachineState m = ReadMachineState(root_);
  EXPECT_EQ(m.memory_total_bytes, 4000u * 1024);
  EXPECT_EQ(m.memory_available_bytes, 2000u * 1024);
  EXPECT_EQ(m.swap_total_bytes, 100u * 1024);
  EXPECT_EQ(m.swap_free_bytes, 30u * 1024);
  EXPECT_EQ(m.hugetlb_bytes, 2048u * 1024);
  EXPECT_DOUBLE_EQ(m.load_average, 1.25);
  EXPECT_EQ(m.huge_pages, "never");
  EXPECT_THAT(m.governors, testing::ElementsAre("powersave (acpi-cpufreq)", "performance"));
}

TEST_F(FakeMachine, StolenTimeIsApart) {
  Write("/proc/stat", "cpu  100 0 50 1000 10 0 0 5 77 0\ncpu0 1 2 3\n");
  const CpuTimes before = ReadCpuTimes(root_);
  EXPECT_EQ(before.all, 1165u);  // guest time is in user time already
  Write("/proc/stat", "cpu  130 0 60 1040 10 0 0 25 99 0\n");
  const auto shares = SharesBetween(before, ReadCpuTimes(root_));
  ASSERT_TRUE(shares);
  EXPECT_DOUBLE_EQ(shares->busy, 0.4);
  EXPECT_DOUBLE_EQ(shares->steal, 0.2);
  const auto back = SharesBetween({.all = 100, .busy = 50, .steal = 9}, {.all = 200, .busy = 60, .steal = 8});
  EXPECT_DOUBLE_EQ(back->steal, 0);
}

TEST_F(FakeMachine, AFileJustWrittenIsInMemory) {
  Write("/model", std::string(100'000, 'x'));
  const auto share = CachedShare(root_ + "/model");
  ASSERT_TRUE(share);
  EXPECT_DOUBLE_EQ(*share, 1);
  EXPECT_FALSE(CachedShare(root_ + "/missing"));
  EXPECT_FALSE(CachedShare(root_));
}

TEST(MachineState, TheRealMachineSaysSomething) {
  const MachineState m = ReadMachineState();
  EXPECT_GT(m.memory_total_bytes, 0u);
  EXPECT_GE(m.memory_total_bytes, m.memory_available_bytes);
  EXPECT_GE(m.load_average, 0);
  EXPECT_GT(ReadCpuTimes().all, 0u);
}

}  // namespace
}  // namespace tenfold::platform
