#include "config/table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "config/limit_rows.h"

namespace tenfold::config {
namespace {

using S = Settings;

std::vector<Setting> ModelRows() {
  return {
      {.key = "model",
       .member = &S::model,
       .flags = {"-m", "--model"},
       .help = "The GGUF file to serve; without one the server starts empty",
       .value_name = "FILE"},
      {.key = "alias",
       .member = &S::alias,
       .flags = {"-a", "--alias"},
       .help = "The model's name for clients; the file's name without .gguf by default",
       .value_name = "NAME"},
      {.key = "chat_template_file",
       .member = &S::chat_template_file,
       .flags = {"--chat-template-file"},
       .help = "A file with the chat template to use instead of the model file's own",
       .value_name = "FILE"},
      {.key = "load",
       .member = &S::load,
       .flags = {"--load"},
       .help = "When the model is loaded: in the background at once, or by the first request",
       .value_name = "WHEN",
       .choices = {"background", "lazy"}},
      {.key = "ctx_size",
       .member = &S::ctx_size,
       .flags = {"-c", "--ctx-size"},
       .help = "The longest prompt and answer of one request together, in tokens; 0: the model's own, at most 8192",
       .value_name = "N",
       .least = 0,
       .most = 1 << 24,
       .other_keys = {"n_ctx"}},
      {.key = "exact",
       .member = &S::exact,
       .flags = {"--exact"},
       .help = "Answers do not depend on what else is running; prompts are slower"},
  };
}

std::vector<Setting> ComputeRows() {
  return {
      {.key = "threads",
       .member = &S::threads,
       .flags = {"-t", "--threads"},
       .help =
           "Compute threads; 0 or -1: the physical cores (of two kinds, the performance cores) inside the CPU set and "
           "the cgroup quota, rounded down",
       .value_name = "N",
       .least = -1,
       .most = 1024,
       .other_keys = {"n_threads"}},
      {.key = "cpu_affinity",
       .member = &S::cpu_affinity,
       .flags = {"--cpu-affinity"},
       .help =
           "CPUs of the compute threads: none (the scheduler's choice), compact (neighbours), spread (all caches and "
           "memory nodes in turns), or a list such as 0-3,8, one thread on each",
       .value_name = "WHERE"},
      {.key = "batch_size",
       .member = &S::batch_size,
       .flags = {"-b", "--batch-size"},
       .help = "Tokens computed in one step, of all requests together",
       .value_name = "N",
       .least = 1,
       .most = 65536,
       .other_keys = {"n_batch"}},
      {.key = "parallel",
       .member = &S::parallel,
       .flags = {"-np", "--parallel"},
       .help = "Requests computed together; more wait their turn",
       .value_name = "N",
       .least = 1,
       .most = 4096,
       .other_keys = {"n_parallel"}},
      {.key = "kv_memory",
       .member = &S::kv_memory,
       .flags = {"--kv-memory"},
       .help = "Memory for the keys and values of all requests together, as 64M or 2G; 0: what is free less a margin",
       .value_name = "SIZE",
       .least = 0,
       .most = int64_t{1} << 44,
       .bytes = true},
      {.key = "prefix_cache",
       .member = &S::prefix_cache,
       .flags = {"--prefix-cache"},
       .help = "Prompts that begin alike share what was computed for their beginning, as long as there is room for it"},
      {.key = "cache_type_k",
       .member = &S::cache_type_k,
       .flags = {"-ctk", "--cache-type-k"},
       .help = "What keys are stored as; q8_0 takes half the memory and time of long contexts for 8 bits of precision",
       .value_name = "TYPE",
       .choices = {"f16", "q8_0"}},
      {.key = "cache_type_v",
       .member = &S::cache_type_v,
       .flags = {"-ctv", "--cache-type-v"},
       .help = "The same for values",
       .value_name = "TYPE",
       .choices = {"f16", "q8_0"}},
      {.key = "gpu_layers",
       .member = &S::gpu_layers,
       .flags = {"-ngl", "--gpu-layers", "--n-gpu-layers"},
       .help = "Layers to put on a GPU: taken for old scripts' sake, but this server computes on the CPU only",
       .value_name = "N",
       .least = -1,
       .most = 1 << 20,
       .other_keys = {"n_gpu_layers"}},
      {.key = "mlock",
       .member = &S::mlock,
       .flags = {"--mlock"},
       .help = "Keep the model in memory, as far as the limit of locked memory allows",
       .other_keys = {"use_mlock"}},
      {.key = "mmap",
       .member = &S::mmap,
       .flags = {"--mmap"},
       .help = "Map the file while it is loaded; without, it is read piece by piece",
       .other_keys = {"use_mmap"}},
      {.key = "huge_pages",
       .member = &S::huge_pages,
       .flags = {"--huge-pages"},
       .help = "Put weights, keys and values on pages of 2 MiB, where the kernel lets us"},
  };
}

std::vector<Setting> ServerRows() {
  return {
      {.key = "host",
       .group = Group::kServer,
       .member = &S::host,
       .flags = {"--host"},
       .help = "The address to listen on; 0.0.0.0 or :: for every one",
       .value_name = "ADDRESS"},
      {.key = "port",
       .group = Group::kServer,
       .member = &S::port,
       .flags = {"--port"},
       .help = "The port to listen on; 0: any free one",
       .value_name = "N",
       .least = 0,
       .most = 65535},
      {.key = "max_requests",
       .member = &S::max_requests,
       .flags = {"--max-requests"},
       .help = "Answers that may wait or run at once; whoever comes then is refused with 503 and Retry-After",
       .value_name = "N",
       .least = 1,
       .most = 65536},
      {.key = "slo_seconds",
       .member = &S::slo_seconds,
       .flags = {"--slo-seconds"},
       .help =
           "Deadline of requests that name none (deadline_ms, or the header x-deadline-ms): what is predicted to be "
           "late is refused at once, what is late is ended; 0: none",
       .value_name = "N",
       .least = 0,
       .most = 86400},
      {.key = "drain_seconds",
       .group = Group::kServer,
       .member = &S::drain_seconds,
       .flags = {"--drain-seconds"},
       .help = "How long running requests may finish after SIGTERM or Ctrl-C",
       .value_name = "N",
       .least = 0,
       .most = 86400},
      {.key = "stuck_seconds",
       .group = Group::kServer,
       .member = &S::stuck_seconds,
       .flags = {"--stuck-seconds"},
       .help = "With work waiting and no step for so long, /livez fails and systemd's watchdog is no longer fed",
       .value_name = "N",
       .least = 1,
       .most = 86400},
      {.key = "tls_cert",
       .group = Group::kServer,
       .member = &S::tls_cert,
       .flags = {"--tls-cert", "--ssl-cert-file"},
       .help = "Speak HTTPS with this certificate (PEM, with its chain); needs tls_key",
       .value_name = "FILE",
       .other_keys = {"ssl_cert_file"}},
      {.key = "tls_key",
       .group = Group::kServer,
       .member = &S::tls_key,
       .flags = {"--tls-key", "--ssl-key-file"},
       .help = "The certificate's private key (PEM, not encrypted)",
       .value_name = "FILE",
       .other_keys = {"ssl_key_file"}},
  };
}

std::vector<Setting> AccessRows() {
  return {
      {.key = "api_key",
       .group = Group::kAccess,
       .member = &S::api_key,
       .flags = {"--api-key"},
       .help = "A key that clients must send; several with commas or by repeating the flag",
       .value_name = "KEY",
       .secret = true},
      {.key = "api_key_file",
       .group = Group::kAccess,
       .member = &S::api_key_file,
       .flags = {"--api-key-file"},
       .help = "A file of keys, one a line, which count beside those of api_key; # begins a comment",
       .value_name = "FILE"},
      {.key = "cors_origin",
       .group = Group::kAccess,
       .member = &S::cors_origin,
       .flags = {"--cors-origin"},
       .help = "A web page's origin (https://host) whose scripts may call this server, or *; several as with api_key",
       .value_name = "ORIGIN"},
  };
}

std::vector<Setting> LogRows() {
  return {
      {.key = "log_level",
       .group = Group::kLog,
       .member = &S::log_level,
       .flags = {"--log-level"},
       .help = "The least serious lines to show",
       .value_name = "LEVEL",
       .choices = {"debug", "info", "warning", "error"}},
      {.key = "log_format",
       .group = Group::kLog,
       .member = &S::log_format,
       .flags = {"--log-format"},
       .help = "Lines for people, or one JSON object a line",
       .value_name = "FORMAT",
       .choices = {"human", "json"}},
      {.key = "log_prompts",
       .group = Group::kLog,
       .member = &S::log_prompts,
       .flags = {"--log-prompts"},
       .help = "Log what clients ask; without, no text of theirs is logged"},
      {.key = "verbose",
       .group = Group::kLog,
       .member = &S::verbose,
       .flags = {"-v", "--verbose"},
       .help = "The same as log_level debug"},
      {.key = "config",
       .group = Group::kFile,
       .member = &S::config,
       .flags = {"--config"},
       .help = "A TOML file with settings by their keys (--print-config writes one)",
       .value_name = "FILE",
       .in_file = false},
      {.key = "profile",
       .group = Group::kFile,
       .member = &S::profile,
       .flags = {"--profile"},
       .help = "What `tenfold tune` has found for this machine and model: auto (~/.config/tenfold/profiles, if it is "
               "there), "
               "none, or a file. It sets only what nothing else has set, and one for another machine or model is left "
               "alone",
       .value_name = "WHERE"},
  };
}

std::vector<Setting> AllRows() {
  std::vector<Setting> rows = ModelRows();
  for (Setting& row : ComputeRows()) {
    row.group = Group::kCompute;
    rows.push_back(std::move(row));
  }
  for (const auto& more : {ServerRows(), AccessRows(), LimitRows(), LogRows()})
    rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

bool Contains(const std::vector<std::string_view>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::string_view TitleOf(Group group) {
  switch (group) {
    case Group::kModel:
      return "Model";
    case Group::kCompute:
      return "Compute";
    case Group::kServer:
      return "Server";
    case Group::kAccess:
      return "Access";
    case Group::kLimits:
      return "Limits";
    case Group::kLog:
      return "Log";
    case Group::kFile:
      return "Settings from a file";
  }
  return "";
}

std::span<const Setting> Table() {
  static const std::vector<Setting> rows = AllRows();
  return rows;
}

std::string EnvironmentName(std::string_view key) {
  std::string name = "TENFOLD_";
  for (const char c : key) name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return name;
}

const Setting* FindKey(std::string_view key) {
  for (const Setting& row : Table()) {
    if (row.key == key || Contains(row.other_keys, key)) return &row;
  }
  return nullptr;
}

std::optional<FlagMatch> FindFlag(std::string_view flag) {
  constexpr std::string_view kNo = "--no-";
  for (const Setting& row : Table()) {
    if (Contains(row.flags, flag)) return FlagMatch{&row, true};
    if (IsSwitch(row) && flag.starts_with(kNo)) {
      const std::string positive = "--" + std::string(flag.substr(kNo.size()));
      if (Contains(row.flags, positive)) return FlagMatch{&row, false};
    }
  }
  return std::nullopt;
}

std::vector<std::string> AllFlags() {
  std::vector<std::string> flags;
  for (const Setting& row : Table()) {
    for (const std::string_view flag : row.flags) {
      flags.emplace_back(flag);
      if (IsSwitch(row) && flag.starts_with("--")) flags.push_back("--no-" + std::string(flag.substr(2)));
    }
  }
  return flags;
}

bool IsSwitch(const Setting& setting) { return std::holds_alternative<bool S::*>(setting.member); }
bool IsNumber(const Setting& setting) { return std::holds_alternative<int64_t S::*>(setting.member); }
bool IsList(const Setting& setting) { return std::holds_alternative<std::vector<std::string> S::*>(setting.member); }

std::string AllowedValues(const Setting& setting) {
  if (IsSwitch(setting)) return "true or false";
  if (setting.bytes) return "a number of bytes up to 16T, with K, M, G or T for powers of 1024";
  if (IsNumber(setting)) return fmt::format("{} to {}", setting.least, setting.most);
  if (const size_t n = setting.choices.size(); n > 0) {
    return fmt::format("{} or {}", fmt::join(setting.choices.begin(), setting.choices.end() - 1, ", "),
                       setting.choices.back());
  }
  return IsList(setting) ? "texts" : "text";
}

std::string ValueText(const Settings& settings, const Setting& setting) {
  if (const auto* text = std::get_if<std::string S::*>(&setting.member)) return settings.*(*text);
  if (const auto* number = std::get_if<int64_t S::*>(&setting.member)) return fmt::format("{}", settings.*(*number));
  if (const auto* on = std::get_if<bool S::*>(&setting.member)) return settings.*(*on) ? "true" : "false";
  return fmt::format("{}", fmt::join(settings.*std::get<std::vector<std::string> S::*>(setting.member), ","));
}

}  // namespace tenfold::config
