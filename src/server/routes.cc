#include "server/routes.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/json_body.h"
#include "api/json_writer.h"
#include "base/log.h"
#include "server/access.h"
#include "server/admission.h"
#include "server/generation.h"
#include "server/status_json.h"
#include "server/text_routes.h"

namespace tenfold::server {
namespace {

using ExchangePtr = std::shared_ptr<Exchange>;

void Health(Service& s, ExchangePtr e) { e->Respond(HealthResponse(s.Status(nullptr))); }
void Live(Service& s, ExchangePtr e) { e->Respond(LiveResponse(s.Status(nullptr))); }
void Ready(Service& s, ExchangePtr e) { e->Respond(ReadyResponse(s.Status(nullptr))); }

void MetricsText(Service& s, ExchangePtr e) {
  s.inbox.Flush();
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = s.metrics.Render(s.engine.snapshot(), {.held = static_cast<int64_t>(s.gate.held()),
                                                         .connections = static_cast<int64_t>(s.host.open.size()),
                                                         .idle_connections = static_cast<int64_t>(s.host.idle.size()),
                                                         .generations = static_cast<int64_t>(s.generations.size()),
                                                         .receiving_bytes = s.host.body_bytes,
                                                         .draining = s.draining});
  e->Respond(std::move(response));
}

void Models(Service& s, ExchangePtr e) {
  const ModelPtr model = s.engine.model();
  e->Respond(JsonResponse(200, ModelsJson(s.Status(model))));
}

void Props(Service& s, ExchangePtr e) {
  const ModelPtr model = s.engine.model();
  e->Respond(JsonResponse(200, PropsJson(s.Status(model))));
}

void Slots(Service& s, ExchangePtr e) {
  const ModelPtr model = s.engine.model();
  std::vector<SlotState> unfinished;
  for (const auto& [key, generation] : s.generations) generation->AddSlots(&unfinished);
  e->Respond(JsonResponse(200, SlotsJson(s.Status(model), std::move(unfinished))));
}

void Chat(Service& s, ExchangePtr e) { Generation::Start(s, std::move(e), api::Shape::kChat); }
void Completion(Service& s, ExchangePtr e) { Generation::Start(s, std::move(e), api::Shape::kCompletion); }

HttpResponse StateResponse(int status, std::string_view state) {
  api::JsonWriter w;
  w.BeginObject().Key("status").String(state).EndObject();
  return JsonResponse(status, std::move(w).Take());
}

// An empty body, or an object that names at most the configured model: nothing else can be loaded.
std::optional<api::ApiError> AdminBodyError(const Service& s, const std::string& body) {
  if (body.empty()) return std::nullopt;
  api::Parsed<boost::json::object> object = api::ParseObject(body);
  if (!object.ok()) return object.error();
  api::FieldReader reader(*object);
  std::string model;
  reader.String("model", &model);
  reader.RefuseRest();
  if (reader.failed()) return reader.error();
  if (!model.empty() && model != s.config.model.name) return api::ModelNotFound(model);
  return std::nullopt;
}

void AdminLoad(Service& s, ExchangePtr e) {
  if (const auto error = AdminBodyError(s, e->request().body)) return s.Answer(*e, *error);
  if (const auto refusal = RefuseWhileDraining(s)) return s.Answer(*e, *refusal);
  if (s.engine.snapshot().state == engine::LoadState::kReady) return e->Respond(StateResponse(200, "ready"));
  if (Status started = s.engine.StartLoad(); !started.ok()) return s.Answer(*e, api::FromError(started.error()));
  e->Respond(StateResponse(202, "loading"));
}

void AdminUnload(Service& s, ExchangePtr e) {
  if (const auto error = AdminBodyError(s, e->request().body)) return s.Answer(*e, *error);
  s.engine.StartUnload();
  e->Respond(StateResponse(202, "not_loaded"));
}

struct Route {
  std::string_view method;
  std::string_view path;
  Access access;
  void (*handle)(Service&, ExchangePtr);
};

constexpr Route kRoutes[] = {
    {"GET", "/health", Access::kOpen, Health},
    {"GET", "/v1/health", Access::kOpen, Health},
    {"GET", "/livez", Access::kOpen, Live},
    {"GET", "/readyz", Access::kOpen, Ready},
    {"GET", "/metrics", Access::kOpen, MetricsText},
    {"GET", "/v1/models", Access::kKey, Models},
    {"GET", "/props", Access::kKey, Props},
    {"GET", "/slots", Access::kKey, Slots},
    {"POST", "/tokenize", Access::kKey, HandleTokenize},
    {"POST", "/detokenize", Access::kKey, HandleDetokenize},
    {"POST", "/apply-template", Access::kKey, HandleApplyTemplate},
    {"POST", "/v1/completions", Access::kKey, Completion},
    {"POST", "/v1/chat/completions", Access::kKey, Chat},
    {"POST", "/admin/load", Access::kAdmin, AdminLoad},
    {"POST", "/admin/unload", Access::kAdmin, AdminUnload},
};

std::string Unescaped(std::string_view text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// GET /v1/models/{id}, the one path with a part that varies.
void OneModel(Service& s, Exchange& e) {
  const std::string id = Unescaped(std::string_view(e.request().path).substr(std::string_view("/v1/models/").size()));
  if (s.config.model.name.empty() || id != s.config.model.name) return s.Answer(e, api::ModelNotFound(id));
  const ModelPtr model = s.engine.model();
  e.Respond(JsonResponse(200, ModelJson(s.Status(model))));
}

const Route* FindRoute(std::string_view method, std::string_view path, std::string* allowed) {
  static constexpr Route kOneModel{"GET", "/v1/models/", Access::kKey, nullptr};
  const auto matches = [&](const Route& route) {
    const std::string_view get = route.method;
    if (allowed->empty()) *allowed = get == "GET" ? "GET, HEAD, OPTIONS" : std::string(get) + ", OPTIONS";
    return method == get || (method == "HEAD" && get == "GET");
  };
  if (path.substr(0, kOneModel.path.size()) == kOneModel.path && path.size() > kOneModel.path.size()) {
    return matches(kOneModel) ? &kOneModel : nullptr;
  }
  for (const Route& route : kRoutes) {
    if (route.path == path && matches(route)) return &route;
  }
  return nullptr;
}

}  // namespace

void Dispatch(Service& service, ExchangePtr exchange) {
  HttpRequest& request = exchange->request();
  exchange->AddHeaders(service.cors.HeadersFor(request));
  std::string allowed;
  const Route* route = FindRoute(request.method, request.path, &allowed);
  if (route == nullptr && allowed.empty()) {
    return service.Answer(*exchange, api::RouteNotFound(request.method, std::string_view(request.path).substr(0, 200)));
  }
  if (route == nullptr) {
    HttpResponse response;
    if (request.method == "OPTIONS") {
      response.status = 204;
      response.content_type.clear();
      if (service.cors.IsPreflight(request)) exchange->AddHeaders(service.cors.PreflightHeaders(request, allowed));
    } else {
      response = ErrorResponse(WithId(api::MethodNotAllowed(request.method, request.path, allowed), *exchange));
      service.metrics.CountRejected("invalid");
    }
    response.headers.emplace_back("Allow", allowed);
    return exchange->Respond(std::move(response));
  }
  if (const auto refusal = Refusal(route->access, service.keys, &request)) {
    return service.Answer(*exchange, *refusal);
  }
  if (route->handle == nullptr) return OneModel(service, *exchange);
  route->handle(service, std::move(exchange));
}

}  // namespace tenfold::server
