#include "server/admission.h"

#define XXH_INLINE_ALL  // the header holds the whole library
#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "base/clock.h"
#include "server/service.h"

namespace tenfold::server {
namespace {

constexpr int64_t kMostDeadlineMs = 24LL * 3600 * 1000;

double Seconds(int64_t us) { return static_cast<double>(us) * 1e-6; }
int RoundedUpSeconds(int64_t us) { return static_cast<int>(std::clamp(std::ceil(Seconds(us)), 1.0, 86400.0)); }

// The three kinds of name cannot be mistaken for each other.
uint64_t Hash(char kind, std::string_view name) {
  return XXH3_64bits_withSeed(name.data(), name.size(), static_cast<uint64_t>(kind));
}

}  // namespace

uint64_t Fingerprint(std::string_view body) { return Hash('b', body); }

uint64_t TenantOf(const HttpRequest& request, const api::GenerationOptions& options) {
  if (!request.key_name.empty()) return Hash('k', request.key_name);
  if (!options.user.empty()) return Hash('u', options.user);
  return Hash('a', request.peer);
}

api::Parsed<int64_t> DeadlineOf(const HttpRequest& request, const api::GenerationOptions& options, int64_t slo_us) {
  int64_t ms = options.deadline_ms;
  if (const std::string_view header = request.Header("x-deadline-ms"); ms < 0 && !header.empty()) {
    const auto [end, ec] = std::from_chars(header.data(), header.data() + header.size(), ms);
    if (ec != std::errc() || end != header.data() + header.size() || ms < 1 || ms > kMostDeadlineMs) {
      return api::InvalidRequest("x-deadline-ms",
                                 "The header 'x-deadline-ms' must be a whole number of milliseconds, 1 to 86400000.");
    }
  }
  if (ms >= 0) return request.received_us + ms * 1000;
  return slo_us > 0 ? request.received_us + slo_us : int64_t{-1};
}

std::optional<api::ApiError> RefuseDuringLoad(const Service& service, int64_t received_us, int64_t deadline_us) {
  if (deadline_us < 0) return std::nullopt;
  const engine::Snapshot s = service.engine.snapshot();
  if (s.state != engine::LoadState::kLoading || s.load_eta_s < 0) return std::nullopt;
  const int64_t ready_us = NowUs() + static_cast<int64_t>(s.load_eta_s * 1e6);
  if (ready_us <= deadline_us) return std::nullopt;
  return api::DeadlineNotMet(Seconds(deadline_us - received_us), Seconds(ready_us - received_us),
                             RoundedUpSeconds(ready_us - NowUs()));
}

std::optional<api::ApiError> RefuseWhileDraining(const Service& service) {
  if (!service.draining) return std::nullopt;
  return api::Unavailable("The server is shutting down.", service.RestartSeconds());
}

std::optional<api::ApiError> RefuseAtArrival(const Service& service) {
  if (auto draining = RefuseWhileDraining(service)) return draining;
  if (service.generations.size() < service.config.max_requests) return std::nullopt;
  return api::Overloaded("Too many requests are waiting.", service.RetryAfterSeconds());
}

std::optional<api::ApiError> RefuseDemand(Service& service, const Demand& demand, engine::Prediction* prediction) {
  if (demand.choices > service.config.max_requests) {  // for good: asking again would not help
    return api::InvalidRequest("n", "The request asks for " + std::to_string(demand.choices) +
                                        " answers, more than the server takes at once, " +
                                        std::to_string(service.config.max_requests) + ".");
  }
  if (service.choices + demand.choices > service.config.max_requests) {
    return api::Overloaded("Too many requests are waiting.", service.RetryAfterSeconds());
  }
  *prediction = service.engine.Predict({.tenant = demand.tenant,
                                        .fingerprint = demand.fingerprint,
                                        .prompt_tokens = demand.prompt_tokens,
                                        .max_new_tokens = demand.most_generated,
                                        .choices = static_cast<int64_t>(demand.choices),
                                        .deadline_us = demand.deadline_us});
  if (prediction->in_time) return std::nullopt;
  const int64_t waited_us = NowUs() - demand.received_us;
  return api::DeadlineNotMet(Seconds(demand.deadline_us - demand.received_us), Seconds(waited_us + prediction->done_us),
                             prediction->ever ? RoundedUpSeconds(prediction->retry_after_us) : -1);
}

api::ApiError PreparationFull(const Service& service) {
  return api::Overloaded("Too many requests are being prepared.", service.RetryAfterSeconds());
}

}  // namespace tenfold::server
