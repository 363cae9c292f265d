// Who may call what: the API key, and the loopback rule that protects /admin where there is no key.
#pragma once

#include <optional>
#include <string_view>

#include "api/api_error.h"
#include "server/http_message.h"
#include "server/key_ring.h"

namespace tenfold::server {

enum class Access {
  kOpen,   // probes and metrics
  kKey,    // the API key, where one is set
  kAdmin,  // the API key, or, where none is set, a loopback peer whose Host and Origin are local
};

// Nothing when allowed, else 401 or 403. Sets request->key_name where a key of the ring was sent.
std::optional<api::ApiError> Refusal(Access access, const KeyRing& keys, HttpRequest* request);

// "127.0.0.1:8080", "localhost", "[::1]:80": a name that only this machine answers to.
bool IsLocalAuthority(std::string_view authority);

}  // namespace tenfold::server
