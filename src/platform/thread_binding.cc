#include "platform/thread_binding.h"

#include <fmt/format.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace tenfold::platform {
namespace {

Status BindCpu(int id) {
  cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(id) + 1);
  const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(id) + 1);
  CPU_ZERO_S(bytes, set);
  CPU_SET_S(static_cast<size_t>(id), bytes, set);
  const int failed = sched_setaffinity(0, bytes, set) == 0 ? 0 : errno;
  CPU_FREE(set);
  if (failed == 0) return {};
  return Error{ErrorCode::kIo,
               fmt::format("a compute thread cannot be bound to CPU {}: {}", id, std::strerror(failed))};
}

Status InterleaveMemory(const std::vector<int>& nodes) {
  int policy = MPOL_DEFAULT;
  if (syscall(SYS_get_mempolicy, &policy, nullptr, 0, nullptr, 0) == 0 && policy != MPOL_DEFAULT) return {};
  constexpr size_t kWordBits = 8 * sizeof(unsigned long);
  std::vector<unsigned long> mask(static_cast<size_t>(nodes.back()) / kWordBits + 1);
  for (const int node : nodes)
    mask[static_cast<size_t>(node) / kWordBits] |= 1UL << (static_cast<size_t>(node) % kWordBits);
  // The kernel reads one bit less than it is told.
  if (syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, mask.data(), mask.size() * kWordBits + 1) == 0) return {};
  return Error{ErrorCode::kIo, fmt::format("memory cannot be taken from nodes {} in turns: {}", CpuListText(nodes),
                                           std::strerror(errno))};
}

}  // namespace

Status BindThread(const Placement& placement, int worker) {
  if (!placement.cpus.empty()) {
    TENFOLD_TRY_STATUS(BindCpu(placement.cpus[static_cast<size_t>(worker) % placement.cpus.size()]));
  }
  if (placement.nodes.size() > 1) return InterleaveMemory(placement.nodes);
  return {};
}

}  // namespace tenfold::platform
