#include "inspect/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <iterator>

#include "kernels/attention.h"

namespace tenfold::inspect {
namespace {

namespace json = boost::json;

std::string Bytes(uint64_t bytes) {
  const auto b = static_cast<double>(bytes);
  if (bytes >= (uint64_t{1} << 30)) return fmt::format("{:.2f} GiB", b / (1 << 30));
  if (bytes >= (uint64_t{1} << 20)) return fmt::format("{:.1f} MiB", b / (1 << 20));
  return fmt::format("{:.1f} KiB", b / 1024);
}

std::string Count(uint64_t n) {
  const auto d = static_cast<double>(n);
  if (n >= 1'000'000'000) return fmt::format("{:.2f} billion", d / 1e9);
  if (n >= 1'000'000) return fmt::format("{:.1f} million", d / 1e6);
  return fmt::format("{}", n);
}

std::string OrUnknown(const std::string& text) { return text.empty() ? "unknown" : text; }

// (name, text) as one aligned line.
void Line(std::string& out, std::string_view name, std::string_view text) {
  fmt::format_to(std::back_inserter(out), "{:<16} {}\n", name, text);
}

void FileLines(std::string& out, const Inspection& i) {
  Line(out, "file",
       i.parts > 1 ? fmt::format("{} and {} more parts, {}", i.path, i.parts - 1, Bytes(i.file_bytes))
                   : fmt::format("{}, {}", i.path, Bytes(i.file_bytes)));
  Line(out, "model",
       fmt::format("{}, architecture {}", i.name.empty() ? "without a name" : i.name, OrUnknown(i.architecture)));
  Line(out, "parameters", Count(i.parameters));
  for (const TypeUse& use : i.types) {
    std::string kernels = use.computable ? use.direct_kernel : "not computable";
    if (!use.panel_kernel.empty()) {
      kernels += fmt::format("; {} from {} tokens on", use.panel_kernel, use.panel_min_tokens);
    }
    const std::string grown = use.computable ? fmt::format("{} in memory", Bytes(use.memory_bytes)) : "";
    Line(out, "  " + use.type,
         fmt::format("{:>5} tensors {:>11} {:>21}  {}", use.tensors, Bytes(use.file_bytes), grown, kernels));
  }
  Line(out, "tokenizer",
       fmt::format("{}{}, {} tokens", OrUnknown(i.tokenizer_model),
                   i.tokenizer_pre.empty() ? "" : " (" + i.tokenizer_pre + ")", i.vocabulary));
  Line(out, "context length", i.context_length ? fmt::format("{} tokens", *i.context_length) : "unknown");
  Line(out, "chat template",
       i.has_chat_template ? fmt::format("yes; tool calls: {}", i.tool_format) : "none in the file");
}

void MachineLines(std::string& out, const Machine& m) {
  Line(out, "processor",
       fmt::format("{}, {} threads of {} cores, instruction set {}", OrUnknown(m.cpu), m.cpus.threads,
                   m.cpus.physical_cores, kernels::NameOf(m.isa)));
  Line(out, "free memory", m.available_bytes > 0 ? Bytes(m.available_bytes) : "unknown");
  Line(out, "huge pages", m.huge_pages ? "would be used" : "the kernel's setting forbids them");
}

std::string LockText(const Inspection& i, const Machine& m) {
  if (m.lock.unlimited || (i.weight_bytes && *i.weight_bytes <= m.lock.room_bytes)) return "possible";
  return fmt::format("only {}: raise the limit with `ulimit -l` or LimitMEMLOCK=infinity", Bytes(m.lock.room_bytes));
}

void FitLines(std::string& out, const Inspection& i, const Machine& m) {
  if (!i.weight_bytes || !i.kv_bytes_per_token) return;
  Line(out, "weights", fmt::format("{} in memory", Bytes(*i.weight_bytes)));
  Line(out, "keys and values",
       fmt::format("{} a token, as {} and {}", Bytes(*i.kv_bytes_per_token), kernels::NameOf(m.kv_format.k),
                   kernels::NameOf(m.kv_format.v)));
  Line(out, "--mlock", LockText(i, m));
  if (i.fits.empty()) {
    Line(out, "fits", "unknown: the free memory cannot be read");
    return;
  }
  const bool any = std::any_of(i.fits.begin(), i.fits.end(), [](const Fit& fit) { return fit.users > 0; });
  if (!any) {
    Line(out, "fits",
         fmt::format("no: {} of weights and {} of free memory", Bytes(*i.weight_bytes), Bytes(m.available_bytes)));
    return;
  }
  Line(out, "fits", "yes; users who can fill a context at the same time:");
  fmt::format_to(std::back_inserter(out), "{:>16} {:>14} {:>8}\n", "context", "memory each", "users");
  for (const Fit& fit : i.fits) {
    fmt::format_to(std::back_inserter(out), "{:>16} {:>14} {:>8}\n", fit.context, Bytes(fit.bytes_per_user),
                   fit.users > 0 ? fmt::format("{}", fit.users) : "-");
  }
}

template <class T>
json::value OrNull(const std::optional<T>& value) {
  return value ? json::value(*value) : json::value(nullptr);
}

json::array TypesJson(const Inspection& i) {
  json::array types;
  for (const TypeUse& use : i.types) {
    types.push_back({{"type", use.type},
                     {"tensors", use.tensors},
                     {"elements", use.elements},
                     {"file_bytes", use.file_bytes},
                     {"memory_bytes", use.memory_bytes},
                     {"computable", use.computable},
                     {"direct_kernel", use.direct_kernel},
                     {"panel_kernel", use.panel_kernel},
                     {"panel_min_tokens", use.panel_min_tokens}});
  }
  return types;
}

json::array FitsJson(const Inspection& i) {
  json::array fits;
  for (const Fit& fit : i.fits) {
    fits.push_back({{"context", fit.context}, {"bytes_per_user", fit.bytes_per_user}, {"users", fit.users}});
  }
  return fits;
}

}  // namespace

std::string ToText(const Inspection& inspection, const Machine& machine) {
  std::string out;
  FileLines(out, inspection);
  MachineLines(out, machine);
  FitLines(out, inspection, machine);
  for (const std::string& sentence : inspection.unsupported) Line(out, "unsupported", sentence);
  return out;
}

std::string ToJson(const Inspection& i, const Machine& m) {
  json::array unsupported;
  for (const std::string& sentence : i.unsupported) unsupported.emplace_back(sentence);
  const json::object out = {
      {"path", i.path},
      {"parts", i.parts},
      {"file_bytes", i.file_bytes},
      {"architecture", i.architecture},
      {"name", i.name},
      {"parameters", i.parameters},
      {"types", TypesJson(i)},
      {"tokenizer", {{"model", i.tokenizer_model}, {"pre", i.tokenizer_pre}, {"tokens", i.vocabulary}}},
      {"context_length", OrNull(i.context_length)},
      {"chat_template", i.has_chat_template},
      {"tool_format", i.tool_format},
      {"weight_bytes", OrNull(i.weight_bytes)},
      {"kv_bytes_per_token", OrNull(i.kv_bytes_per_token)},
      {"fits", FitsJson(i)},
      {"machine",
       {{"cpu", m.cpu},
        {"isa", kernels::NameOf(m.isa)},
        {"threads", m.cpus.threads},
        {"physical_cores", m.cpus.physical_cores},
        {"available_bytes", m.available_bytes},
        {"huge_pages", m.huge_pages},
        {"mlock_unlimited", m.lock.unlimited},
        {"mlock_room_bytes", m.lock.room_bytes}}},
      {"unsupported", unsupported}};
  return json::serialize(out) + "\n";
}

}  // namespace tenfold::inspect
