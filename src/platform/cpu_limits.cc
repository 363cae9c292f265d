// How much of the machine this process may really use: its CPU set and the cgroup quotas above it. A server that
// starts one thread per CPU of the machine inside a container limited to two runs far slower than with two, because the
// quota stops all of its threads at once in the middle of a phase.
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>
#include <vector>

#include "platform/cpu.h"

namespace tenfold::platform {
namespace {

std::optional<std::string> ReadLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<int64_t> ParseInt(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "0-2,5" -> {0, 1, 2, 5}, the kernel's list format. A malformed part is skipped.
std::set<int> ParseCpuList(std::string_view text) {
  constexpr int64_t kMaxCpu = 1 << 16;  // far above any kernel's limit; keeps "0-999999999" from filling memory
  std::set<int> cpus;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view part = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const size_t dash = part.find('-');
    const auto first = ParseInt(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : ParseInt(part.substr(dash + 1));
    if (!first || !last || *first < 0 || *last > kMaxCpu) continue;
    for (int64_t cpu = *first; cpu <= *last; ++cpu) cpus.insert(static_cast<int>(cpu));
  }
  return cpus;
}

std::set<int> AskKernelForCpus() {
  std::set<int> cpus;
  for (int capacity = 1024; capacity <= 1 << 16; capacity *= 2) {
    cpu_set_t* set = CPU_ALLOC(capacity);
    const size_t bytes = CPU_ALLOC_SIZE(capacity);
    CPU_ZERO_S(bytes, set);
    // Of the main thread, which the operator's list never binds: it binds compute threads, and one may be asking.
    const bool ok = sched_getaffinity(getpid(), bytes, set) == 0;  // EINVAL: the kernel's mask is longer than ours
    for (int cpu = 0; ok && cpu < capacity; ++cpu) {
      if (CPU_ISSET_S(cpu, bytes, set)) cpus.insert(cpu);
    }
    CPU_FREE(set);
    if (ok) break;
  }
  return cpus;
}

// The affinity mask. The kernel keeps it inside the cgroup's cpuset, v1 or v2, so that no cpuset file is read.
std::set<int> AllowedCpus(const std::string& root) {
  if (root.empty()) return AskKernelForCpus();
  constexpr std::string_view kField = "Cpus_allowed_list:";
  std::ifstream status(root + "/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.compare(0, kField.size(), kField) != 0) continue;
    const size_t list = line.find_first_not_of(" \t", kField.size());
    return list == std::string::npos ? std::set<int>{} : ParseCpuList(line.substr(list));
  }
  return {};
}

// One mounted cgroup hierarchy that can limit CPU time: cgroup v2, or the v1 hierarchy of the cpu controller.
struct Hierarchy {
  bool v2 = false;
  std::string cgroup_root;  // which cgroup the mount point shows ("/" unless bind-mounted or namespaced)
  std::string mount_point;
};

bool ListContains(const std::string& comma_list, std::string_view wanted) {
  std::istringstream list(comma_list);
  for (std::string item; std::getline(list, item, ',');) {
    if (item == wanted) return true;
  }
  return false;
}

// proc(5), mountinfo: "id parent dev root mount-point options [optional...] - type source super-options".
std::vector<Hierarchy> FindHierarchies(const std::string& root) {
  std::vector<Hierarchy> out;
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const size_t separator = line.find(" - ");
    if (separator == std::string::npos) continue;
    std::istringstream left(line.substr(0, separator));
    std::istringstream right(line.substr(separator + 3));
    std::string skip;
    std::string type;
    std::string source;
    std::string super_options;
    Hierarchy found;
    left >> skip >> skip >> skip >> found.cgroup_root >> found.mount_point;
    right >> type >> source >> super_options;
    found.v2 = type == "cgroup2";
    if (found.v2 || (type == "cgroup" && ListContains(super_options, "cpu"))) out.push_back(found);
  }
  return out;
}

// proc(5), cgroup: "0::/path" for v2, "4:cpu,cpuacct:/path" for v1.
std::optional<std::string> CgroupPath(const std::string& root, bool v2) {
  std::ifstream cgroups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(cgroups, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool wanted = v2 ? line.compare(0, first, "0") == 0 && controllers.empty() : ListContains(controllers, "cpu");
    if (wanted) return line.substr(second + 1);
  }
  return std::nullopt;
}

// CPUs allowed by the files of one cgroup folder, or nothing when it sets no limit.
std::optional<double> QuotaOf(const std::string& folder, bool v2) {
  std::optional<int64_t> quota;
  std::optional<int64_t> period;
  if (v2) {
    std::istringstream line(ReadLine(folder + "/cpu.max").value_or(""));
    std::string quota_text;
    std::string period_text;
    line >> quota_text >> period_text;  // "max 100000" when unlimited: "max" is no number
    quota = ParseInt(quota_text);
    period = ParseInt(period_text);
  } else {
    quota = ParseInt(ReadLine(folder + "/cpu.cfs_quota_us").value_or(""));  // -1 when unlimited
    period = ParseInt(ReadLine(folder + "/cpu.cfs_period_us").value_or(""));
  }
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

// The tightest quota on the way from the process's cgroup up to the mount point; 0: none.
double TightestQuota(const std::string& root) {
  double tightest = 0;
  for (const Hierarchy& hierarchy : FindHierarchies(root)) {
    std::string path = CgroupPath(root, hierarchy.v2).value_or("/");
    // In a container the path may be told from the host's root while the mount shows only our part of the tree.
    const std::string& top = hierarchy.cgroup_root;
    const bool below = path == top || path.starts_with(top + "/");
    if (top != "/" && below) path.erase(0, top.size());
    if (path.find("..") != std::string::npos) path.clear();  // outside of our cgroup namespace
    while (true) {
      while (!path.empty() && path.back() == '/') path.pop_back();
      const auto quota = QuotaOf(root + hierarchy.mount_point + path, hierarchy.v2);
      if (quota && (tightest == 0 || *quota < tightest)) tightest = *quota;
      if (path.empty()) break;
      path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    }
  }
  return tightest;
}

}  // namespace

CpuLimits DetectCpuLimits(const std::string& root) {
  const std::set<int> cpus = AllowedCpus(root);
  CpuLimits limits{.cpus = {cpus.begin(), cpus.end()}, .quota_cpus = TightestQuota(root)};
  if (limits.cpus.empty()) limits.cpus = {0};
  return limits;
}

}  // namespace tenfold::platform
