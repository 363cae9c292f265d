#include "load/load.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <utility>

#include "base/clock.h"

namespace tenfold::load {
namespace {

using results::Phase;
using results::Request;
using results::Run;

constexpr int kStepMs = 100;

// A target that is ready to be asked.
struct Subject {
  int64_t index = 0;
  std::string base;
  std::string model;
  Target target;
  Headers headers;
};

// One request that a phase will send.
struct Due {
  double at_s = 0;  // from the start of the phase; 0: at once
  int64_t user = 0;
  int64_t question = 0;
  int64_t prompt = 0;
};

struct PhaseRun {
  Phase phase = Phase::kUsers;
  int64_t users = 1;
  int64_t round = 0;
  std::vector<Due> opening;  // by at_s; what follows an answer comes from NextOf
  int64_t questions = 1;     // of each user, one after the other
  int64_t asked() const { return static_cast<int64_t>(opening.size()) * questions; }
};

// A user's next question takes the prompt behind those of all users' this one.
Due NextOf(const PhaseRun& run, const Request& answered) {
  return {.at_s = 0,
          .user = answered.user,
          .question = answered.question + 1,
          .prompt = answered.prompt + static_cast<int64_t>(run.opening.size())};
}

class Runner {
 public:
  Runner(const LoadOptions& options, const Observer& observer)
      : options_(options), observer_(observer), begin_us_(NowUs()) {}

  bool stopped() const { return observer_.stopped && observer_.stopped(); }

  // False when it was given up. The run's own record comes last.
  bool RunPhase(const Subject& subject, const PhaseRun& phase) {
    const int64_t start_us = NowUs();
    Transfers transfers;
    Progress progress{.server = subject.index,
                      .phase = phase.phase,
                      .users = phase.users,
                      .round = phase.round,
                      .asked = phase.asked()};
    size_t sent = 0;
    while (sent < phase.opening.size() || transfers.running() > 0) {
      if (stopped()) return false;
      const int64_t now_us = NowUs() - start_us;
      for (; sent < phase.opening.size() && DueUs(phase.opening[sent]) <= now_us; ++sent) {
        transfers.Start(Ask(subject, phase, phase.opening[sent]));
      }
      for (const auto& exchange : transfers.Step(WaitMs(phase, sent, start_us))) {
        const Request record = exchange->Conclude(NowUs());
        if (observer_.on_request) observer_.on_request(record);
        ++progress.finished;
        progress.failed += !record.ok();
        if (record.question + 1 < phase.questions) transfers.Start(Ask(subject, phase, NextOf(phase, record)));
      }
      progress.text_events = transfers.text_events();
      progress.seconds = static_cast<double>(NowUs() - start_us) / 1e6;
      if (observer_.on_progress) observer_.on_progress(progress);
    }
    Report(subject, phase, start_us);
    return true;
  }

 private:
  static int64_t DueUs(const Due& due) { return static_cast<int64_t>(due.at_s * 1e6); }

  // Until the next arrival, and not longer than a terminal or Ctrl-C may wait.
  static int WaitMs(const PhaseRun& phase, size_t sent, int64_t start_us) {
    if (sent >= phase.opening.size()) return kStepMs;
    const int64_t wait_us = DueUs(phase.opening[sent]) - (NowUs() - start_us);
    return static_cast<int>(std::clamp<int64_t>(wait_us / 1000, 0, kStepMs));
  }

  std::unique_ptr<Exchange> Ask(const Subject& subject, const PhaseRun& phase, const Due& due) const {
    const Prompt prompt = PromptAt(options_.prompts, static_cast<size_t>(due.prompt));
    Exchange::Spec spec;
    spec.url = subject.base + "/v1/chat/completions";
    spec.body = RequestBody(options_.asking, subject.model, prompt.text);
    spec.headers = subject.headers.get();
    spec.expect = prompt.expect;
    spec.max_tokens = options_.asking.max_tokens;
    spec.timeout_us = options_.asking.timeout_us;
    spec.record.server = subject.index;
    spec.record.phase = phase.phase;
    spec.record.users = phase.users;
    spec.record.round = phase.round;
    spec.record.user = due.user;
    spec.record.question = due.question;
    spec.record.prompt = due.prompt;
    spec.record.start_s = static_cast<double>(NowUs() - begin_us_) / 1e6;
    return std::make_unique<Exchange>(std::move(spec));
  }

