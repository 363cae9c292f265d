// `tenfold doctor`: gathers the facts of this machine, of a model and of a port, and prints what they mean. Exit codes:
// 0 nothing to do, 1 warnings, 2 failures, 3 wrong usage.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "apps/subcommands.h"
#include "config/settings.h"
#include "doctor/findings.h"
#include "engine/pool_plan.h"
#include "gguf/model_file.h"
#include "gguf/quote.h"
#include "inspect/inspection.h"
#include "kernels/attention.h"
#include "kv/block_pool.h"
#include "platform/placement.h"
#include "server/listener.h"

namespace tenfold::apps {
namespace {

struct Flags {
  std::string model;
  int64_t users = config::Settings{}.parallel;
  int64_t context = config::Settings{}.ctx_size;
  std::string host = config::Settings{}.host;
  int64_t port = config::Settings{}.port;
  std::string cache_type_k = config::Settings{}.cache_type_k;
  std::string cache_type_v = config::Settings{}.cache_type_v;
  bool json = false;
};

// CPUs, their nodes, and how many threads the server would choose.
void LookAtCpus(doctor::Facts& facts) {
  const platform::Topology topology = platform::DetectTopology();
  const double quota = platform::DetectCpuLimits().quota_cpus;
  facts.cpu = platform::DetectCpu().model_name;
  facts.cpus = platform::BudgetOf(topology, quota);
  facts.machine_cpus = static_cast<int>(topology.cpus.size());
  if (const auto placed = platform::PlaceThreads(topology, quota, {}, 0); placed.ok()) {
    facts.threads_reason = placed->threads_reason;
  }
  std::set<int> nodes;
  for (const platform::Cpu& cpu : topology.cpus) {
    if (std::binary_search(topology.allowed.begin(), topology.allowed.end(), cpu.id)) nodes.insert(cpu.node);
  }
  facts.memory_nodes = static_cast<int>(nodes.size());
  facts.widest_isa = kernels::NameOf(kernels::SupportedIsas().back());
  const auto isa = kernels::ChooseIsa(std::getenv("TENFOLD_ISA"));
  facts.isa = isa.ok() ? kernels::NameOf(*isa) : "";
  if (!isa.ok()) facts.isa_error = isa.error().message;
}

// What the server's own plan of memory would be; -b and its buffers are the margin's matter.
void PlanMemory(const inspect::Inspection& seen, const Flags& flags, uint64_t available_bytes,
                doctor::ModelFacts& out) {
  if (!seen.weight_bytes || !seen.kv_bytes_per_token || !seen.context_length) return;
  out.weight_bytes = *seen.weight_bytes;
  out.kv_bytes_per_token = *seen.kv_bytes_per_token;
  if (flags.context > *seen.context_length) {
    out.memory_error = fmt::format("a context of {} was asked for (-c), but the model was trained for {}",
                                   flags.context, *seen.context_length);
    return;
  }
  const auto plan = engine::PlanPool({.page_bytes = out.kv_bytes_per_token * static_cast<uint64_t>(kv::kPageTokens),
                                      .asked_bytes = 0,
                                      .available_bytes = available_bytes,
                                      .weight_bytes = out.weight_bytes,
                                      .step_bytes = 0,
                                      .step_tokens = 0,
                                      .asked_context = flags.context,
                                      .default_context = std::min(*seen.context_length, engine::kDefaultMaxContext),
                                      .max_running = flags.users});
  if (!plan.ok()) {
    out.memory_error = plan.error().message;
    return;
  }
  out.context = plan->context;
  out.context_shortened = plan->shortened;
  out.pool_tokens = int64_t{plan->pages} * kv::kPageTokens;
}

doctor::ModelFacts LookAtModel(const Flags& flags, const doctor::Facts& machine) {
  doctor::ModelFacts out;
  const std::string quoted = gguf::Quote(flags.model);
  out.path = quoted == '"' + flags.model + '"' ? flags.model : quoted;
  const auto model = gguf::ModelFile::Open(flags.model);
  if (!model.ok()) {
    out.error = model.error().message;
    if (out.error.find(flags.model) == std::string::npos) out.error = fmt::format("{}: {}", out.path, out.error);
    return out;
  }
  inspect::Machine here;
  here.available_bytes = machine.machine.memory_available_bytes;
  here.isa = kernels::IsaFromName(machine.isa).value_or(kernels::Isa::kScalar);
  here.cpus = machine.cpus;
  here.lock = machine.lock;
  here.kv_format = {*kernels::KvTypeFromName(flags.cache_type_k), *kernels::KvTypeFromName(flags.cache_type_v)};
  const inspect::Inspection seen = inspect::Inspect(*model, flags.model, here);
  out.unsupported = seen.unsupported;
  out.file_bytes = seen.file_bytes;
  PlanMemory(seen, flags, here.available_bytes, out);
  out.cached = platform::CachedShare(flags.model);
  return out;
}

doctor::Facts Gather(const Flags& flags) {
  doctor::Facts facts;
  facts.users = flags.users;
  const platform::CpuTimes before = platform::ReadCpuTimes();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  facts.shares = platform::SharesBetween(before, platform::ReadCpuTimes());
  LookAtCpus(facts);
  facts.machine = platform::ReadMachineState();
  facts.lock = platform::DetectLockAllowance();
  if (!flags.model.empty()) facts.model = LookAtModel(flags, facts);
  facts.address = fmt::format("{}:{}", flags.host, flags.port);
  const Status port = server::ProbePort(flags.host, static_cast<uint16_t>(flags.port));
  if (!port.ok()) facts.port_error = port.error().message;
  return facts;
}

void AddFlags(CLI::App& command, Flags& flags) {
  command.add_option("-m,--model", flags.model, "The GGUF file to serve; without it the machine alone is looked at")
      ->type_name("FILE");
  command.add_option("--users", flags.users, "Who ask at once")
      ->check(CLI::Range(int64_t{1}, int64_t{100'000}))
      ->capture_default_str();
  command.add_option("-c,--ctx-size", flags.context, "Tokens of one request; 0: the model's, at most 8192")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  command.add_option("--host", flags.host, "The address to listen on")->capture_default_str();
  command.add_option("--port", flags.port, "The port to listen on")->check(CLI::Range(0, 65535))->capture_default_str();
  const auto types = CLI::IsMember(std::vector<std::string>{"f16", "q8_0"});
  command.add_option("--cache-type-k", flags.cache_type_k, "What keys would be stored as")
      ->check(types)
      ->capture_default_str();
  command.add_option("--cache-type-v", flags.cache_type_v, "What values would be stored as")
      ->check(types)
      ->capture_default_str();
  command.add_flag("--json", flags.json, "For machines: one JSON object");
}

}  // namespace

void RegisterDoctor(CLI::App& app, int* exit_code) {
  CLI::App* command =
      app.add_subcommand("doctor", "Look at this machine, say what is in a server's way and what to do");
  auto flags = std::make_shared<Flags>();
  AddFlags(*command, *flags);
  command->callback([flags, exit_code] {
    const std::vector<doctor::Finding> findings = doctor::Examine(Gather(*flags));
    fmt::print("{}", flags->json ? doctor::ToJson(findings) : doctor::ToText(findings));
    *exit_code = static_cast<int>(doctor::WorstOf(findings));
  });
}

}  // namespace tenfold::apps
