// A request and an answer as the routes see them: plain data, no sockets, no Beast.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/api_error.h"

namespace tenfold::server {

struct HttpRequest {
  std::string method;  // as sent: "GET"
  std::string path;    // before '?'
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string id;        // the client's x-request-id where it is harmless, else ours
  std::string key_name;  // of the API key that was sent, as logs call it (key_ring.h); "" without one
  std::string peer;      // the client's address, without the port
  bool loopback_peer = false;
  int64_t received_us = 0;  // NowUs() when the head was complete

  // The first header of that name (any case), or "".
  std::string_view Header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool close = false;  // end the connection after this answer
};

HttpResponse JsonResponse(int status, std::string json);
// With Retry-After where the error has one, and x-should-retry: false (which OpenAI's clients obey) where asking
// again is of no use.
HttpResponse ErrorResponse(const api::ApiError& error);

// "Service Unavailable"; "Unknown" for a status we never send.
std::string_view ReasonPhrase(int status);

// The bytes of a head. `length` < 0: chunked when `chunked`, else ended by closing.
std::string SerializeHead(const HttpResponse& response, const std::string& request_id, int64_t length, bool chunked,
                          bool keep_alive);

bool EqualIgnoreCase(std::string_view a, std::string_view b);

}  // namespace tenfold::server
