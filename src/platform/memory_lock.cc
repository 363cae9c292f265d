#include "platform/memory_lock.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <string_view>

namespace tenfold::platform {
namespace {

constexpr int kCapIpcLock = 14;  // linux/capability.h

// The value of "<field>\t<value>..." in /proc/self/status in this base; 0 if absent.
uint64_t StatusField(std::string_view field, int base) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with(field)) continue;
    const size_t begin = line.find_first_not_of(" \t", field.size());
    if (begin == std::string::npos) return 0;
    uint64_t value = 0;
    std::from_chars(line.data() + begin, line.data() + line.size(), value, base);
    return value;
  }
  return 0;
}

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

uint64_t RoomUnder(uint64_t limit_bytes) {
  const uint64_t used = StatusField("VmLck:", 10) * 1024;  // over all locks of the process
  return limit_bytes > used ? limit_bytes - used : 0;
}

std::string MiB(uint64_t bytes) { return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20)); }

// Whole pages of the buffer's start that fit into `room`; 0 when the lock is refused all the same.
size_t LockPrefix(std::span<const uint8_t> bytes, uint64_t room) {
  const size_t misaligned = reinterpret_cast<uintptr_t>(bytes.data()) % PageBytes();
  size_t size = std::min<uint64_t>(room / PageBytes() * PageBytes(), bytes.size());
  size = size > misaligned ? size - misaligned : 0;
  return size > 0 && mlock(bytes.data(), size) == 0 ? size : 0;
}

}  // namespace

LockAllowance DetectLockAllowance() {
  LockAllowance allowance;
  rlimit limit{};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return allowance;
  if (limit.rlim_cur < limit.rlim_max) {
    const rlimit raised{limit.rlim_max, limit.rlim_max};
    if (setrlimit(RLIMIT_MEMLOCK, &raised) == 0) limit = raised;
  }
  allowance.limit_bytes = limit.rlim_cur;
  allowance.unlimited = limit.rlim_cur == RLIM_INFINITY || (StatusField("CapEff:", 16) >> kCapIpcLock & 1) != 0;
  allowance.room_bytes = allowance.unlimited ? UINT64_MAX : RoomUnder(limit.rlim_cur);
  return allowance;
}

LockResult LockMemory(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return {};
  LockAllowance allowance = DetectLockAllowance();
  if (allowance.room_bytes >= bytes.size()) {
    if (mlock(bytes.data(), bytes.size()) == 0) return {bytes.size(), ""};
    const int reason = errno;
    // The capability of a container that has its own users says nothing to the kernel, which goes by the limit.
    if (allowance.limit_bytes == RLIM_INFINITY || RoomUnder(allowance.limit_bytes) >= bytes.size()) {
      return {
          0, fmt::format("locking {} failed: {}; is that much memory free?", MiB(bytes.size()), std::strerror(reason))};
    }
    allowance.room_bytes = RoomUnder(allowance.limit_bytes);
  }
  const size_t locked = LockPrefix(bytes, allowance.room_bytes);
  return {locked, fmt::format("locked {} of {}, because the limit of locked memory is {}; raise it with `ulimit -l "
                              "unlimited` in a shell, `--ulimit memlock=-1` for Docker, or LimitMEMLOCK=infinity for "
                              "systemd",
                              MiB(locked), MiB(bytes.size()), MiB(allowance.limit_bytes))};
}

}  // namespace tenfold::platform
