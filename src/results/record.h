// What a load test saw, as plain data and as lines of JSON: one line a request, one a run, one a server, after a
// manifest of the conditions. docs/results.md describes the format, whose version is kSchema.
//
// What it does: says what a result file may hold, and refuses by file, line and field what it may not. What it does
// not: measure (load/), sum up (figures.h), judge (gate/) or draw (report/).
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tenfold::results {

inline constexpr int kSchema = 1;

enum class Outcome {
  kOk,
  kNoConnection,  // refused, unreachable, or no such host
  kTimeout,       // not finished in time, even if part of the answer was there
  kHttpStatus,    // anything but 200
  kClosedEarly,   // the connection or the stream ended before data: [DONE]
  kNotAStream,    // 200, but bytes that are no stream of chunks
  kErrorEvent,    // an error event in the stream
  kEmpty,         // a proper stream without one token of text
  kWrong,         // a whole answer that lacks the text its prompt must bring
};
// "ok", "no connection", "timeout", ...
std::string_view NameOf(Outcome outcome);
std::optional<Outcome> OutcomeFromName(std::string_view name);

enum class Phase {
  kCold,    // the first request of all: where the server loads its model on demand, with the load in it
  kWarmUp,  // sent to be forgotten: in no figure
  kUsers,   // N users at once
  kRate,    // requests that arrive at random moments, whoever is still waiting
};
// "cold", "warm-up", "users", "rate".
std::string_view NameOf(Phase phase);
std::optional<Phase> PhaseFromName(std::string_view name);

// One request, as its user saw it. Seconds on one clock that starts with the test.
struct Request {
  int64_t server = 0;  // index of the Server
  Phase phase = Phase::kUsers;
  int64_t users = 1;     // who asked at once; of kRate: 0
  int64_t round = 0;     // which repetition of the phase
  int64_t user = 0;      // which of the users
  int64_t question = 0;  // which of the user's questions, one after the other
  int64_t prompt = 0;    // number of the prompt: equal numbers are equal prompts
  double start_s = 0;
  Outcome outcome = Outcome::kTimeout;
  int64_t http_status = 0;              // 0: no answer began
  std::string detail;                   // for people: the server's or the client library's message
  std::optional<double> retry_after_s;  // the header, where it came
  double waited_s = 0;                  // asked to the end, whatever end it was; of kOk the response time
  double first_token_s = 0;             // asked to the first text; 0: none came
  std::vector<double> gaps_ms;          // between one text event and the next
  int64_t prompt_tokens = 0;            // by usage; 0: the server did not say
  int64_t tokens = 0;
  bool tokens_estimated = false;    // no usage, or one that cannot be true: text events were counted instead
  std::string tokens_doubt;         // why usage cannot be true; "" where it may be
  std::optional<double> queued_s;   // where the server tells (`timings`): waiting before its prompt was begun
  std::optional<double> prefill_s;  // and computing it

  bool ok() const { return outcome == Outcome::kOk; }
};

// One repetition of one phase on one server, finished. A run that was interrupted has no record, and no request of it
// counts.
struct Run {
  int64_t server = 0;
  Phase phase = Phase::kUsers;
  int64_t users = 1;
  int64_t round = 0;
  double start_s = 0;
  double wall_s = 0;  // first question to last end
};

struct Server {
  int64_t index = 0;
  std::string url;
  std::string model;          // the name that was sent
  boost::json::object facts;  // what it told of itself: "props", "health", "model"
};

// Each an object with its "kind": "request", "run", "server".
boost::json::object ToJson(const Request& request);
boost::json::object ToJson(const Run& run);
boost::json::object ToJson(const Server& server);

// Errors name the field and what is wrong with it. Unknown fields are refused: a file of a later schema says so in its
// manifest, so what is unknown here is a mistake.
Result<Request> RequestFromJson(const boost::json::object& json);
Result<Run> RunFromJson(const boost::json::object& json);
Result<Server> ServerFromJson(const boost::json::object& json);

}  // namespace tenfold::results
