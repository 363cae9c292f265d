// tenfold inspect FILE: what a model file is, whether it fits this machine, and what would be used.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "apps/subcommands.h"
#include "gguf/model_file.h"
#include "inspect/inspection.h"
#include "inspect/report.h"
#include "kernels/attention.h"

namespace tenfold::apps {
namespace {

struct Flags {
  std::string path;
  bool json = false;
  std::string cache_type_k = "f16";
  std::string cache_type_v = "f16";
};

// Whether tenfold can serve the file.
Result<bool> Run(const Flags& flags) {
  TENFOLD_TRY(const kernels::Isa isa, kernels::ChooseIsa(std::getenv("TENFOLD_ISA")));
  TENFOLD_TRY(const gguf::ModelFile model, gguf::ModelFile::Open(flags.path));
  const inspect::Machine machine = inspect::ThisMachine(
      isa, {*kernels::KvTypeFromName(flags.cache_type_k), *kernels::KvTypeFromName(flags.cache_type_v)});
  const inspect::Inspection inspection = inspect::Inspect(model, flags.path, machine);
  fmt::print("{}", flags.json ? inspect::ToJson(inspection, machine) : inspect::ToText(inspection, machine));
  return inspection.unsupported.empty();
}

}  // namespace

void RegisterInspect(CLI::App& app, int* exit_code) {
  CLI::App* command =
      app.add_subcommand("inspect", "Say what a model file is, whether it fits, and what would be used");
  auto flags = std::make_shared<Flags>();
  command->add_option("file", flags->path, "The GGUF file; of a split model the first part")->required();
  command->add_flag("--json", flags->json, "For machines: one JSON object");
  const auto types = CLI::IsMember(std::vector<std::string>{"f16", "q8_0"});
  command->add_option("--cache-type-k", flags->cache_type_k, "What keys would be stored as")->check(types);
  command->add_option("--cache-type-v", flags->cache_type_v, "What values would be stored as")->check(types);
  command->callback([flags, exit_code] {
    const Result<bool> served = Run(*flags);
    if (!served.ok()) {
      const std::string& message = served.error().message;  // one about opening the file has its name already
      const bool named = message.find(fmt::format("'{}'", flags->path)) != std::string::npos;
      fmt::print(stderr, "tenfold inspect: {}{}\n", named ? "" : flags->path + ": ", message);
    }
    *exit_code = served.ok() && *served ? 0 : 1;
  });
}

}  // namespace tenfold::apps
