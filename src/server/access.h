// Who may call what: the API key, and the loopback rule that protects /admin where there is no key.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/api_error.h"
#include "server/http_message.h"

namespace tenfold::server {

enum class Access {
  kOpen,   // probes and metrics
  kKey,    // the API key, where one is set
  kAdmin,  // the API key, or, where none is set, a loopback peer whose Host and Origin are local
};

// Nothing when allowed, else 401 or 403. An empty `api_key` means that none is set.
std::optional<api::ApiError> Refusal(Access access, const HttpRequest& request, std::string_view api_key);

// Time depends on the lengths only.
bool EqualConstantTime(std::string_view a, std::string_view b);

// "127.0.0.1:8080", "localhost", "[::1]:80": a name that only this machine answers to.
bool IsLocalAuthority(std::string_view authority);

}  // namespace tenfold::server
