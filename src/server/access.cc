#include "server/access.h"

namespace tenfold::server {
namespace {

bool HasKey(const HttpRequest& request, std::string_view api_key) {
  constexpr std::string_view kBearer = "Bearer ";
  const std::string_view authorization = request.Header("Authorization");
  if (authorization.size() > kBearer.size() && EqualIgnoreCase(authorization.substr(0, kBearer.size()), kBearer)) {
    return EqualConstantTime(authorization.substr(kBearer.size()), api_key);
  }
  return EqualConstantTime(request.Header("X-Api-Key"), api_key);
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

bool EqualConstantTime(std::string_view a, std::string_view b) {
  unsigned char difference = a.size() != b.size();
  for (size_t i = 0; i < a.size() && !b.empty(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i % b.size()]);
  }
  return difference == 0;
}

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

std::optional<api::ApiError> Refusal(Access access, const HttpRequest& request, std::string_view api_key) {
  if (access == Access::kOpen) return std::nullopt;
  if (!api_key.empty()) {
    if (HasKey(request, api_key)) return std::nullopt;
    return api::Unauthorized("The API key is missing or wrong; send it as 'Authorization: Bearer KEY'.");
  }
  if (access == Access::kAdmin && !IsLocalCaller(request)) {
    return api::Forbidden(
        "Without --api-key, /admin answers only callers on this machine whose Host and Origin are local.");
  }
  return std::nullopt;
}

}  // namespace tenfold::server
