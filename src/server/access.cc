#include "server/access.h"

namespace tenfold::server {
namespace {

std::string_view SentKey(const HttpRequest& request) {
  constexpr std::string_view kBearer = "Bearer ";
  const std::string_view authorization = request.Header("Authorization");
  if (authorization.size() > kBearer.size() && EqualIgnoreCase(authorization.substr(0, kBearer.size()), kBearer)) {
    return authorization.substr(kBearer.size());
  }
  return request.Header("X-Api-Key");
}

// A page from elsewhere in the operator's own browser is a loopback peer too; its Origin, or the Host of a name that
// was rebound to 127.0.0.1, gives it away.
bool IsLocalCaller(const HttpRequest& request) {
  if (!request.loopback_peer || !IsLocalAuthority(request.Header("Host"))) return false;
  std::string_view origin = request.Header("Origin");
  if (origin.empty()) return true;
  const size_t scheme = origin.find("://");
  return scheme != std::string_view::npos && IsLocalAuthority(origin.substr(scheme + 3));
}

}  // namespace

bool IsLocalAuthority(std::string_view authority) {
  std::string_view host = authority;
  if (!host.empty() && host.front() == '[') {
    const size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    host = host.substr(1, end - 1);
  } else {
    host = host.substr(0, host.find(':'));
  }
  return host == "127.0.0.1" || host == "::1" || EqualIgnoreCase(host, "localhost");
}

std::optional<api::ApiError> Refusal(Access access, const KeyRing& keys, HttpRequest* request) {
  if (!keys.empty()) {
    const std::optional<std::string> name = keys.Find(SentKey(*request));
    request->key_name = name.value_or("");
    if (name || access == Access::kOpen) return std::nullopt;
    return api::Unauthorized("The API key is missing or wrong; send it as 'Authorization: Bearer KEY'.");
  }
  if (access == Access::kAdmin && !IsLocalCaller(*request)) {
    return api::Forbidden(
        "Without --api-key, /admin answers only callers on this machine whose Host and Origin are local.");
  }
  return std::nullopt;
}

}  // namespace tenfold::server
