#include "server/service.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/log.h"
#include "server/exchange.h"

namespace tenfold::server {

Service::Service(const Config& config_in, const ConnectionHost& host_in, IoLoop& loop_in, engine::Engine& engine_in,
                 EngineInbox& inbox_in, PreparationPool& pool_in, Metrics& metrics_in)
    : config(config_in),
      host(host_in),
      loop(loop_in),
      engine(engine_in),
      inbox(inbox_in),
      pool(pool_in),
      metrics(metrics_in),
      gate(loop_in, engine_in, config_in.max_requests, config_in.max_held_bytes),
      keys(config_in.api_keys),
      cors(config_in.cors_origins) {}

std::shared_ptr<const chat::ChatTemplate> Service::TemplateOf(const ModelPtr& model) {
  if (template_ == nullptr || template_model_.lock() != model) {
    const std::string& source = config.chat_template.empty() ? model->chat_template : config.chat_template;
    template_ = std::make_shared<const chat::ChatTemplate>(source, *model->tokenizer);
    template_model_ = model;
    if (!template_->problem().empty()) Log(LogLevel::kWarn, template_->problem());
  }
  return template_;
}

StatusInput Service::Status(const ModelPtr& model) const {
  StatusInput input;
  input.snapshot = engine.snapshot();
  input.served = config.model;
  input.tuning = config.tuning;
  input.model = model.get();
  input.held = static_cast<int64_t>(gate.held());
  input.draining = draining;
  input.stuck_us = config.stuck_us;
  if (template_ != nullptr && !template_model_.expired()) {
    input.chat_template_problem = template_->problem();
    input.chat_template = template_->source();
  }
  return input;
}

int Service::RetryAfterSeconds() const {
  const engine::Snapshot s = engine.snapshot();
  const double parallel = static_cast<double>(std::max<int64_t>(1, s.optimization.parallel));
  const double seconds = metrics.mean_request_s() * static_cast<double>(s.waiting + 1) / parallel;
  return static_cast<int>(std::clamp(std::ceil(seconds), 1.0, 60.0));
}

int Service::RestartSeconds() const {
  const engine::Snapshot s = engine.snapshot();
  const double left_s = std::max(0.0, static_cast<double>(drain_ends_us - NowUs()) * 1e-6);
  const double running_s = generations.empty() ? 0 : std::min(left_s, std::max(1.0, metrics.mean_request_s()));
  return static_cast<int>(std::clamp(std::ceil(running_s + s.load_s + 1), 2.0, 60.0));
}

void Service::Answer(Exchange& exchange, const api::ApiError& error) {
  metrics.CountRejected(error.code == "server_is_overloaded"         ? "overloaded"
                        : error.code == "deadline_exceeded"          ? "deadline"
                        : error.code == "deadline_not_met"           ? "deadline"
                        : error.status == 503                        ? "unavailable"
                        : error.status == 501                        ? "not_supported"
                        : error.status == 401 || error.status == 403 ? "not_allowed"
                        : error.status < 500                         ? "invalid"
                                                                     : "internal");
  exchange.Respond(ErrorResponse(WithId(error, exchange)));
}

}  // namespace tenfold::server
