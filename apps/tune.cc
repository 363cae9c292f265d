// `tenfold tune -m MODEL`: parses, measures this machine's servers (src/tune/), reports, and writes the profile that
// `serve` then finds. Exit code 0 when something was decided, 1 when not, 2 for wrong usage.
//
// Its own flags stand beside those of `serve`, which say what the user runs today: the start of the search.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "apps/measuring.h"
#include "apps/subcommands.h"
#include "apps/tuned_profile.h"
#include "bench/manifest.h"
#include "config/parse.h"
#include "load/prompts.h"
#include "platform/available_memory.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "server/status_json.h"
#include "tune/journal.h"
#include "tune/profile.h"
#include "tune/report.h"
#include "tune/search.h"
#include "tune/server_trials.h"

extern char** environ;

namespace tenfold::apps {
namespace {

constexpr double kReportS = 1;  // of the bound, for what comes behind the search

constexpr std::string_view kHelp =
    "Usage: tenfold tune -m FILE.gguf [flags] [settings of serve]\n"
    "Measures which settings answer the users of this machine soonest, and writes them into a profile that\n"
    "`tenfold serve -m FILE.gguf` finds. Settings of serve given here (-t 8 -b 16) are where the search starts;\n"
    "the defaults are always a candidate, and stay unless something is faster beyond noise.\n\n"
    "  --users N         Users who ask at the same moment (1 to 1000; default 10)\n"
    "  --seconds S       By when the last of them should have the answer (default 12): for the report\n"
    "  --tokens N        Tokens of an answer (2 to 4096; default 64)\n"
    "  --minutes M       Ends within this time, fractions allowed (default 20)\n"
    "  --context N       The longest prompt and answer of a request; without it the default stays, and what a\n"
    "                    shorter one would free is said\n"
    "  --profile FILE    Where the profile goes; auto: where serve looks; none: nowhere\n"
    "  --state FILE      Where measurements are kept until the end, to go on after Ctrl-C (default: beside the\n"
    "                    profile)\n"
    "  --fresh           Forget the state of an earlier run\n"
    "  --output FILE     Measurements and decisions as JSON lines\n"
    "  -h, --help        This\n";

struct Flags {
  int64_t users = 10;
  int64_t tokens = 64;
  double seconds = 12;
  double minutes = 20;
  bool fresh = false;
  bool help = false;
  std::string state;
  std::string output;
  std::vector<std::string> serve;  // what is not ours
};

Error Usage(const std::string& message) { return {ErrorCode::kInvalidArgument, message}; }

template <class T>
Status TakeNumber(std::string_view flag, std::string_view text, T least, T most, T* out) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= least && value <= most)) {
    return Usage(fmt::format("{}: '{}' is no number from {:g} to {:g}", flag, text.substr(0, 80),
                             static_cast<double>(least), static_cast<double>(most)));
  }
  *out = value;
  return {};
}

Status TakeFlag(std::string_view flag, const std::string& value, Flags* flags) {
  if (flag == "--users") return TakeNumber<int64_t>(flag, value, 1, 1000, &flags->users);
  if (flag == "--tokens") return TakeNumber<int64_t>(flag, value, 2, 4096, &flags->tokens);
  if (flag == "--seconds") return TakeNumber(flag, value, 0.001, 86'400.0, &flags->seconds);
  if (flag == "--minutes") return TakeNumber(flag, value, 0.05, 1440.0, &flags->minutes);
  if (flag == "--state") flags->state = value;
  if (flag == "--output") flags->output = value;
  if (flag == "--context") flags->serve.insert(flags->serve.end(), {"--ctx-size", value});
  return {};
}

// Ours are taken out, all else is serve's; CLI11 cannot read serve's long names behind one dash.
Result<Flags> ParseFlags(std::span<const std::string> arguments) {
  constexpr std::string_view kWithValue[] = {"--users",   "--tokens", "--seconds", "--minutes",
                                             "--context", "--state",  "--output"};
  Flags flags;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const size_t equals = argument.starts_with("--") ? argument.find('=') : std::string::npos;
    const std::string flag = argument.substr(0, equals);
    if (argument == "-h" || argument == "--help") flags.help = true;
    if (argument == "--fresh") flags.fresh = true;
    if (argument == "-h" || argument == "--help" || argument == "--fresh") continue;
    if (std::find(std::begin(kWithValue), std::end(kWithValue), flag) == std::end(kWithValue)) {
      flags.serve.push_back(argument);
      continue;
    }
    if (equals == std::string::npos && i + 1 >= arguments.size()) return Usage(flag + " needs a value");
    TENFOLD_TRY_STATUS(
        TakeFlag(flag, equals != std::string::npos ? argument.substr(equals + 1) : arguments[++i], &flags));
  }
  return flags;
}

