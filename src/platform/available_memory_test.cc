#include "platform/available_memory.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace tenfold::platform {
namespace {

class FakeSystem : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/available_memory_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    Write("/proc/meminfo", "MemTotal: 4000 kB\nMemFree: 10 kB\nMemAvailable: 2000 kB\n");
    Write("/proc/self/cgroup", "0::/box/service\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  std::string root_;
};

TEST_F(FakeSystem, NoLimitMeansWhatTheMachineHas) {
  Write("/sys/fs/cgroup/box/service/memory.max", "max\n");
  EXPECT_EQ(AvailableMemoryBytes(root_), 2000u * 1024);
}

TEST_F(FakeSystem, TheTightestLevelOfThePathCounts) {
  Write("/sys/fs/cgroup/box/service/memory.max", "1500000\n");
  Write("/sys/fs/cgroup/box/service/memory.current", "100000\n");
  Write("/sys/fs/cgroup/box/memory.max", "1000000\n");
  Write("/sys/fs/cgroup/box/memory.current", "600000\n");
  EXPECT_EQ(AvailableMemoryBytes(root_), 400000u);
}

TEST_F(FakeSystem, PageCacheInTheGroupGivesWay) {
  Write("/sys/fs/cgroup/box/service/memory.max", "1000000\n");
  Write("/sys/fs/cgroup/box/service/memory.current", "900000\n");
  Write("/sys/fs/cgroup/box/service/memory.stat", "anon 400000\ninactive_file 500000\n");
  EXPECT_EQ(AvailableMemoryBytes(root_), 600000u);
}

TEST_F(FakeSystem, AFullGroupHasNothingLeft) {
  Write("/sys/fs/cgroup/box/service/memory.max", "1000\n");
  Write("/sys/fs/cgroup/box/service/memory.current", "5000\n");
  EXPECT_EQ(AvailableMemoryBytes(root_), 0u);
}

TEST_F(FakeSystem, VersionOneOfCgroupsLimitsToo) {
  Write("/proc/self/cgroup", "7:blkio:/\n4:memory:/docker/abc\n0::/\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(MemoryLimitBytes(root_), 0u);
  EXPECT_EQ(AvailableMemoryBytes(root_), 2000u * 1024);
  Write("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "1000000\n");
  Write("/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "900000\n");
  Write("/sys/fs/cgroup/memory/docker/abc/memory.stat", "inactive_file 1\ntotal_inactive_file 300000\n");
  EXPECT_EQ(MemoryLimitBytes(root_), 1000000u);
  EXPECT_EQ(AvailableMemoryBytes(root_), 400000u);
}

TEST_F(FakeSystem, TheLimitIsToldWhateverIsUsed) {
  EXPECT_EQ(MemoryLimitBytes(root_), 0u);
  Write("/sys/fs/cgroup/box/service/memory.max", "max\n");
  Write("/sys/fs/cgroup/box/memory.max", "3000\n");
  Write("/sys/fs/cgroup/box/memory.current", "2000\n");
  EXPECT_EQ(MemoryLimitBytes(root_), 3000u);
}

TEST(AvailableMemory, TheRealMachineSaysSomething) { EXPECT_GT(AvailableMemoryBytes(), 0u); }

}  // namespace
}  // namespace tenfold::platform
