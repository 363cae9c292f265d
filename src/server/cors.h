// Which web pages' scripts may call this server (CORS, fetch.spec.whatwg.org). Off unless the operator names origins.
//
// Credentials (cookies) are never allowed: keys come in the Authorization header, which a page must have been given.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/http_message.h"

namespace tenfold::server {

class CorsPolicy {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  // "*" or "https://host[:port]" each; none: off.
  explicit CorsPolicy(std::vector<std::string> origins);

  bool on() const { return any_ || !origins_.empty(); }
  // What every answer to this request carries; nothing when off.
  Headers HeadersFor(const HttpRequest& request) const;
  // Whether this is a browser's question before the real request.
  bool IsPreflight(const HttpRequest& request) const;
  // The answer's further headers. `methods`: what the route allows.
  Headers PreflightHeaders(const HttpRequest& request, std::string_view methods) const;

 private:
  bool Allows(std::string_view origin) const;
  bool any_ = false;
  std::vector<std::string> origins_;
};

}  // namespace tenfold::server
