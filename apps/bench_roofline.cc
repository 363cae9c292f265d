// `tenfold bench roofline`: parses the flags, runs src/bench/roofline.h round by round, prints the best of all rounds.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "apps/measuring.h"
#include "apps/subcommands.h"
#include "base/clock.h"
#include "bench/manifest.h"
#include "bench/roofline.h"
#include "bench/roofline_report.h"
#include "platform/cpu.h"

namespace tenfold::apps {
namespace {

struct Flags {
  double seconds = 5;
  int threads = 0;
  std::string json_path;
};

Status Run(const Flags& flags) {
  StopOnInterrupt();
  platform::ThreadPool pool(flags.threads > 0 ? flags.threads : platform::DetectCpuBudget().threads, {});
  TENFOLD_TRY(JsonLines json, JsonLines::Open("--json", flags.json_path));
  const bench::Manifest manifest = bench::MakeManifest("bench roofline", pool.threads());
  fmt::print("{}", bench::Format(manifest));
  json.Write(bench::ToJson(manifest));
  TENFOLD_TRY(bench::RooflineMeter meter, bench::RooflineMeter::Create(pool, kernels::SupportedIsas()));
  const int64_t deadline = NowUs() + static_cast<int64_t>(flags.seconds * 1e6);
  do {
    meter.Measure();
  } while (NowUs() < deadline && !Interrupted());
  fmt::print("{}", bench::Format(meter.best()));
  json.Write(bench::ToJson(meter.best()));
  return json.Close();
}

}  // namespace

void RegisterBenchRoofline(CLI::App& bench, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = bench.add_subcommand("roofline", "What this machine can do at most: memory and arithmetic");
  command->add_option("--seconds", flags->seconds, "How long to look for quiet moments; the best of all is printed")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  command->add_option("-t,--threads", flags->threads, "Threads; 0: what the CPU quota and cores allow")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command->add_option("--json", flags->json_path, "File for JSON lines: the conditions, then the figures")
      ->type_name("FILE");
  command->callback([flags, exit_code] {
    const Status done = Run(*flags);
    if (!done.ok()) fmt::print(stderr, "tenfold bench roofline: {}\n", done.error().message);
    *exit_code = done.ok() ? 0 : 1;
  });
}

}  // namespace tenfold::apps
