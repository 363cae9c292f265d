// `tenfold bench engine -m MODEL`: parses the flags, runs src/bench/engine_run.h, prints what it found.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "apps/measuring.h"
#include "apps/subcommands.h"
#include "bench/engine_report.h"
#include "bench/engine_run.h"
#include "bench/manifest.h"
#include "bench/roofline_report.h"
#include "kernels/attention.h"
#include "kernels/isa.h"
#include "platform/placement.h"

namespace tenfold::apps {
namespace {

struct Flags {
  bench::EngineOptions engine;
  std::vector<int64_t> prefill = {16, 64, 128, 256, 512, 1024, 2048};
  std::vector<int64_t> decode = {1, 2, 4, 8, 10, 16, 32};
  std::vector<int64_t> context = {0, 1024, 4096};
  std::string cpu_affinity = "none";
  std::string cache_type_k = "f16";
  std::string cache_type_v = "f16";
  double kv_gib = 0;
  std::string json_path;
};

Status Run(Flags& flags) {
  bench::EngineOptions& options = flags.engine;
  for (const int64_t n : flags.prefill) {
    if (n > 0) options.cases.push_back({bench::CaseKind::kPrefill, n, 0});
  }
  for (const int64_t context : flags.context) {
    for (const int64_t n : flags.decode) {
      if (n > 0) options.cases.push_back({bench::CaseKind::kDecode, n, context});
    }
  }
  options.kv_format = {*kernels::KvTypeFromName(flags.cache_type_k), *kernels::KvTypeFromName(flags.cache_type_v)};
  options.kv_bytes = static_cast<uint64_t>(flags.kv_gib * (1 << 30));
  TENFOLD_TRY(options.affinity, platform::ParseAffinity(flags.cpu_affinity));
  StopOnInterrupt();
  TENFOLD_TRY(JsonLines json, JsonLines::Open("--json", flags.json_path));
  TENFOLD_TRY(const platform::Placement placement, platform::PlaceThreadsHere(options.affinity, options.threads));
  const bench::Manifest manifest = bench::MakeManifest("bench engine", placement.threads);
  fmt::print("{}", bench::Format(manifest));
  std::fflush(stdout);
  json.Write(bench::ToJson(manifest));
  TENFOLD_TRY(const bench::EngineResult result,
              bench::RunEngine(options, {.stop = Interrupted, .on_sample = [&](const bench::CaseResult& c, int round) {
                                           json.Write(bench::SampleToJson(c, round));
                                         }}));
  fmt::print("{}", bench::Format(result, options));
  json.Write(bench::ToJson(result.roofline));
  for (const boost::json::object& line : bench::ToJson(result, options)) json.Write(line);
  return json.Close();
}

void AddFlags(CLI::App& command, Flags& flags) {
  const auto counts = CLI::Range(int64_t{0}, int64_t{1} << 24);
  command.add_option("-m,--model", flags.engine.model_path, "The GGUF file to measure")->type_name("FILE")->required();
  command.add_option("--prefill", flags.prefill, "Prompt lengths, separated by commas; 0: none")
      ->delimiter(',')
      ->check(counts)
      ->capture_default_str();
  command.add_option("--decode", flags.decode, "Sequences in a decode step, separated by commas; 0: none")
      ->delimiter(',')
      ->check(counts)
      ->capture_default_str();
  command
      .add_option("--context", flags.context, "Tokens that sequences have before a decode step, separated by commas")
      ->delimiter(',')
      ->check(counts)
      ->capture_default_str();
  command.add_option("--rounds", flags.engine.rounds, "Times every case is run, in turns")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command.add_option("--decode-steps", flags.engine.decode_steps, "Steps in one run of a decode case")
      ->check(CLI::Range(int64_t{1}, int64_t{100'000}))
      ->capture_default_str();
  command.add_option("--loads", flags.engine.loads, "Times the model is loaded")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("-t,--threads", flags.engine.threads, "Compute threads; 0: what the CPU quota and cores allow")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command.add_option("--cpu-affinity", flags.cpu_affinity, "CPUs of the threads, as `serve` takes them")
      ->type_name("WHERE")
      ->capture_default_str();
  command.add_option("-b,--batch-size", flags.engine.step_tokens, "Tokens of a prompt computed in one step")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}))
      ->capture_default_str();
  std::vector<std::string> isas;
  for (const kernels::Isa isa : kernels::SupportedIsas()) isas.emplace_back(kernels::NameOf(isa));
  command.add_option("--isa", flags.engine.isa, "Instruction set; the widest by default")->check(CLI::IsMember(isas));
  command.add_option("--kv-gib", flags.kv_gib, "Memory for keys and values; 0: half of what is left")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  const auto types = CLI::IsMember(std::vector<std::string>{"f16", "q8_0"});
  command.add_option("--cache-type-k", flags.cache_type_k, "What keys are stored as")
      ->check(types)
      ->capture_default_str();
  command.add_option("--cache-type-v", flags.cache_type_v, "What values are stored as")
      ->check(types)
      ->capture_default_str();
  command.add_option("--seed", flags.engine.seed, "Of the token ids and the draws")->capture_default_str();
  command.add_flag("--exact", flags.engine.exact, "Measure what `serve --exact` runs");
  command.add_flag("--profile", flags.engine.profile, "Also say where a step's time goes, phase by phase");
  command.add_option("--json", flags.json_path, "File for JSON lines: conditions, every sample, every figure")
      ->type_name("FILE");
}

}  // namespace

void RegisterBenchEngine(CLI::App& bench, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = bench.add_subcommand("engine", "The engine below HTTP: prompts, decode steps, loading");
  AddFlags(*command, *flags);
  command->callback([flags, exit_code] {
    const Status done = Run(*flags);
    if (!done.ok()) fmt::print(stderr, "tenfold bench engine: {}\n", done.error().message);
    *exit_code = done.ok() ? 0 : 1;
  });
}

}  // namespace tenfold::apps
