#include "platform/memory_lock.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

#include "platform/memory.h"

namespace tenfold::platform {
namespace {

constexpr size_t kLimit = 256 << 10;

// The sanitizers' run-time libraries make mlock do nothing and say yes, so that nothing is ever counted as locked.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TENFOLD_MLOCK_IS_PRETENDED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TENFOLD_MLOCK_IS_PRETENDED 1
#endif
#ifdef TENFOLD_MLOCK_IS_PRETENDED
constexpr bool kLocksForReal = false;
#else
constexpr bool kLocksForReal = true;
#endif

// Gives up CAP_IPC_LOCK, which would override every limit, and sets one. For a process of its own.
bool LiveUnderALimit(rlim_t soft, rlim_t hard) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  data[0].effective &= ~(1U << CAP_IPC_LOCK);
  if (syscall(SYS_capset, &header, data) != 0) return false;
  const rlimit limit{soft, hard};
  return setrlimit(RLIMIT_MEMLOCK, &limit) == 0;
}

// Runs in a child: locks 1 MiB under a limit and says what came of it by its exit code.
[[noreturn]] void LockInChild(rlim_t soft, rlim_t hard, size_t wanted_bytes) {
  if (!LiveUnderALimit(soft, hard)) _exit(10);
  const LockAllowance allowance = DetectLockAllowance();
  if (allowance.unlimited || allowance.limit_bytes != hard || allowance.room_bytes != hard) _exit(11);
  auto buffer = HugeBuffer::Allocate(size_t{1} << 20);
  if (!buffer.ok()) _exit(12);
  const LockResult result = LockMemory({buffer->data(), buffer->size()});
  if (result.locked_bytes != wanted_bytes) {
    std::fprintf(stderr, "locked %zu: %s\n", result.locked_bytes, result.reason.c_str());
    _exit(13);
  }
  const bool all = wanted_bytes == buffer->size();
  if (result.reason.empty() != all) _exit(14);
  for (const char* advice : {"ulimit -l", "--ulimit memlock=-1", "LimitMEMLOCK"}) {
    if (!all && result.reason.find(advice) == std::string::npos) _exit(15);
  }
  // What is locked counts against the limit, so a second buffer finds less room.
  if (kLocksForReal && DetectLockAllowance().room_bytes != hard - wanted_bytes) _exit(16);
  _exit(0);
}

TEST(MemoryLockDeathTest, LocksAPrefixUnderALowLimitAndSaysWhatToRaise) {
  EXPECT_EXIT(LockInChild(kLimit, kLimit, kLimit), testing::ExitedWithCode(0), "");
}

TEST(MemoryLockDeathTest, TheSoftLimitIsRaisedToTheHardOne) {
  EXPECT_EXIT(LockInChild(4096, kLimit, kLimit), testing::ExitedWithCode(0), "");
}

TEST(MemoryLockDeathTest, EverythingFitsUnderAHighLimit) {
  EXPECT_EXIT(LockInChild(2 << 20, 2 << 20, 1 << 20), testing::ExitedWithCode(0), "");
}

TEST(MemoryLockDeathTest, NothingMayBeLocked) { EXPECT_EXIT(LockInChild(0, 0, 0), testing::ExitedWithCode(0), ""); }

TEST(MemoryLock, NothingToLockIsSuccess) {
  const LockResult result = LockMemory({});
  EXPECT_EQ(result.locked_bytes, 0u);
  EXPECT_EQ(result.reason, "");
}

}  // namespace
}  // namespace tenfold::platform
