// `tenfold bench`: the measurements, each in a file of its own.
#include "apps/subcommands.h"

namespace tenfold::apps {

void RegisterBench(CLI::App& app, int* exit_code) {
  CLI::App* bench = app.add_subcommand("bench", "Measure a server, the engine or this machine");
  bench->require_subcommand(1);
  RegisterBenchLoad(*bench, exit_code);
  RegisterBenchEngine(*bench, exit_code);
  RegisterBenchRoofline(*bench, exit_code);
}

}  // namespace tenfold::apps
