// What a client is told when a request fails: HTTP status, OpenAI error type, and one sentence.
//
// The one table from ErrorCode to HTTP lives here; no other file chooses a status for an Error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace tenfold::api {

// One failed request. `param` and `code` are JSON null when empty.
struct ApiError {
  int status = 500;
  std::string type = "server_error";
  std::string message;
  std::string param;
  std::string code;
  int retry_after_s = -1;        // >= 0: sent as Retry-After, and the client may try again
  std::string request_id{};      // of the request that failed, where it is known: what to look for in the log
  int64_t n_prompt_tokens = -1;  // both >= 0 in exceed_context_size_error only
  int64_t n_ctx = -1;
  double predicted_s = -1;   // >= 0: in how many seconds the whole answer would have been there
  bool should_retry = true;  // false: the same request would be refused again; clients are told so
};

// A value, or the error that the client gets. Like Result<T>, with more to say. Any thread; move freely.
template <class T>
class [[nodiscard]] Parsed {
 public:
  Parsed(T value) : value_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  Parsed(ApiError error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)
  bool ok() const { return value_.has_value(); }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  const ApiError& error() const { return error_; }

 private:
  std::optional<T> value_;
  ApiError error_;
};

// The table: an Error of any room as HTTP. kUnavailable and kResourceExhausted get Retry-After: 1 unless changed.
ApiError FromError(const Error& error);

ApiError InvalidRequest(std::string param, std::string message);         // 400 invalid_request_error
ApiError NotSupported(std::string param, std::string message);           // 501 not_supported_error
ApiError Unauthorized(std::string message);                              // 401 authentication_error
ApiError Forbidden(std::string message);                                 // 403 permission_error
ApiError RouteNotFound(std::string_view method, std::string_view path);  // 404 not_found_error
ApiError MethodNotAllowed(std::string_view method, std::string_view path, std::string_view allowed);  // 405
ApiError ModelNotFound(std::string_view model);                 // 404, code model_not_found
ApiError BodyTooLarge(uint64_t limit_bytes);                    // 413
ApiError Unavailable(std::string message, int retry_after_s);   // 503 service_unavailable_error
ApiError Overloaded(std::string message, int retry_after_s);    // 503, code server_is_overloaded
ApiError DeadlineExceeded(int64_t limit_s, int retry_after_s);  // 503, code deadline_exceeded
// 503, code deadline_not_met: the answer would be late. retry_after_s < 0: asking again would not help.
ApiError DeadlineNotMet(double deadline_s, double predicted_s, int retry_after_s);
// 504, code deadline_exceeded: it was late after all.
ApiError DeadlineMissed(double deadline_s);
// 400 exceed_context_size_error: prompt + answer do not fit n_ctx.
ApiError ContextExceeded(int64_t n_prompt_tokens, int64_t max_new_tokens, int64_t n_ctx);

// {"error":{...}} for a body or an SSE event.
std::string ErrorBody(const ApiError& error);

}  // namespace tenfold::api
