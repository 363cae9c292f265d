// What is good and bad about the machine (findings.h). The borders are stated where they are judged; they are about
// what users feel: a phase of a step ends with its slowest thread, so a thread that is stopped or swapped out stops
// all.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "doctor/findings.h"

namespace tenfold::doctor {
namespace {

using platform::MachineState;

Finding Processor(const Facts& f) {
  Finding out{"processor", Level::kOk, "", {}};
  const std::string cpu = f.cpu.empty() ? "unknown processor" : f.cpu;
  if (!f.isa_error.empty()) {
    return {"processor", Level::kFail, f.isa_error, {"unset TENFOLD_ISA: the widest set is chosen by itself"}};
  }
  out.says = fmt::format("{}, instruction set {}", cpu, f.isa);
  if (f.isa != f.widest_isa) {
    out.level = Level::kWarn;
    out.says += fmt::format(", though it has {}", f.widest_isa);
    out.advice = {"unset TENFOLD_ISA: the widest set is chosen by itself"};
  } else if (f.isa == "scalar") {
    out.level = Level::kWarn;
    out.says += ": without AVX2 every token takes many times longer";
    out.advice = {
        "in a virtual machine hand the host's processor through: qemu -cpu host, libvirt mode='host-passthrough'",
        "otherwise take a machine with AVX2, better with AVX-512 VNNI"};
  }
  return out;
}

Finding Cores(const Facts& f) {
  Finding out{"cores", Level::kOk, "", {}};
  out.says =
      fmt::format("{} core{} ({} CPU{}) for this process, {} compute thread{}: {}", f.cpus.physical_cores,
                  f.cpus.physical_cores == 1 ? "" : "s", f.cpus.logical_cpus, f.cpus.logical_cpus == 1 ? "" : "s",
                  f.cpus.threads, f.cpus.threads == 1 ? "" : "s", f.threads_reason);
  if (f.machine_cpus > f.cpus.logical_cpus) {
    out.level = Level::kWarn;
    out.says += fmt::format("; the machine has {} CPUs, the CPU set allows {}", f.machine_cpus, f.cpus.logical_cpus);
    out.advice = {
        "if that is not meant: docker run without --cpuset-cpus, systemd without CPUAffinity= and AllowedCPUs=, "
        "a shell without taskset"};
  } else if (f.cpus.physical_cores == 1) {
    out.level = Level::kWarn;
    out.says += "; with one core, connections and computing take time from each other";
    out.advice = {"give it two cores or more"};
  }
  return out;
}

// A quota that is no whole number of CPUs pays for a part that no thread uses: threads are counted rounded down,
// because one too many would make all wait for the kernel's next period.
Finding Quota(const Facts& f) {
  const double quota = f.cpus.quota_cpus;
  if (quota <= 0) return {"quota", Level::kOk, "no CPU quota", {}};
  Finding out{"quota", Level::kOk, fmt::format("{:g} CPUs by the cgroup's quota", quota), {}};
  if (quota < 1) {
    out.level = Level::kFail;
    out.says += ": less than one thread can use; it will stand still in every period of the kernel's";
    out.advice = {"docker run --cpus=2 (or more, whole numbers); systemd: CPUQuota=200%"};
  } else if (quota < f.cpus.fast_cores && quota != std::floor(quota)) {
    out.level = Level::kWarn;
    out.says += fmt::format(": {} thread{}, {:g} CPUs of it stay unused", f.cpus.threads,
                            f.cpus.threads == 1 ? "" : "s", quota - std::floor(quota));
    out.advice = {fmt::format("give whole CPUs: docker run --cpus={0}; systemd: CPUQuota={0}00%", std::ceil(quota))};
  } else if (quota < f.cpus.fast_cores) {
    out.says += fmt::format(" of {} cores", f.cpus.fast_cores);
  }
  return out;
}

Finding Memory(const Facts& f) {
  const MachineState& m = f.machine;
  if (m.memory_available_bytes == 0) {
    return {"memory",
            Level::kWarn,
            "how much is free cannot be read: whether a model fits is not known",
            {"mount /proc into the container or chroot"}};
  }
  Finding out{"memory", Level::kOk, "", {}};
  out.says = fmt::format("{} of {} free for this process", SizeText(m.memory_available_bytes),
                         m.memory_total_bytes > 0 ? SizeText(m.memory_total_bytes) : "unknown");
  if (m.memory_limit_bytes == 0) return out;
  out.says += fmt::format(", limited to {} by the cgroup", SizeText(m.memory_limit_bytes));
  return out;
}

// Only a limit that does not hold the weights matters, and only with --mlock, which matters most where there is swap.
Finding Lock(const Facts& f) {
  const uint64_t needed = f.model && f.model->weight_bytes > 0 ? f.model->weight_bytes : 0;
  if (f.lock.unlimited) return {"memlock", Level::kOk, "no limit: --mlock can keep the model in memory", {}};
  if (needed > 0 && f.lock.room_bytes >= needed) {
    return {"memlock",
            Level::kOk,
            fmt::format("{} may be locked, the weights take {}", SizeText(f.lock.room_bytes), SizeText(needed)),
            {}};
  }
  return {
      "memlock",
      Level::kWarn,
      fmt::format("only {} may be locked{}: --mlock would not keep the model in memory", SizeText(f.lock.room_bytes),
                  needed > 0 ? fmt::format(", the weights take {}", SizeText(needed)) : ""),
      {"docker run --ulimit memlock=-1; compose: ulimits: {memlock: {soft: -1, hard: -1}}",
       "systemd: LimitMEMLOCK=infinity", "a shell: ulimit -l unlimited (as root, or by /etc/security/limits.conf)"}};
}

Finding HugePages(const Facts& f) {
  const MachineState& m = f.machine;
  if (m.hugetlb_bytes > 0 && m.memory_total_bytes > 0 && m.hugetlb_bytes * 20 >= m.memory_total_bytes) {
    return {"huge pages",
            Level::kWarn,
            fmt::format("{} are set apart for hugetlbfs, which tenfold does not use: nobody else can have them",
                        SizeText(m.hugetlb_bytes)),
            {"sysctl vm.nr_hugepages=0, if no other program needs them; tenfold takes transparent huge pages"}};
  }
  if (m.huge_pages == "always" || m.huge_pages == "madvise") {
    return {"huge pages", Level::kOk, fmt::format("transparent huge pages: {}", m.huge_pages), {}};
  }
  return {"huge pages",
          Level::kWarn,
          m.huge_pages.empty()
              ? "whether there are transparent huge pages cannot be read"
              : "transparent huge pages are switched off: weights are read through small pages, slower",
          {"on the host, containers included: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"}};
}

Finding Swap(const Facts& f) {
  const MachineState& m = f.machine;
  if (m.swap_total_bytes == 0) return {"swap", Level::kOk, "none", {}};
  const uint64_t used = m.swap_total_bytes - std::min(m.swap_total_bytes, m.swap_free_bytes);
  Finding out{"swap", Level::kOk, fmt::format("{} of {} used", SizeText(used), SizeText(m.swap_total_bytes)), {}};
  // A tenth in use: memory was short already.
  if (used * 10 < m.swap_total_bytes) return out;
  out.level = Level::kWarn;
  out.says += ": memory was short, and idle weights may follow";
  out.advice = {
      "serve --mlock keeps the model in memory; systemd: MemorySwapMax=0; docker run --memory=X --memory-swap=X; "
      "or swapoff -a"};
  return out;
}

// Stolen time of a hundredth is felt in the slowest answers; of a tenth, in all. An idle machine has nothing stolen.
Finding Steal(const Facts& f) {
  if (!f.shares)
    return {"steal", Level::kWarn, "CPU time cannot be read from /proc/stat", {"mount /proc into the container"}};
  Finding out{"steal",
              Level::kOk,
              fmt::format("{:.1f} % of the last second stolen by the hypervisor{}", f.shares->steal * 100,
                          f.shares->busy < 0.1 ? " (idle; look again under load)" : ""),
              {}};
  if (f.shares->steal < 0.01) return out;
  out.level = f.shares->steal >= 0.1 ? Level::kFail : Level::kWarn;
  out.says += ": other guests take what this one pays for";
  out.advice = {"take a machine with dedicated CPUs, or pin the virtual CPUs on the host"};
  return out;
}

// Others on half a CPU or more slow every step, because all threads wait for the one that shares its core.
Finding Load(const Facts& f) {
  const double busy_cpus = f.shares ? f.shares->busy * std::max(f.machine_cpus, f.cpus.logical_cpus) : 0;
  Finding out{
      "load",
      Level::kOk,
      fmt::format("load average {}, {:.1f} CPUs busy in the last second",
                  f.machine.load_average < 0 ? "unknown" : fmt::format("{:.2f}", f.machine.load_average), busy_cpus),
      {}};
  if (std::max(busy_cpus, f.machine.load_average) < 0.5) return out;
  out.level = Level::kWarn;
  out.says += ": something else computes here";
  out.advice = {"see what: top; stop it, or give tenfold fewer threads (-t) and CPUs of its own (--cpu-affinity)"};
  return out;
}

Finding Nodes(const Facts& f) {
  if (f.memory_nodes < 2) return {"memory nodes", Level::kOk, "one", {}};
  return {"memory nodes",
          Level::kOk,
          fmt::format("{}: the model is spread over all of them", f.memory_nodes),
          {"if it fits one: serve --cpu-affinity with the CPUs of one node (lscpu) keeps everything near"}};
}

// powersave of intel_pstate and of amd-pstate-epp follows the load; of other drivers it is the lowest clock for ever.
Finding Clocks(const Facts& f) {
  const std::vector<std::string>& governors = f.machine.governors;
  if (governors.empty()) return {"clocks", Level::kOk, "not this system's to choose (a virtual machine)", {}};
  Finding out{"clocks", Level::kOk, fmt::format("governor {}", fmt::join(governors, ", ")), {}};
  const bool lowest = std::any_of(governors.begin(), governors.end(), [](const std::string& g) {
    return g.starts_with("powersave") && g.find("(intel_pstate)") == std::string::npos &&
           g.find("(amd-pstate-epp)") == std::string::npos;
  });
  if (!lowest) return out;
  out.level = Level::kWarn;
  out.says += ": the lowest clock, whatever there is to do";
  out.advice = {"on the host: cpupower frequency-set -g performance (or schedutil)"};
  return out;
}

}  // namespace

void ExamineMachine(const Facts& facts, std::vector<Finding>& out) {
  for (const auto look : {Processor, Cores, Quota, Memory, Lock, HugePages, Swap, Steal, Load, Nodes, Clocks}) {
    out.push_back(look(facts));
  }
}

}  // namespace tenfold::doctor
