#include "server/cors.h"

#include <algorithm>

namespace tenfold::server {
namespace {

constexpr size_t kMostHeaderNames = 2048;

// A list of header names and nothing that could end the line we write it into.
bool IsNameList(std::string_view text) {
  return text.size() <= kMostHeaderNames && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                  c == ',' || c == ' ';
         });
}

}  // namespace

CorsPolicy::CorsPolicy(std::vector<std::string> origins) {
  any_ = std::find(origins.begin(), origins.end(), "*") != origins.end();
  if (!any_) origins_ = std::move(origins);
}

// Browsers send schemes and hosts in small letters; what an operator wrote in others still means the same.
bool CorsPolicy::Allows(std::string_view origin) const {
  return std::any_of(origins_.begin(), origins_.end(), [&](const auto& ours) { return EqualIgnoreCase(ours, origin); });
}

CorsPolicy::Headers CorsPolicy::HeadersFor(const HttpRequest& request) const {
  if (!on()) return {};
  const std::string_view origin = request.Header("Origin");
  Headers headers;
  if (any_) {
    headers = {{"Access-Control-Allow-Origin", "*"}};
  } else {
    headers = {{"Vary", "Origin"}};  // also where it is refused: a cache must not serve that to others
    if (!Allows(origin)) return headers;
    headers.emplace_back("Access-Control-Allow-Origin", std::string(origin));
  }
  headers.emplace_back("Access-Control-Expose-Headers", "x-request-id, x-predicted-ms, Retry-After");
  return headers;
}

bool CorsPolicy::IsPreflight(const HttpRequest& request) const {
  return on() && request.method == "OPTIONS" && !request.Header("Origin").empty() &&
         !request.Header("Access-Control-Request-Method").empty();
}

CorsPolicy::Headers CorsPolicy::PreflightHeaders(const HttpRequest& request, std::string_view methods) const {
  if (!any_ && !Allows(request.Header("Origin"))) return {};
  // The wildcard does not stand for Authorization, and clients send headers of their own (x-stainless-...): the wish is
  // repeated.
  const std::string_view wanted = request.Header("Access-Control-Request-Headers");
  Headers headers = {{"Access-Control-Allow-Methods", std::string(methods)}, {"Access-Control-Max-Age", "600"}};
  if (!wanted.empty() && IsNameList(wanted)) headers.emplace_back("Access-Control-Allow-Headers", std::string(wanted));
  headers.emplace_back("Vary", "Access-Control-Request-Headers");
  return headers;
}

}  // namespace tenfold::server
