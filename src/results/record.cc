#include "results/record.h"

#include <fmt/format.h>

#include <array>
#include <boost/json.hpp>
#include <cmath>

#include "results/json_fields.h"

namespace tenfold::results {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 9> kOutcomes = {
    "ok",           "no connection",       "timeout",      "HTTP status", "closed early",
    "not a stream", "error in the stream", "empty answer", "wrong answer"};
constexpr std::array<std::string_view, 4> kPhases = {"cold", "warm-up", "users", "rate"};

template <class Enum, size_t kCount>
std::optional<Enum> FromName(const std::array<std::string_view, kCount>& names, std::string_view name) {
  for (size_t i = 0; i < kCount; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

// Microseconds are all that was measured; more digits would only make the file larger.
double Rounded(double seconds) { return std::round(seconds * 1e6) / 1e6; }

json::value Maybe(const std::optional<double>& seconds) {
  return seconds ? json::value(Rounded(*seconds)) : json::value(nullptr);
}

json::array Tenths(const std::vector<double>& values) {
  json::array out;
  for (const double value : values) out.push_back(std::round(value * 10) / 10);
  return out;
}

Error UnknownName(std::string_view field, const std::string& name) {
  return {ErrorCode::kCorrupt,
          fmt::format("\"{}\" is '{}', which is none of its values (docs/results.md)", field, name)};
}

}  // namespace

std::string_view NameOf(Outcome outcome) { return kOutcomes[static_cast<size_t>(outcome)]; }
std::optional<Outcome> OutcomeFromName(std::string_view name) { return FromName<Outcome>(kOutcomes, name); }
std::string_view NameOf(Phase phase) { return kPhases[static_cast<size_t>(phase)]; }
std::optional<Phase> PhaseFromName(std::string_view name) { return FromName<Phase>(kPhases, name); }

json::object ToJson(const Request& r) {
  return {{"kind", "request"},
          {"server", r.server},
          {"phase", NameOf(r.phase)},
          {"users", r.users},
          {"round", r.round},
          {"user", r.user},
          {"question", r.question},
          {"prompt", r.prompt},
          {"start_s", Rounded(r.start_s)},
          {"outcome", NameOf(r.outcome)},
          {"http_status", r.http_status},
          {"detail", r.detail},
          {"retry_after_s", Maybe(r.retry_after_s)},
          {"waited_s", Rounded(r.waited_s)},
          {"first_token_s", Rounded(r.first_token_s)},
          {"gaps_ms", Tenths(r.gaps_ms)},
          {"prompt_tokens", r.prompt_tokens},
          {"tokens", r.tokens},
          {"tokens_estimated", r.tokens_estimated},
          {"tokens_doubt", r.tokens_doubt},
          {"queued_s", Maybe(r.queued_s)},
          {"prefill_s", Maybe(r.prefill_s)}};
}

json::object ToJson(const Run& r) {
  return {{"kind", "run"},
          {"server", r.server},
          {"phase", NameOf(r.phase)},
          {"users", r.users},
          {"round", r.round},
          {"start_s", Rounded(r.start_s)},
          {"wall_s", Rounded(r.wall_s)}};
}

json::object ToJson(const Server& s) {
  return {{"kind", "server"}, {"server", s.index}, {"url", s.url}, {"model", s.model}, {"facts", s.facts}};
}

Result<Request> RequestFromJson(const json::object& object) {
  JsonFields fields(object);
  fields.Ignore("kind");
  Request r;
  r.server = fields.Count("server");
  const std::string phase = fields.Text("phase");
  r.users = fields.Count("users");
  r.round = fields.Count("round");
  r.user = fields.Count("user");
  r.question = fields.Count("question");
  r.prompt = fields.Count("prompt");
  r.start_s = fields.Amount("start_s");
  const std::string outcome = fields.Text("outcome");
  r.http_status = fields.Count("http_status");
  r.detail = fields.Text("detail");
  r.retry_after_s = fields.MaybeAmount("retry_after_s");
  r.waited_s = fields.Amount("waited_s");
  r.first_token_s = fields.Amount("first_token_s");
  r.gaps_ms = fields.Amounts("gaps_ms");
  r.prompt_tokens = fields.Count("prompt_tokens");
  r.tokens = fields.Count("tokens");
  r.tokens_estimated = fields.Flag("tokens_estimated");
  r.tokens_doubt = fields.Text("tokens_doubt");
  r.queued_s = fields.MaybeAmount("queued_s");
  r.prefill_s = fields.MaybeAmount("prefill_s");
  TENFOLD_TRY_STATUS(fields.Done());
  if (!PhaseFromName(phase)) return UnknownName("phase", phase);
  if (!OutcomeFromName(outcome)) return UnknownName("outcome", outcome);
  r.phase = *PhaseFromName(phase);
  r.outcome = *OutcomeFromName(outcome);
  return r;
}

Result<Run> RunFromJson(const json::object& object) {
  JsonFields fields(object);
  fields.Ignore("kind");
  Run r;
  r.server = fields.Count("server");
  const std::string phase = fields.Text("phase");
  r.users = fields.Count("users");
  r.round = fields.Count("round");
  r.start_s = fields.Amount("start_s");
  r.wall_s = fields.Amount("wall_s");
  TENFOLD_TRY_STATUS(fields.Done());
  if (!PhaseFromName(phase)) return UnknownName("phase", phase);
  r.phase = *PhaseFromName(phase);
  return r;
}

Result<Server> ServerFromJson(const json::object& object) {
  JsonFields fields(object);
  fields.Ignore("kind");
  Server s;
  s.index = fields.Count("server");
  s.url = fields.Text("url");
  s.model = fields.Text("model");
  s.facts = fields.Object("facts");
  TENFOLD_TRY_STATUS(fields.Done());
  return s;
}

}  // namespace tenfold::results
