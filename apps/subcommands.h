// The subcommands of `tenfold`: each file in this folder registers its own; it parses and wires only.
//
// Each function adds a subcommand to `app` whose callback runs it and leaves the program's exit code in *exit_code:
// 0 done, 1 the world did not let us, 2 wrong usage (which is also what main gives for CLI11's own errors).
#pragma once

#include <CLI/CLI.hpp>

namespace tenfold::apps {

void RegisterServe(CLI::App& app, int* exit_code);  // tenfold serve (serve.cc)
void RegisterBench(CLI::App& app, int* exit_code);  // tenfold bench load URL (bench_load.cc)

}  // namespace tenfold::apps
