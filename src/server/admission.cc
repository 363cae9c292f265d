#include "server/admission.h"

#include "server/service.h"

namespace tenfold::server {

std::optional<api::ApiError> RefuseWhileDraining(const Service& service) {
  if (!service.draining) return std::nullopt;
  return api::Unavailable("The server is shutting down.", service.RestartSeconds());
}

std::optional<api::ApiError> RefuseAtArrival(const Service& service) {
  if (auto draining = RefuseWhileDraining(service)) return draining;
  if (service.generations.size() < service.config.max_requests) return std::nullopt;
  return api::Overloaded("Too many requests are waiting.", service.RetryAfterSeconds());
}

std::optional<api::ApiError> RefuseDemand(const Service& service, const Demand& demand) {
  if (service.choices + demand.choices <= service.config.max_requests) return std::nullopt;
  return api::Overloaded("Too many requests are waiting.", service.RetryAfterSeconds());
}

api::ApiError PreparationFull(const Service& service) {
  return api::Overloaded("Too many requests are being prepared.", service.RetryAfterSeconds());
}

}  // namespace tenfold::server
