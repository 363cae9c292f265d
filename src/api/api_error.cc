#include "api/api_error.h"

#include <fmt/format.h>

#include "api/json_writer.h"

namespace tenfold::api {
namespace {

ApiError Make(int status, std::string type, std::string message, std::string param = "", std::string code = "") {
  ApiError error;
  error.status = status;
  error.type = std::move(type);
  error.message = std::move(message);
  error.param = std::move(param);
  error.code = std::move(code);
  return error;
}

}  // namespace

ApiError FromError(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
      return Make(400, "invalid_request_error", error.message);
    case ErrorCode::kNotFound:
      return Make(404, "not_found_error", error.message);
    case ErrorCode::kUnsupported:
      return Make(501, "not_supported_error", error.message);
    case ErrorCode::kResourceExhausted:
      return Overloaded(error.message, 1);
    case ErrorCode::kUnavailable:
      return Unavailable(error.message, 1);
    case ErrorCode::kCancelled:
      return Make(499, "server_error", error.message, "", "cancelled");
    case ErrorCode::kCorrupt:
    case ErrorCode::kIo:
    case ErrorCode::kInternal:
      break;
  }
  return Make(500, "server_error", error.message);
}

ApiError InvalidRequest(std::string param, std::string message) {
  return Make(400, "invalid_request_error", std::move(message), std::move(param));
}

ApiError NotSupported(std::string param, std::string message) {
  return Make(501, "not_supported_error", std::move(message), std::move(param), "not_supported");
}

ApiError Unauthorized(std::string message) {
  return Make(401, "authentication_error", std::move(message), "", "invalid_api_key");
}

ApiError Forbidden(std::string message) { return Make(403, "permission_error", std::move(message)); }

ApiError RouteNotFound(std::string_view method, std::string_view path) {
  return Make(404, "not_found_error", fmt::format("There is no route {} {}.", method, path), "", "unknown_url");
}

ApiError MethodNotAllowed(std::string_view method, std::string_view path, std::string_view allowed) {
  return Make(405, "invalid_request_error", fmt::format("{} does not take {}; use {}.", path, method, allowed), "",
              "method_not_allowed");
}

ApiError ModelNotFound(std::string_view model) {
  return Make(404, "not_found_error",
              fmt::format("The model '{}' does not exist here; GET /v1/models lists the one that does.", model),
              "model", "model_not_found");
}

ApiError BodyTooLarge(uint64_t limit_bytes) {
  return Make(413, "invalid_request_error",
              fmt::format("The request body is larger than the limit of {} bytes.", limit_bytes), "",
              "request_too_large");
}

ApiError Unavailable(std::string message, int retry_after_s) {
  ApiError error = Make(503, "service_unavailable_error", std::move(message));
  error.retry_after_s = retry_after_s;
  return error;
}

ApiError Overloaded(std::string message, int retry_after_s) {
  ApiError error = Make(503, "service_unavailable_error", std::move(message), "", "server_is_overloaded");
  error.retry_after_s = retry_after_s;
  return error;
}

ApiError DeadlineExceeded(int64_t limit_s, int retry_after_s) {
  ApiError error =
      Make(503, "service_unavailable_error",
           fmt::format("The answer was not complete within the {} s that this server gives a request.", limit_s), "",
           "deadline_exceeded");
  error.retry_after_s = retry_after_s;
  return error;
}

ApiError DeadlineNotMet(double deadline_s, double predicted_s, int retry_after_s) {
  ApiError error =
      Make(503, "service_unavailable_error",
           fmt::format("The answer is predicted to take {:.1f} s, longer than the deadline of {:.1f} s; {}",
                       predicted_s, deadline_s,
                       retry_after_s < 0 ? "that is so on an idle machine too: ask for fewer tokens or allow "
                                           "more time."
                                         : "the server is busy, ask again later."),
           "", "deadline_not_met");
  error.retry_after_s = retry_after_s;
  error.predicted_s = predicted_s;
  error.should_retry = retry_after_s >= 0;
  return error;
}

ApiError DeadlineMissed(double deadline_s) {
  return Make(504, "service_unavailable_error",
              fmt::format("The answer was not complete within its deadline of {:.1f} s.", deadline_s), "",
              "deadline_exceeded");
}

ApiError ContextExceeded(int64_t n_prompt_tokens, int64_t max_new_tokens, int64_t n_ctx) {
  ApiError error = Make(
      400, "exceed_context_size_error",
      max_new_tokens < 0
          ? fmt::format("The prompt has {} tokens, which leaves no room for an answer in the context of {} tokens; "
                        "shorten the prompt or start the server with a larger -c.",
                        n_prompt_tokens, n_ctx)
          : fmt::format("The prompt has {} tokens and max_tokens is {}, together {}, but the context is {} tokens; "
                        "shorten the prompt or lower max_tokens.",
                        n_prompt_tokens, max_new_tokens, n_prompt_tokens + max_new_tokens, n_ctx),
      "", "context_length_exceeded");
  error.n_prompt_tokens = n_prompt_tokens;
  error.n_ctx = n_ctx;
  return error;
}

std::string ErrorBody(const ApiError& error) {
  JsonWriter w;
  w.BeginObject().Key("error").BeginObject();
  w.Key("message").String(error.message).Key("type").String(error.type);
  w.Key("param").StringOrNull(error.param).Key("code").StringOrNull(error.code);
  if (!error.request_id.empty()) w.Key("request_id").String(error.request_id);
  if (error.n_ctx >= 0) w.Key("n_prompt_tokens").Int(error.n_prompt_tokens).Key("n_ctx").Int(error.n_ctx);
  if (error.predicted_s >= 0) w.Key("predicted_seconds").Double(error.predicted_s);
  w.EndObject().EndObject();
  return std::move(w).Take();
}

}  // namespace tenfold::api
