#include "bench/roofline_report.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>

namespace tenfold::bench {
namespace {

// What a loop reaches of the nearest whole rate: CPUs start one or two of these instructions a cycle.
std::string OfWhole(double per_cycle) {
  const double whole = per_cycle < 1.4 ? 1 : 2;
  return fmt::format("{:3.0f} % of {:.0f}", 100 * per_cycle / whole, whole);
}

std::string_view NameOf(kernels::PeakKind kind) {
  switch (kind) {
    case kernels::PeakKind::kInteger:
      return "integer";
    case kernels::PeakKind::kInt16:
      return "int16";
    case kernels::PeakKind::kFloat:
      return "float";
  }
  return "unknown";
}

std::string How(int streams, size_t prefetch_bytes) {
  if (streams == 0) return "not measured: the threads never ran at the same time";
  const std::string ahead =
      prefetch_bytes == 0 ? "no prefetch" : fmt::format("prefetch {} bytes ahead", prefetch_bytes);
  return fmt::format("{} streams a thread, {}", streams, ahead);
}

}  // namespace

boost::json::object ToJson(const Roofline& r) {
  boost::json::array peaks;
  for (const Peak& peak : r.peaks) {
    peaks.push_back({{"isa", kernels::NameOf(peak.isa)},
                     {"loop", peak.loop.name},
                     {"type", NameOf(peak.loop.kind)},
                     {"gmacs", peak.macs_per_s * 1e-9},
                     {"clock_ghz", peak.clock_hz * 1e-9},
                     {"instructions_per_cycle", peak.instructions_per_cycle()},
                     {"macs_per_cycle", peak.macs_per_cycle()},
                     {"all_gmacs", peak.all_macs_per_s * 1e-9}});
  }
  return {{"kind", "roofline"},
          {"threads", r.threads},
          {"clock_ghz", r.clock_hz * 1e-9},
          {"buffer_bytes", r.buffer_bytes},
          {"huge_pages", r.huge_pages},
          {"read_gb_s", r.read.one_thread * 1e-9},
          {"all_read_gb_s", r.read.all_threads * 1e-9},
          {"all_streams", r.read.all_streams},
          {"all_prefetch_bytes", r.read.all_prefetch_bytes},
          {"peaks", std::move(peaks)}};
}

std::string Format(const Roofline& r) {
  std::string out = fmt::format("highest clock {:.3f} GHz; reading {} MiB{}\n", r.clock_hz * 1e-9, r.buffer_bytes >> 20,
                                r.huge_pages ? " on huge pages" : "");
  out += fmt::format("{:<34}{:>9.1f} GB/s  {}\n", "memory, 1 thread", r.read.one_thread * 1e-9,
                     How(r.read.one_streams, r.read.one_prefetch_bytes));
  out += fmt::format("{:<34}{:>9.1f} GB/s  {}\n", fmt::format("memory, {} threads", r.threads),
                     r.read.all_threads * 1e-9, How(r.read.all_streams, r.read.all_prefetch_bytes));
  out += fmt::format("{:<34}{:>9} {:>9} {:>10} {:>12} {:>11} {:>9}\n", "", "GMAC/s", "clock GHz", "MAC/cycle",
                     "instr/cycle", "", fmt::format("x{} GMAC/s", r.threads));
  for (const Peak& peak : r.peaks) {
    out += fmt::format("{:<34}{:>9.1f} {:>9.3f} {:>10.1f} {:>12.2f} {:>11} {:>9.1f}\n",
                       fmt::format("{:<11}{}", kernels::NameOf(peak.isa), peak.loop.name), peak.macs_per_s * 1e-9,
                       peak.clock_hz * 1e-9, peak.macs_per_cycle(), peak.instructions_per_cycle(),
                       OfWhole(peak.instructions_per_cycle()), peak.all_macs_per_s * 1e-9);
  }
  return out;
}

}  // namespace tenfold::bench
