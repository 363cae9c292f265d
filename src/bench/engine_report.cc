#include "bench/engine_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>

#include "kernels/isa.h"
#include "stats/summary.h"

namespace tenfold::bench {
namespace {

constexpr double kGiga = 1e-9;

double Part(double amount, double whole) { return whole > 0 ? amount / whole : 0; }

kernels::Isa IsaOf(const EngineResult& result) { return kernels::IsaFromName(result.isa).value(); }

double IntegerPeak(const EngineResult& result) {
  return result.roofline.AllMacsPerS(IsaOf(result), kernels::PeakKind::kInteger);
}

// One line of a profile. Times are of one step.
struct PhaseLine {
  std::string name;
  double ms = 0;
  double serial_ms = 0;
  double waiting_ms = 0;  // thread time
  Work work{};            // of all steps
  double seconds = 0;     // of all steps
};

std::vector<PhaseLine> PhaseLines(const CaseResult& c) {
  const CaseProfile& profile = *c.profile;
  const double per_step_ms = 1e3 / static_cast<double>(c.steps);
  std::vector<PhaseLine> lines;
  double rest = profile.seconds - profile.draw_seconds;
  for (int i = 0; i < static_cast<int>(model::Phase::kCount); ++i) {
    const auto phase = static_cast<model::Phase>(i);
    const model::PhaseTime& time = profile.phases[phase];
    const double seconds = static_cast<double>(time.wall_ns) * 1e-9;
    rest -= seconds;
    lines.push_back({.name = std::string(model::NameOf(phase)),
                     .ms = seconds * per_step_ms,
                     .serial_ms = static_cast<double>(time.serial_ns) * 1e-9 * per_step_ms,
                     .waiting_ms = static_cast<double>(time.WaitingNs(profile.phases.threads())) * 1e-9 * per_step_ms,
                     .work = c.work[static_cast<size_t>(i)],
                     .seconds = seconds});
  }
  if (c.c.kind == CaseKind::kDecode) {
    lines.push_back({.name = "draw", .ms = profile.draw_seconds * per_step_ms, .seconds = profile.draw_seconds});
  }
  lines.push_back({.name = "rest", .ms = rest * per_step_ms, .seconds = rest});
  return lines;
}

boost::json::object PhaseToJson(const EngineResult& result, const CaseResult& c, const PhaseLine& line) {
  const RoofSeconds roof = RoofOf(line.work, result.roofline, IsaOf(result));
  return {{"kind", "phase"},
          {"case", NameOf(c.c)},
          {"phase", line.name},
          {"ms", line.ms},
          {"serial_ms", line.serial_ms},
          {"waiting_thread_ms", line.waiting_ms},
          {"gb_s", Part(line.work.bytes, line.seconds) * kGiga},
          {"gmacs", Part(line.work.AllMacs(), line.seconds) * kGiga},
          {"of_roof", Part(roof.Longer(), line.seconds)}};
}

boost::json::object CaseToJson(const EngineResult& result, const CaseResult& c) {
  boost::json::object json = {{"kind", "case"},
                              {"case", NameOf(c.c)},
                              {"type", c.c.kind == CaseKind::kPrefill ? "prefill" : "decode"},
                              {"count", c.c.count},
                              {"context", c.c.context}};
  if (!c.skipped.empty()) {
    json["skipped"] = c.skipped;
    return json;
  }
  if (c.samples.empty()) return json;
  const CaseSummary s = Summarise(result, c);
  const Work work = Sum(c.work);
  json["samples"] = c.samples.size();
  json["median_s"] = s.median_s;
  json["min_s"] = s.min_s;
  json["max_s"] = s.max_s;
  json["cores"] = s.cores;
  json["tokens_per_s"] = s.tokens_per_s;
  json["bytes"] = work.bytes / static_cast<double>(c.steps);
  json["integer_macs"] = work.integer_macs / static_cast<double>(c.steps);
  json["int16_macs"] = work.int16_macs / static_cast<double>(c.steps);
  json["float_macs"] = work.float_macs / static_cast<double>(c.steps);
  json["gb_s"] = s.bytes_per_s * kGiga;
  json["integer_gmacs"] = s.integer_macs_per_s * kGiga;
  json["of_bandwidth"] = s.of_bandwidth;
  json["of_integer_peak"] = s.of_integer_peak;
  json["of_roof"] = s.of_roof;
  json["roof"] = s.memory_bound ? "memory" : "arithmetic";
  return json;
}

std::string FormatLoads(const EngineResult& result) {
  std::vector<double> seconds;
  for (const LoadTime& load : result.loads) seconds.push_back(load.seconds);
  std::string out = fmt::format("load {:.3f} s", stats::Median(seconds));
  if (seconds.size() > 1) {
    out += fmt::format(" (median of {}, {:.3f} to {:.3f})", seconds.size(), stats::Percentile(seconds, 0),
                       stats::Percentile(seconds, 100));
  }
  out += ":";
  for (const LoadStage& stage : result.loads.back().stages) out += fmt::format(" {} {:.3f}", stage.name, stage.seconds);
  return out + "\n";
}

std::string FormatCase(const EngineResult& result, const CaseResult& c) {
  if (!c.skipped.empty()) return fmt::format("{:<22} skipped: {}\n", NameOf(c.c), c.skipped);
  if (c.samples.empty()) return fmt::format("{:<22} not reached\n", NameOf(c.c));
  const CaseSummary s = Summarise(result, c);
  return fmt::format(
      "{:<22}{:>10.1f}{:>10.1f}{:>10.1f}{:>9.2f}{:>8.2f}{:>7.1f}{:>6.0f}%{:>8.0f}{:>6.0f}%{:>6.0f}% {}\n", NameOf(c.c),
      s.median_s * 1e3, s.min_s * 1e3, s.max_s * 1e3, s.tokens_per_s, s.cores, s.bytes_per_s * kGiga,
      100 * s.of_bandwidth, s.integer_macs_per_s * kGiga, 100 * s.of_integer_peak, 100 * s.of_roof,
      s.memory_bound ? "memory" : "arithmetic");
}

std::string FormatProfile(const EngineResult& result, const CaseResult& c) {
  const std::vector<PhaseLine> lines = PhaseLines(c);
  double total_ms = 0;
  for (const PhaseLine& line : lines) total_ms += line.ms;
  std::string out = fmt::format(
      "\n{}: {:.2f} ms a step (the fastest run of {} steps)\n{:<16}{:>9}{:>7}{:>9}{:>10}{:>8}"
      "{:>9}{:>7}\n",
      NameOf(c.c), total_ms, c.steps, "phase", "ms", "part", "serial", "waiting", "GB/s", "GMAC/s", "roof");
  for (const PhaseLine& line : lines) {
    const RoofSeconds roof = RoofOf(line.work, result.roofline, IsaOf(result));
    out += fmt::format("{:<16}{:>9.3f}{:>6.1f}%{:>9.3f}{:>10.3f}", line.name, line.ms, 100 * Part(line.ms, total_ms),
                       line.serial_ms, line.waiting_ms);
    if (line.work.bytes > 0) {
      out += fmt::format("{:>8.1f}{:>9.1f}{:>6.0f}%", Part(line.work.bytes, line.seconds) * kGiga,
                         Part(line.work.AllMacs(), line.seconds) * kGiga, 100 * Part(roof.Longer(), line.seconds));
    }
    out += '\n';
  }
  return out;
}

}  // namespace

CaseSummary Summarise(const EngineResult& result, const CaseResult& c) {
  // A prompt is one thing however many steps it takes; a decode case is so many steps of the same kind.
  const double runs = c.c.kind == CaseKind::kPrefill ? 1 : static_cast<double>(c.steps);
  std::vector<double> seconds, cores;
  for (const Sample& sample : c.samples) {
    seconds.push_back(sample.seconds / runs);
    cores.push_back(sample.cores);
  }
  Work work = Sum(c.work);
  const RoofSeconds roof = RoofOf(work, result.roofline, IsaOf(result));
  CaseSummary s{.median_s = stats::Median(seconds),
                .min_s = stats::Percentile(seconds, 0),
                .max_s = stats::Percentile(seconds, 100),
                .cores = stats::Median(cores)};
  const double all_s = s.median_s * runs;
  s.tokens_per_s = static_cast<double>(c.c.count) / s.median_s;
  s.bytes_per_s = work.bytes / all_s;
  s.integer_macs_per_s = work.integer_macs / all_s;
  s.of_bandwidth = Part(s.bytes_per_s, result.roofline.read.all_threads);
  s.of_integer_peak = Part(s.integer_macs_per_s, IntegerPeak(result));
  s.of_roof = roof.Longer() / all_s;
  s.memory_bound = roof.memory > roof.arithmetic;
  return s;
}

boost::json::object SampleToJson(const CaseResult& c, int round) {
  const Sample& sample = c.samples.back();
  return {{"kind", "sample"}, {"case", NameOf(c.c)},       {"round", round},
          {"steps", c.steps}, {"seconds", sample.seconds}, {"cores", sample.cores}};
}

std::vector<boost::json::object> ToJson(const EngineResult& result, const EngineOptions& options) {
  std::vector<boost::json::object> out;
  out.push_back({{"kind", "engine"},
                 {"model", options.model_path},
                 {"architecture", result.architecture},
                 {"file_bytes", result.file_bytes},
                 {"weight_bytes", result.weight_bytes},
                 {"huge_pages", result.huge_pages},
                 {"isa", result.isa},
                 {"threads", result.threads},
                 {"exact", options.exact},
                 {"step_tokens", options.step_tokens},
                 {"decode_steps", options.decode_steps},
                 {"seed", options.seed},
                 {"rounds", result.rounds},
                 {"interrupted", result.interrupted}});
  for (const LoadTime& load : result.loads) {
    boost::json::object stages;
    for (const LoadStage& stage : load.stages) stages[stage.name] = stage.seconds;
    out.push_back({{"kind", "load"}, {"seconds", load.seconds}, {"stages", std::move(stages)}});
  }
  for (const CaseResult& c : result.cases) {
    out.push_back(CaseToJson(result, c));
    if (!c.profile.has_value()) continue;
    for (const PhaseLine& line : PhaseLines(c)) out.push_back(PhaseToJson(result, c, line));
  }
  return out;
}

std::string Format(const EngineResult& result, const EngineOptions& options) {
  std::string out =
      fmt::format("{}  {}, {:.2f} GiB file, {:.2f} GiB weights{}  isa {}{}  {} threads  seed {}\n", options.model_path,
                  result.architecture, static_cast<double>(result.file_bytes) / (1 << 30),
                  static_cast<double>(result.weight_bytes) / (1 << 30), result.huge_pages ? " on huge pages" : "",
                  result.isa, options.exact ? " exact" : "", result.threads, options.seed);
  out += FormatLoads(result);
  out += fmt::format("roofline of this run: memory {:.1f} GB/s, integer {:.1f} GMAC/s, int16 {:.1f}, float {:.1f}\n",
                     result.roofline.read.all_threads * kGiga, IntegerPeak(result) * kGiga,
                     result.roofline.AllMacsPerS(IsaOf(result), kernels::PeakKind::kInt16) * kGiga,
                     result.roofline.AllMacsPerS(IsaOf(result), kernels::PeakKind::kFloat) * kGiga);
  out += fmt::format("{} of {} rounds{}; ms of a whole prompt, or of one decode step with its draws\n", result.rounds,
                     options.rounds, result.interrupted ? " (interrupted)" : "");
  out += fmt::format("{:<22}{:>10}{:>10}{:>10}{:>9}{:>8}{:>7}{:>7}{:>8}{:>7}{:>7}\n", "", "median ms", "min", "max",
                     "tok/s", "cores", "GB/s", "of mem", "GMAC/s", "of int", "roof");
  for (const CaseResult& c : result.cases) out += FormatCase(result, c);
  for (const CaseResult& c : result.cases) {
    if (c.profile.has_value()) out += FormatProfile(result, c);
  }
  return out;
}

}  // namespace tenfold::bench
