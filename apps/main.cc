// tenfold: a GGUF model behind an OpenAI-compatible server on the CPU.
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "apps/subcommands.h"
#include "platform/topology.h"
#include "server/status_json.h"

int main(int argc, char** argv) {
  tenfold::platform::KeepTopologyPluginsOut();
  CLI::App app{"tenfold serves a GGUF model to OpenAI clients, on the CPU.", "tenfold"};
  app.set_version_flag("--version", std::string("tenfold ") + std::string(tenfold::server::kVersion));
  app.require_subcommand(0, 1);
  if (argc > 1 && std::strcmp(argv[1], "serve") == 0) {
    return tenfold::apps::RunServe(std::vector<std::string>(argv + 2, argv + argc));
  }
  if (argc > 1 && std::strcmp(argv[1], "tune") == 0) {
    return tenfold::apps::RunTune(std::vector<std::string>(argv + 2, argv + argc));
  }
  int exit_code = 0;
  app.add_subcommand("serve", "Serve a model: answers at once, loads behind");               // for --help; run above
  app.add_subcommand("tune", "Measure which settings are fastest here, for serve to find");  // likewise
  tenfold::apps::RegisterInspect(app, &exit_code);
  tenfold::apps::RegisterDoctor(app, &exit_code);
  tenfold::apps::RegisterBench(app, &exit_code);
  tenfold::apps::RegisterReport(app, &exit_code);
  tenfold::apps::RegisterGate(app, &exit_code);
  if (argc == 1) {
    std::fputs(app.help().c_str(), stdout);
    return 0;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    std::fprintf(stderr, "tenfold: %s\nRun 'tenfold --help' for what there is.\n", e.what());
    if (std::strcmp(argv[1], "doctor") == 0) return tenfold::apps::kDoctorUnasked;
    return std::strcmp(argv[1], "gate") == 0 ? tenfold::apps::kGateUndecided : 2;
  }
  return exit_code;
}