  void Report(const Subject& subject, const PhaseRun& phase, int64_t start_us) const {
    if (!observer_.on_run) return;
    observer_.on_run({.server = subject.index,
                      .phase = phase.phase,
                      .users = phase.users,
                      .round = phase.round,
                      .start_s = static_cast<double>(start_us - begin_us_) / 1e6,
                      .wall_s = static_cast<double>(NowUs() - start_us) / 1e6});
  }

  const LoadOptions& options_;
  const Observer& observer_;
  int64_t begin_us_;
};

Result<std::vector<Subject>> MakeSubjects(const std::vector<Target>& targets) {
  std::vector<Subject> subjects;
  for (const Target& target : targets) {
    Subject subject;
    subject.index = static_cast<int64_t>(subjects.size());
    TENFOLD_TRY(subject.base, BaseUrl(target.url));
    subject.target = target;
    subject.headers = MakeHeaders(target.api_key);
    subjects.push_back(std::move(subject));
  }
  return subjects;
}

// The phases of one round. `prompt`: number of the next one that was not asked yet; equal for all servers of a round.
std::vector<PhaseRun> PhasesOfRound(const LoadOptions& options, int64_t round, int64_t* prompt) {
  std::vector<PhaseRun> phases;
  if (options.rate > 0) {
    PhaseRun run{.phase = Phase::kRate, .users = 0, .round = round, .opening = {}, .questions = 1};
    const uint64_t seed = options.seed + static_cast<uint64_t>(round);
    for (const double at_s : ArrivalTimes(options.rate, options.rate_s, seed)) {
      run.opening.push_back({.at_s = at_s, .user = static_cast<int64_t>(run.opening.size()), .prompt = (*prompt)++});
    }
    phases.push_back(std::move(run));
    return phases;
  }
  for (const int64_t users : options.users) {
    PhaseRun run{.phase = Phase::kUsers, .users = users, .round = round, .opening = {}, .questions = options.questions};
    for (int64_t user = 0; user < users; ++user) run.opening.push_back({.user = user, .prompt = *prompt + user});
    *prompt += run.asked();
    phases.push_back(std::move(run));
  }
  return phases;
}

// Cold start and warm-up of one server. What it tells of itself is asked behind its first request, when a server that
// loads on demand has loaded.
bool Open(Runner& runner, const LoadOptions& options, const Observer& observer, Subject& subject, int64_t* prompt) {
  subject.model =
      subject.target.model.empty() ? FirstModel(subject.base, subject.target.api_key) : subject.target.model;
  bool done = true;
  if (options.cold) {
    PhaseRun run{.phase = Phase::kCold, .opening = {Due{.prompt = (*prompt)++}}};
    done = runner.RunPhase(subject, run);
  }
  if (observer.on_server) {
    observer.on_server({.index = subject.index,
                        .url = subject.base,
                        .model = subject.model,
                        .facts = FactsOf(subject.base, subject.target.api_key)});
  }
  if (done && options.warm_ups > 0) {
    PhaseRun run{.phase = Phase::kWarmUp, .opening = {Due{.prompt = *prompt}}, .questions = options.warm_ups};
    *prompt += options.warm_ups;
    done = runner.RunPhase(subject, run);
  }
  return done && !runner.stopped();
}

}  // namespace

std::vector<double> ArrivalTimes(double rate, double seconds, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<double> times;
  double now = 0;
  while (true) {
    const double uniform = static_cast<double>(random() >> 11) * 0x1p-53;  // [0, 1)
    now += -std::log1p(-uniform) / rate;
    if (!(now < seconds)) return times;
    times.push_back(now);
  }
}

Result<bool> RunLoad(const LoadOptions& options, const Observer& observer) {
  TENFOLD_CHECK(!options.prompts.empty() && !options.targets.empty(), "RunLoad needs a server and a prompt");
  TENFOLD_TRY(std::vector<Subject> subjects, MakeSubjects(options.targets));
  if (!CurlReady()) return Error{ErrorCode::kInternal, "libcurl could not be initialised"};
  Runner runner(options, observer);
  int64_t prompt = 0;
  for (Subject& subject : subjects) {
    int64_t first = 0;  // each server begins with the same prompts
    if (!Open(runner, options, observer, subject, &first)) return false;
    prompt = first;
  }
  for (int64_t round = 0; round < options.rounds; ++round) {
    for (const PhaseRun& phase : PhasesOfRound(options, round, &prompt)) {
      std::vector<const Subject*> order;
      for (const Subject& subject : subjects) order.push_back(&subject);
      if (round % 2 == 1) std::reverse(order.begin(), order.end());
      for (const Subject* subject : order) {
        if (!runner.RunPhase(*subject, phase)) return false;
      }
    }
  }
  return true;
}

}  // namespace tenfold::load
