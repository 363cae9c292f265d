#include "platform/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "platform/cpu.h"
#include "platform/thread_binding.h"

namespace tenfold::platform {
namespace {

int64_t ProcessCpuUs() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto us = [](const timeval& t) { return int64_t{t.tv_sec} * 1'000'000 + t.tv_usec; };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

Placement OnCpu(int cpu) {
  return {.threads = 1, .affinity = "list", .cpus = {cpu}, .nodes = {}, .threads_reason = ""};
}

class ThreadPoolSizes : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolSizes, testing::Values(1, 2, 3, 8));

TEST_P(ThreadPoolSizes, EveryItemRunsExactlyOnceAndItsWritesAreSeen) {
  ThreadPool pool(GetParam(), nullptr);
  for (int64_t items : {0, 1, 2, 3, 7, 8, 64, 1000}) {
    for (int64_t grain : {1, 2, 3, 5000}) {
      std::vector<int> runs(items, 0);  // plain ints: a data race here is what the thread sanitizer looks for
      pool.ParallelFor(
          items, [&](int64_t item, int) { ++runs[item]; }, grain);
      for (int64_t i = 0; i < items; ++i) ASSERT_EQ(runs[i], 1) << "item " << i << " of " << items << " by " << grain;
    }
  }
}

// Each phase has its own function, context and item count, all on the caller's stack: a thread that ran an item with a
// stale function or context would write a wrong value, or into a dead frame.
TEST_P(ThreadPoolSizes, ManyTinyPhasesNeverMixTheirJobs) {
  constexpr int kPhases = 100'000;
  ThreadPool pool(GetParam(), nullptr);
  int64_t wrong = 0;
  for (int phase = 0; phase < kPhases; ++phase) {
    const int items = phase % 7;
    std::vector<int> out(items, -1);
    if (phase % 2 == 0) {
      pool.ParallelFor(items, [&out, phase](int64_t item, int) { out[item] = phase + static_cast<int>(item); });
    } else {
      pool.ParallelFor(items, [&out, phase](int64_t item, int) { out[item] = phase - static_cast<int>(item); });
    }
    for (int i = 0; i < items; ++i) wrong += out[i] != (phase % 2 == 0 ? phase + i : phase - i);
  }
  EXPECT_EQ(wrong, 0);
}

TEST_P(ThreadPoolSizes, SleepersWakeAfterPauses) {
  ThreadPool pool(GetParam(), nullptr);
  for (int round = 0; round < 30; ++round) {
    std::this_thread::sleep_for(std::chrono::microseconds(round % 3 == 0 ? 2000 : 30));  // asleep, or about to be
    std::atomic<int64_t> sum{0};
    pool.ParallelFor(100, [&](int64_t item, int) { sum += item; });
    ASSERT_EQ(sum, 4950);
  }
}

TEST_P(ThreadPoolSizes, WorkerNumbersAreInRangeAndItemsGoUp) {
  const int threads = GetParam();
  ThreadPool pool(threads, nullptr);
  ASSERT_EQ(pool.threads(), threads);
  std::vector<std::vector<int64_t>> by_worker(threads);
  pool.ParallelFor(500, [&](int64_t item, int worker) {
    ASSERT_GE(worker, 0);
    ASSERT_LT(worker, threads);
    by_worker[worker].push_back(item);
  });
  size_t total = 0;
  for (const auto& items : by_worker) {
    total += items.size();
    EXPECT_TRUE(std::is_sorted(items.begin(), items.end()));
  }
  EXPECT_EQ(total, 500u);
}

TEST(ThreadPool, CallerIsWorkerZeroAndOthersReallyWork) {
  ThreadPool pool(2, nullptr);
  const auto caller = std::this_thread::get_id();
  std::atomic<bool> mismatch{false};
  std::atomic<int> met{0};
  // Two items that wait for each other: only two threads at once can finish them.
  pool.ParallelFor(2, [&](int64_t, int worker) {
    if ((std::this_thread::get_id() == caller) != (worker == 0)) mismatch = true;
    ++met;
    while (met < 2) std::this_thread::yield();
  });
  EXPECT_FALSE(mismatch);
  EXPECT_EQ(met, 2);
}

TEST(ThreadPool, OnStartRunsOnceInEachStartedThread) {
  std::atomic<int> calls{0};
  std::atomic<int> mask{0};
  {
    ThreadPool pool(4, [&](int worker) { ++calls, mask |= 1 << worker; });
  }
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(mask, 0b1110);
}

TEST(ThreadPool, SlowWorkerDelaysOnlyWhatItTook) {
  ThreadPool pool(2, nullptr);
  std::atomic<int> by_fast{0};
  std::atomic<int> slow_worker{-1};
  pool.ParallelFor(50, [&](int64_t item, int worker) {
    if (item == 0) {
      slow_worker = worker;
      while (by_fast < 49) std::this_thread::yield();  // would hang if the other thread did not take all the rest
    } else {
      ++by_fast;
    }
  });
  EXPECT_EQ(by_fast, 49);
}

TEST(ThreadPool, IdlePoolUsesNoCpu) {
  ThreadPool pool(4, nullptr);
  pool.ParallelFor(100, [](int64_t, int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const int64_t before = ProcessCpuUs();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(ProcessCpuUs() - before, 20'000);  // three spinning threads would use several 100,000
}

// Keeps the last CPU of this process busy while it lives, so that a compute thread on it loses it in mid-item.
class Hog {
 public:
  Hog() : thread_([this] { Work(); }) {}
  ~Hog() {
    stop_ = true;
    thread_.join();
  }

 private:
  void Work() {
    EXPECT_TRUE(BindThread(OnCpu(DetectCpuLimits().cpus.back()), 0).ok());
    while (!stop_) {
    }
  }
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void SpinFor(int64_t us) {
  const int64_t end = NowUs() + us;
  while (NowUs() < end) {
  }
}

// CPU lists of all threads of this process, as the kernel shows them.
std::set<std::string> AllowedLists() {
  std::set<std::string> lists;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("Cpus_allowed_list:")) lists.insert(line);
    }
  }
  return lists;
}

// Threads that lost their CPU are moved and go home again: nothing is run twice, and in the end all may run everywhere.
TEST(ThreadPool, ThreadsThatWereHelpedAreFreeAgain) {
  const std::set<std::string> before = AllowedLists();
  ThreadPool pool(2, nullptr);
  {
    const Hog hog;
    std::vector<int> runs(8);
    for (int phase = 1; phase <= 2000; ++phase) {
      pool.ParallelFor(std::ssize(runs), [&](int64_t item, int) {
        SpinFor(20);
        ++runs[static_cast<size_t>(item)];
      });
      for (const int n : runs) ASSERT_EQ(n, phase);
    }
  }
  const int64_t give_up = NowUs() + 5'000'000;
  while (AllowedLists() != before && NowUs() < give_up) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(AllowedLists(), before);
}

TEST(ThreadPool, BoundThreadsStayWhereTheyAreBound) {
  const std::vector<int> cpus = DetectCpuLimits().cpus;
  std::thread([&] {
    const auto cpu_of = [&](int worker) { return worker == 0 ? cpus.front() : cpus.back(); };
    ThreadPool pool(2, [&](int worker) { EXPECT_TRUE(BindThread(OnCpu(cpu_of(worker)), worker).ok()); });
    EXPECT_TRUE(BindThread(OnCpu(cpu_of(0)), 0).ok());
    const Hog hog;
    std::atomic<int> elsewhere{0};
    for (int phase = 0; phase < 3000; ++phase) {
      pool.ParallelFor(8, [&](int64_t, int worker) {
        SpinFor(20);
        if (sched_getcpu() != cpu_of(worker)) ++elsewhere;
      });
    }
    EXPECT_EQ(elsewhere, 0);
  }).join();
}

TEST(ThreadPool, DestroyedWhileWorkersSpinOrSleep) {
  for (int round = 0; round < 200; ++round) {
    ThreadPool pool(3, nullptr);
    if (round % 2 == 0) pool.ParallelFor(3, [](int64_t, int) {});
    if (round % 20 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

TEST(ThreadPoolDeathTest, NestedCallIsABug) {
  EXPECT_DEATH(
      {
        ThreadPool pool(1, nullptr);
        pool.ParallelFor(1, [&](int64_t, int) { pool.ParallelFor(1, [](int64_t, int) {}); });
      },
      "inside ParallelFor");
}

}  // namespace
}  // namespace tenfold::platform