// Settings of serve that hold for every candidate: about the model and computing, but for what is tuned.
std::vector<std::string> FixedArguments(const config::Configuration& chosen) {
  const std::vector<std::string> tuned = tune::TunedKeys();
  std::vector<std::string> arguments = {"--profile=none", "--load=background", "--log-level=info",
                                        "--log-format=human"};
  for (size_t i = 0; i < config::Table().size(); ++i) {
    const config::Setting& setting = config::Table()[i];
    const bool wanted = setting.group == config::Group::kModel || setting.group == config::Group::kCompute;
    const bool ours = std::find(tuned.begin(), tuned.end(), setting.key) != tuned.end();
    if (!wanted || ours || setting.key == "load" || chosen.origins[i] == config::Origin::kDefault) continue;
    const auto spelled = std::find_if(setting.flags.begin(), setting.flags.end(),
                                      [](std::string_view flag) { return flag.starts_with("--"); });
    arguments.push_back(fmt::format("{}={}", *spelled, config::ValueText(chosen.settings, setting)));
  }
  return arguments;
}

// "-1" and "0" threads are the same.
tune::Assignment Tuned(const config::Settings& settings) {
  tune::Assignment values;
  for (const std::string& key : tune::TunedKeys()) {
    values[key] = config::ValueText(settings, *config::FindKey(key));
    if (key == "threads" && values[key] == "-1") values[key] = "0";
  }
  return values;
}

// Everything that a run needs, made before the first measurement.
struct Job {
  Flags flags;
  config::Configuration chosen;
  tune::ProfileKey key;
  tune::Space space;
  tune::TrialOptions trials;
  std::string profile_path;  // "": none is written
  std::string state_path;    // "": nothing is kept
  bool context_given = false;
};

Result<Job> Prepare(Flags flags) {
  Job job;
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) environment.emplace_back(*variable);
  TENFOLD_TRY(job.chosen, config::ParseConfiguration(flags.serve, environment));
  const config::Settings& settings = job.chosen.settings;
  if (job.chosen.action != config::Action::kServe) return Usage("--print-config and --print-reference are serve's");
  if (settings.model.empty()) return Usage("-m FILE.gguf is needed");
  TENFOLD_TRY(job.key, tune::KeyHere(settings.model, server::kVersion));
  job.context_given = settings.ctx_size != 0;

  tune::SpaceInput space;
  space.topology = platform::DetectTopology();
  space.quota_cpus = platform::DetectCpuLimits().quota_cpus;
  space.huge_pages_allowed = platform::HugePagesAllowed();
  space.users = flags.users;
  space.prompt_tokens = 90 * flags.users;  // load/prompts.h
  space.defaults = Tuned(config::Settings{});
  space.start = Tuned(settings);
  job.space = tune::MakeSpace(space);

  std::error_code error;
  job.trials.binary = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return Error{ErrorCode::kIo, "cannot find this program to start servers: " + error.message()};
  job.trials.arguments = FixedArguments(job.chosen);
  job.trials.workload = {flags.users, flags.tokens,
                         load::BuiltInPrompts({load::Length::kShort}, {load::Language::kEnglish})};
  job.trials.servers =
      tune::ServersThatFit(static_cast<uint64_t>(job.key.model_bytes), platform::AvailableMemoryBytes());
  job.trials.stopped = [] { return Interrupted(); };

  if (settings.profile == "auto") {
    job.profile_path = UsualProfilePath(settings.model);
    if (job.profile_path.empty()) return Usage("there is no home to keep the profile in: give --profile FILE or none");
  } else if (settings.profile != "none") {
    job.profile_path = settings.profile;
  }
  job.state_path = !flags.state.empty() ? flags.state : job.profile_path.empty() ? "" : job.profile_path + ".state";
  job.flags = std::move(flags);
  return job;
}

