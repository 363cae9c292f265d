// A server to be tested, as any OpenAI-compatible one can be asked about itself: its address, the model it serves, and
// what it tells of its set-up. Only GET requests, none of which makes it compute.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>

#include "base/result.h"

namespace tenfold::load {

struct Target {
  std::string url;      // http://host:port, with or without /v1
  std::string model;    // empty: the first of /v1/models
  std::string api_key;  // empty: none is sent
};

// `url` without trailing slashes and without /v1. kInvalidArgument unless it is http:// or https:// with a host.
Result<std::string> BaseUrl(const std::string& url);

// The first model the server lists; "" when it lists none or cannot be asked (then every user will see why).
std::string FirstModel(const std::string& base, const std::string& api_key);

// {"props": /props, "health": /health, "model": the first of /v1/models}, each only where the server has it: nothing
// else than JSON objects of a readable size, chat templates left out. At most a few seconds.
boost::json::object FactsOf(const std::string& base, const std::string& api_key);

// The JSON object at a URL, whatever the status; nothing where none comes within a few seconds.
std::optional<boost::json::object> AskJson(const std::string& url);

}  // namespace tenfold::load
