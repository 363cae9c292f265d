// tenfold: a GGUF model behind an OpenAI-compatible server on the CPU.
#include <cstdio>
#include <cstring>

#include "apps/subcommands.h"
#include "server/status_json.h"

int main(int argc, char** argv) {
  CLI::App app{"tenfold serves a GGUF model to OpenAI clients, on the CPU.", "tenfold"};
  app.set_version_flag("--version", std::string("tenfold ") + std::string(tenfold::server::kVersion));
  app.require_subcommand(0, 1);
  int exit_code = 0;
  tenfold::apps::RegisterServe(app, &exit_code);
  tenfold::apps::RegisterBench(app, &exit_code);
  if (argc == 1) {
    std::fputs(app.help().c_str(), stdout);
    return 0;
  }
  // llama-server's users type -np; CLI11 would read that as -n p.
  static char parallel[] = "--parallel";
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "-np") == 0) argv[i] = parallel;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    std::fprintf(stderr, "tenfold: %s\nRun 'tenfold --help' for what there is.\n", e.what());
    return 2;
  }
  return exit_code;
}