// What two parts of one search must agree on.
tune::Circumstances CircumstancesOf(const Job& job) {
  std::string arguments;
  for (const std::string& argument : job.trials.arguments) {
    if (!argument.starts_with("--model=")) arguments += argument + " ";
  }
  std::string knobs;
  for (const tune::Knob& knob : job.space.knobs) {
    for (const tune::Variant& variant : knob.variants) knobs += fmt::format("{} {}, ", knob.name, variant.text);
  }
  return {{"model", fmt::format("{} bytes, digest {}", job.key.model_bytes, job.key.model_digest)},
          {"CPU", job.key.cpu},
          {"cores", fmt::format("{} with {} CPUs", job.key.cores, job.key.cpus)},
          {"quota", job.key.quota},
          {"instruction set", job.key.isa},
          {"version", job.key.version},
          {"--users", fmt::format("{}", job.flags.users)},
          {"--tokens", fmt::format("{}", job.flags.tokens)},
          {"--minutes", fmt::format("{:g}", job.flags.minutes)},
          {"start", job.space.TextOf(job.space.start)},
          {"settings", arguments},
          {"knobs", knobs}};
}

// The state file, which grows by a line a measurement.
class State {
 public:
  static Result<State> Open(const Job& job) {
    State state;
    state.path_ = job.state_path;
    if (state.path_.empty()) return state;
    const tune::Circumstances here = CircumstancesOf(job);
    std::error_code error;
    if (!job.flags.fresh && std::filesystem::exists(state.path_, error)) {
      TENFOLD_TRY(const std::string text, ReadResultText(state.path_));
      TENFOLD_TRY(state.recorded_, tune::ParseJournal(text, here, state.path_));
    }
    // Written anew, so that a line that was cut off is gone.
    std::string text = tune::HeaderLine(here) + "\n";
    for (const tune::Recorded& r : state.recorded_) text += tune::LineOf(r) + "\n";
    TENFOLD_TRY_STATUS(tune::WriteWhole(state.path_, text));
    state.file_.open(state.path_, std::ios::app);
    return state;
  }
  void Add(const tune::Recorded& r) {
    if (!path_.empty()) file_ << tune::LineOf(r) << '\n' << std::flush;
  }
  void Remove() {
    file_.close();
    std::error_code error;
    if (!path_.empty()) std::filesystem::remove(path_, error);
  }
  const std::vector<tune::Recorded>& recorded() const { return recorded_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::vector<tune::Recorded> recorded_;
  std::ofstream file_;
};

// One line that is redrawn, on a terminal; nothing elsewhere.
class Bar {
 public:
  void Show(const tune::Progress& p) {
    if (!terminal_) return;
    constexpr int kCells = 20;
    const int full = std::clamp(static_cast<int>(p.spent_s / p.bound_s * kCells), 0, kCells);
    fmt::print(stderr, "\r[{}{}] {:.0f} of {:.0f} s: {}\x1b[K", std::string(static_cast<size_t>(full), '#'),
               std::string(static_cast<size_t>(kCells - full), '.'), p.spent_s, p.bound_s, p.what);
    std::fflush(stderr);
  }
  void Line(const std::string& line) {
    End();
    fmt::print("{}\n", line);
    std::fflush(stdout);
  }
  void End() const {
    if (!terminal_) return;
    fmt::print(stderr, "\r\x1b[K");
    std::fflush(stderr);
  }

 private:
  bool terminal_ = isatty(STDERR_FILENO) != 0;
};

std::string Today() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[sizeof "2026-01-01"];
  std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
  return text;
}

