// The subcommands of `tenfold`: each adds itself to the command line and, when chosen, runs and sets the exit code.
#pragma once

#include <CLI/CLI.hpp>

// tenfold bench load URL (bench_load.cc)
void AddBenchCommand(CLI::App& app, int* exit_code);
