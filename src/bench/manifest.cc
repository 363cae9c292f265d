#include "bench/manifest.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <ctime>
#include <fstream>

#include "bench/commit.h"
#include "kernels/isa.h"
#include "platform/available_memory.h"
#include "platform/cpu.h"

namespace tenfold::bench {
namespace {

std::string Date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[sizeof "2026-01-01T00:00:00Z"];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

std::string Compiler() {
#if defined(__clang__)
  return __VERSION__;  // names itself
#else
  return std::string("gcc ") + __VERSION__;
#endif
}

std::string Build() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return "sanitizer";
#elif defined(__OPTIMIZE__)
  return "release";
#else
  return "debug";
#endif
}

std::string Kernel() {
  utsname name{};
  return uname(&name) == 0 ? std::string(name.sysname) + " " + name.release : "unknown";
}

std::string Isas() {
  std::string names;
  for (const kernels::Isa isa : kernels::SupportedIsas()) {
    if (!names.empty()) names += ' ';
    names += kernels::NameOf(isa);
  }
  return names;
}

}  // namespace

std::string LoadAverage() {
  std::ifstream file("/proc/loadavg");
  std::string one, five, fifteen;
  file >> one >> five >> fifteen;
  return file ? fmt::format("{} {} {}", one, five, fifteen) : "unknown";
}

Manifest MakeManifest(const std::string& command, int threads) {
  const platform::CpuBudget budget = platform::DetectCpuBudget();
  return {.command = command,
          .date = Date(),
          .commit = kCommit,
          .compiler = Compiler(),
          .build = Build(),
          .cpu = platform::DetectCpu().model_name,
          .kernel = Kernel(),
          .isas = Isas(),
          .physical_cores = budget.physical_cores,
          .logical_cpus = budget.logical_cpus,
          .quota_cpus = budget.quota_cpus,
          .threads = threads,
          .load_average = LoadAverage(),
          .available_bytes = platform::AvailableMemoryBytes()};
}

boost::json::object ToJson(const Manifest& m) {
  return {{"kind", "manifest"},
          {"command", m.command},
          {"date", m.date},
          {"commit", m.commit},
          {"compiler", m.compiler},
          {"build", m.build},
          {"cpu", m.cpu},
          {"kernel", m.kernel},
          {"isas", m.isas},
          {"physical_cores", m.physical_cores},
          {"logical_cpus", m.logical_cpus},
          {"quota_cpus", m.quota_cpus},
          {"threads", m.threads},
          {"load_average", m.load_average},
          {"available_bytes", m.available_bytes}};
}

std::string Format(const Manifest& m) {
  const std::string quota = m.quota_cpus > 0 ? fmt::format("quota {} CPUs", m.quota_cpus) : "no quota";
  return fmt::format(
      "tenfold {}  {}  commit {}  {} ({})\n{}  {}  {} cores, {} CPUs, {}, {} threads  {}  load average {}\n", m.command,
      m.date, m.commit, m.compiler, m.build, m.cpu.empty() ? "unknown CPU" : m.cpu, m.isas, m.physical_cores,
      m.logical_cpus, quota, m.threads, m.kernel, m.load_average);
}

}  // namespace tenfold::bench
