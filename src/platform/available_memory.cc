#include "platform/available_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <string_view>
#include <vector>

namespace tenfold::platform {
namespace {

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kUnlimited = uint64_t{1} << 62;  // v1 says "no limit" with a number near 2^63

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

// One hierarchy of cgroups that can limit memory.
struct Hierarchy {
  std::string folder;           // where it is mounted
  std::string limit, used;      // its files
  std::string_view cache_name;  // of memory.stat: the reclaimable page cache of a group and what is below it
  std::string path = "";        // the process's group in it; "" where it is in none
};

// proc(5), cgroup: "0::/path" for v2, "4:memory:/path" for v1. A machine may mount both; only one limits memory.
std::vector<Hierarchy> HierarchiesOf(const std::string& root) {
  const std::string mount = root + "/sys/fs/cgroup";
  Hierarchy v2{mount, "/memory.max", "/memory.current", "inactive_file"};
  Hierarchy v1{mount + "/memory", "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file"};
  std::ifstream in(root + "/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (line.starts_with("0::/")) v2.path = path;
    if (controllers.find(",memory,") != std::string::npos) v1.path = path;
  }
  if (v2.path.empty()) v2.path = "/";  // a container may hide its groups and still show their files
  std::vector<Hierarchy> out = {v2};
  if (!v1.path.empty()) out.push_back(v1);
  return out;
}

uint64_t LimitOf(const Hierarchy& of, const std::string& dir) {
  const uint64_t limit = ReadLimit(dir + of.limit);
  return limit >= kUnlimited ? kNoLimit : limit;
}

// Reclaimable page cache counts as used, but gives way when we ask.
uint64_t FileCacheBytes(const Hierarchy& of, const std::string& dir) {
  std::ifstream in(dir + "/memory.stat");
  std::string key;
  uint64_t value = 0;
  while (in >> key >> value) {
    if (key == of.cache_name) return value;
  }
  return 0;
}

uint64_t LeftIn(const Hierarchy& of, const std::string& dir) {
  const uint64_t limit = LimitOf(of, dir);
  if (limit == kNoLimit) return kNoLimit;
  const uint64_t current = ReadLimit(dir + of.used);
  if (current == kNoLimit) return limit;
  const uint64_t used = current - std::min(current, FileCacheBytes(of, dir));
  return limit > used ? limit - used : 0;
}

// The least of what `ask` says of the process's groups and all above them.
template <class Ask>
uint64_t Least(const std::string& root, const Ask& ask) {
  uint64_t least = kNoLimit;
  for (const Hierarchy& of : HierarchiesOf(root)) {
    std::string path = of.path;
    while (true) {
      least = std::min(least, ask(of, of.folder + path));
      const size_t slash = path.find_last_of('/');
      if (slash == std::string::npos || path == "/") break;
      path = slash == 0 ? "/" : path.substr(0, slash);
    }
  }
  return least;
}

}  // namespace

uint64_t AvailableMemoryBytes(const std::string& root) {
  const uint64_t left = MemAvailable(root);
  return left == 0 ? 0 : std::min(left, Least(root, LeftIn));
}

uint64_t MemoryLimitBytes(const std::string& root) {
  const uint64_t limit = Least(root, LimitOf);
  return limit == kNoLimit ? 0 : limit;
}

}  // namespace tenfold::platform
