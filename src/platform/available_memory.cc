#include "platform/available_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>

namespace tenfold::platform {
namespace {

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

uint64_t MemAvailable(const std::string& root) {
  std::ifstream in(root + "/proc/meminfo");
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string key;
    uint64_t kib = 0;
    if (fields >> key >> kib && key == "MemAvailable:") return kib * 1024;
  }
  return 0;
}

// The number in a one-line file; "max", an absent file and rubbish are no limit.
uint64_t ReadLimit(const std::string& path) {
  std::ifstream in(path);
  uint64_t value = 0;
  return in >> value ? value : kNoLimit;
}

// The process's cgroup v2 path: the line "0::/path" of /proc/self/cgroup.
std::string CgroupPath(const std::string& root) {
  std::ifstream in(root + "/proc/self/cgroup");
  std::string line;
  while (std::getline(in, line)) {
    if (line.rfind("0::/", 0) == 0) return line.substr(3);
  }
  return "/";
}

// memory.stat's reclaimable page cache counts as used in memory.current, but gives way when we ask.
uint64_t FileCacheBytes(const std::string& dir) {
  std::ifstream in(dir + "/memory.stat");
  std::string key;
  uint64_t value = 0;
  while (in >> key >> value) {
    if (key == "inactive_file") return value;
  }
  return 0;
}

uint64_t LeftInCgroup(const std::string& dir) {
  const uint64_t limit = ReadLimit(dir + "/memory.max");
  if (limit == kNoLimit) return kNoLimit;
  const uint64_t current = ReadLimit(dir + "/memory.current");
  if (current == kNoLimit) return limit;
  const uint64_t cache = std::min(current, FileCacheBytes(dir));
  const uint64_t used = current - cache;
  return limit > used ? limit - used : 0;
}

}  // namespace

uint64_t AvailableMemoryBytes(const std::string& root) {
  uint64_t left = MemAvailable(root);
  if (left == 0) return 0;
  std::string path = CgroupPath(root);
  while (true) {
    left = std::min(left, LeftInCgroup(root + "/sys/fs/cgroup" + path));
    const size_t slash = path.find_last_of('/');
    if (slash == std::string::npos || path == "/") break;
    path = slash == 0 ? "/" : path.substr(0, slash);
  }
  return left;
}

}  // namespace tenfold::platform
