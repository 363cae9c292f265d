// The subcommands of `tenfold`: each file in this folder registers its own; it parses and wires only.
//
// Each function adds a subcommand to `app` whose callback runs it and leaves the program's exit code in *exit_code:
// 0 done, 1 the world did not let us, 2 wrong usage (which is also what main gives for CLI11's own errors).
#pragma once

#include <CLI/CLI.hpp>
#include <span>
#include <string>

namespace tenfold::apps {

void RegisterBench(CLI::App& app, int* exit_code);   // tenfold bench (bench.cc)
void RegisterDoctor(CLI::App& app, int* exit_code);  // tenfold doctor (doctor.cc)
// Its exit code when nothing was looked at, because a flag is wrong: 0 to 2 say what was found.
inline constexpr int kDoctorUnasked = 3;
void RegisterInspect(CLI::App& app, int* exit_code);  // tenfold inspect FILE (inspect.cc)
void RegisterReport(CLI::App& app, int* exit_code);   // tenfold report RESULTS... (report.cc)
void RegisterGate(CLI::App& app, int* exit_code);     // tenfold gate RESULTS (gate.cc)
// Its exit code when nothing was decided: 0 to 3 are verdicts, so that 2 cannot mean wrong usage there.
inline constexpr int kGateUndecided = 4;

// Below `tenfold bench`, as above.
void RegisterBenchLoad(CLI::App& bench, int* exit_code);      // tenfold bench load URL (bench_load.cc)
void RegisterBenchEngine(CLI::App& bench, int* exit_code);    // tenfold bench engine -m MODEL (bench_engine.cc)
void RegisterBenchRoofline(CLI::App& bench, int* exit_code);  // tenfold bench roofline (bench_roofline.cc)

// `tenfold serve`, whose flags come from the table of settings (config/table.h) and not from CLI11, which cannot read
// llama-server's long names behind a single dash (-np, -ngl). `arguments`: what follows "serve". Returns the exit code.
int RunServe(std::span<const std::string> arguments);

// `tenfold tune` (tune.cc), which takes the flags of serve beside its own, and is parsed by itself for the same reason.
int RunTune(std::span<const std::string> arguments);

}  // namespace tenfold::apps
