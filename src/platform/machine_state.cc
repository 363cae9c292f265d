#include "platform/machine_state.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>

#include "platform/available_memory.h"
#include "platform/cpu.h"

namespace tenfold::platform {
namespace {

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

void ReadMeminfo(const std::string& root, MachineState& out) {
  std::ifstream file(root + "/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string key;
    uint64_t kib = 0;
    if (!(fields >> key >> kib)) continue;
    if (key == "MemTotal:") out.memory_total_bytes = kib * 1024;
    if (key == "SwapTotal:") out.swap_total_bytes = kib * 1024;
    if (key == "SwapFree:") out.swap_free_bytes = kib * 1024;
    if (key == "Hugetlb:") out.hugetlb_bytes = kib * 1024;
  }
}

// "always [madvise] never" -> "madvise".
std::string Chosen(const std::string& line) {
  const size_t open = line.find('[');
  const size_t close = line.find(']');
  return open == std::string::npos || close == std::string::npos || close < open
             ? ""
             : line.substr(open + 1, close - open - 1);
}

std::vector<std::string> Governors(const std::string& root) {
  std::vector<std::string> out;
  for (const int cpu : DetectCpuLimits(root).cpus) {
    const std::string folder = root + "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/cpufreq/";
    std::string governor = FirstLine(folder + "scaling_governor");
    if (governor.empty()) continue;
    const std::string driver = FirstLine(folder + "scaling_driver");
    if (!driver.empty()) governor += " (" + driver + ")";
    if (std::find(out.begin(), out.end(), governor) == out.end()) out.push_back(governor);
  }
  return out;
}

// An open file that closes itself.
struct Descriptor {
  explicit Descriptor(const std::string& path) : fd(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  int fd;
};

}  // namespace

MachineState ReadMachineState(const std::string& root) {
  MachineState out;
  ReadMeminfo(root, out);
  out.memory_available_bytes = AvailableMemoryBytes(root);
  out.memory_limit_bytes = MemoryLimitBytes(root);
  out.huge_pages = Chosen(FirstLine(root + "/sys/kernel/mm/transparent_hugepage/enabled"));
  std::istringstream load(FirstLine(root + "/proc/loadavg"));
  if (double minute = 0; load >> minute) out.load_average = minute;
  out.governors = Governors(root);
  return out;
}

CpuTimes ReadCpuTimes(const std::string& root) {
  std::istringstream line(FirstLine(root + "/proc/stat"));
  std::string name;
  uint64_t user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  if (!(line >> name >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal) || name != "cpu")
    return {};
  const uint64_t busy = user + nice + system + irq + softirq;
  return {.all = busy + idle + iowait + steal, .busy = busy, .steal = steal};
}

std::optional<CpuShares> SharesBetween(const CpuTimes& before, const CpuTimes& after) {
  if (before.all == 0 || after.all <= before.all) return std::nullopt;
  // The kernel's counters may step back by a tick.
  const auto part = [&](uint64_t from, uint64_t to) {
    return to > from ? static_cast<double>(to - from) / static_cast<double>(after.all - before.all) : 0.0;
  };
  return CpuShares{.busy = part(before.busy, after.busy), .steal = part(before.steal, after.steal)};
}

std::optional<double> CachedShare(const std::string& path) {
  const Descriptor file(path);
  struct stat status {};
  if (file.fd < 0 || fstat(file.fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) {
    return std::nullopt;
  }
  // mincore(2), since Linux 5.2: to everybody else all pages are said to be there.
  if (status.st_uid != geteuid() && access(path.c_str(), W_OK) != 0) return std::nullopt;
  const auto size = static_cast<size_t>(status.st_size);
  void* map = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd, 0);
  if (map == MAP_FAILED) return std::nullopt;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> resident((size + page - 1) / page);
  const bool told = mincore(map, size, resident.data()) == 0;
  munmap(map, size);
  if (!told) return std::nullopt;
  const auto there =
      std::count_if(resident.begin(), resident.end(), [](unsigned char flags) { return (flags & 1) != 0; });
  return static_cast<double>(there) / static_cast<double>(resident.size());
}

}  // namespace tenfold::platform
