// A load test as its users feel it: N of them ask at the same moment, each something else, and wait for streamed
// answers.
//
// What it does: one HTTP client for any OpenAI-compatible server, in one thread over libcurl's multi interface;
// measures from the moment of asking. What it does not: print (load_report.h makes text), judge, or retry: a failed
// request is a failed user, and counts with the whole timeout as its time, because that is how long somebody would have
// waited.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace tenfold::bench {

struct LoadOptions {
  std::string url;                   // http://host:port, with or without /v1
  std::string model;                 // empty: the first of /v1/models
  std::string api_key;               // empty: none is sent
  std::vector<std::string> prompts;  // one for each user; not empty
  int64_t max_tokens = 64;
  int64_t timeout_us = 60'000'000;  // of one request, connecting included
  bool ignore_eos = false;          // adds "ignore_eos": true, which not every server knows
};

enum class Outcome {
  kOk,
  kNoConnection,  // refused, unreachable, or no such host
  kTimeout,       // not finished in time, even if part of the answer was there
  kHttpStatus,    // anything but 200
  kClosedEarly,   // the connection or the stream ended before data: [DONE]
  kNotAStream,    // 200, but bytes that are no stream of chunks
  kErrorEvent,    // an error event in the stream
  kEmpty,         // a proper stream without one token of text
};
// "ok", "no connection", "timeout", ...
std::string NameOf(Outcome outcome);

// What one user saw. Of a failed one only outcome, http_status and detail count.
struct UserResult {
  Outcome outcome = Outcome::kTimeout;
  int http_status = 0;
  std::string detail;            // for people: the server's or libcurl's message
  int64_t response_us = 0;       // asked to [DONE]
  int64_t first_token_us = 0;    // asked to first text
  std::vector<int64_t> gaps_us;  // between one text event and the next
  int64_t prompt_tokens = 0;     // by usage; 0: the server did not say
  int64_t tokens = 0;
  bool tokens_estimated = false;  // no usage came: text events were counted instead
};

struct LoadResult {
  std::string model;              // the name that was sent
  int64_t wall_us = 0;            // first question to last end
  std::vector<UserResult> users;  // in the order of the prompts
};

// Runs the test; blocks for at most the timeout (and a few seconds to learn the model's name). An Error only when no
// request could be made at all: a bad URL, libcurl broken. Call from one thread at a time.
Result<LoadResult> RunLoad(const LoadOptions& options);

// `url` without trailing slashes and without /v1. kInvalidArgument unless it is http:// or https:// with a host.
Result<std::string> BaseUrl(const std::string& url);

// The JSON body of one user's request.
std::string RequestBody(const LoadOptions& options, const std::string& model, const std::string& prompt);

}  // namespace tenfold::bench