Status WriteProfile(const Job& job, const tune::Outcome& outcome) {
  if (job.profile_path.empty()) return {};
  tune::Assignment settings = tune::ChangedSettings(job.space, outcome.chosen);
  if (job.context_given) settings["ctx_size"] = fmt::format("{}", job.chosen.settings.ctx_size);
  const tune::Profile profile{.key = job.key,
                              .tuned_for = fmt::format("{} users, {} tokens each", job.flags.users, job.flags.tokens),
                              .tuned_on = Today(),
                              .tuned_gain = tune::GainOf(job.space, outcome),
                              .settings = {}};
  TENFOLD_TRY_STATUS(tune::WriteWhole(job.profile_path, tune::ProfileText(profile, settings)));
  fmt::print("profile: {}; `tenfold serve -m {}` {}\n", job.profile_path, job.chosen.settings.model,
             job.chosen.settings.profile == "auto" ? "finds it" : "uses it with --profile " + job.profile_path);
  return {};
}

// Whether something was decided.
Result<bool> Tune(const Job& job) {
  TENFOLD_TRY(JsonLines lines, JsonLines::Open("--output", job.flags.output));
  TENFOLD_TRY(State state, State::Open(job));
  const bench::Manifest manifest = bench::MakeManifest("tune", static_cast<int>(job.key.cores));
  fmt::print("{}", bench::Format(manifest));
  lines.Write(bench::ToJson(manifest));
  for (const std::string& warning : job.chosen.warnings) fmt::print("{}\n", warning);
  fmt::print("start: {}; {} server{} up at once\n", job.space.TextOf(job.space.start), job.trials.servers,
             job.trials.servers == 1 ? "" : "s");
  if (!state.recorded().empty()) {
    fmt::print("goes on behind {} measurements of {}\n", state.recorded().size(), state.path());
  }
  std::fflush(stdout);

  Bar bar;
  tune::ServerTrials trials(job.space, job.trials);
  const auto write = [&](const tune::Recorded& r) { lines.Write(boost::json::parse(tune::LineOf(r)).as_object()); };
  for (const tune::Recorded& r : state.recorded()) write(r);
  tune::Journal journal(job.space, state.recorded(), trials, [&](const tune::Recorded& r) {
    state.Add(r);
    write(r);
  });
  tune::Observer observer;
  observer.on_trial = [&](const tune::Progress& p) { bar.Show(p); };
  observer.on_arm = [&](const tune::Knob& knob, const tune::ArmResult& arm) {
    bar.Line("  " + tune::TextOf(knob, arm));
  };
  observer.on_line = [&](const std::string& line) { bar.Line(line); };
  const double bound_s = job.flags.minutes * 60;
  const tune::Outcome outcome =
      tune::Search(job.space, {.bound_s = bound_s - std::min(kReportS, bound_s / 20)}, journal, observer);
  bar.End();
  for (const boost::json::object& line : tune::ToJson(job.space, outcome)) lines.Write(line);
  const tune::ReportInput input{.users = job.flags.users,
                                .target_s = job.flags.seconds,
                                .tokens = job.flags.tokens,
                                .bound_s = bound_s,
                                .optimization = trials.optimization(),
                                .context_given = job.context_given};
  fmt::print("{}", tune::Report(job.space, outcome, input));
  TENFOLD_TRY_STATUS(lines.Close());
  if (outcome.ending != tune::Ending::kDone) return false;
  TENFOLD_TRY_STATUS(WriteProfile(job, outcome));
  state.Remove();
  return true;
}

}  // namespace

int RunTune(std::span<const std::string> arguments) {
  const auto refuse = [](const Error& error) {
    fmt::print(stderr, "tenfold tune: {}\n", error.message);
    return error.code == ErrorCode::kInvalidArgument ? 2 : 1;
  };
  Result<Flags> flags = ParseFlags(arguments);
  if (!flags.ok()) return refuse(flags.error());
  if (flags->help) {
    std::fputs(kHelp.data(), stdout);
    return 0;
  }
  StopOnInterrupt();
  Result<Job> job = Prepare(std::move(*flags));
  if (!job.ok()) return refuse(job.error());
  const Result<bool> decided = Tune(*job);
  if (!decided.ok()) return refuse(decided.error());
  return *decided ? 0 : 1;
}

}  // namespace tenfold::apps
