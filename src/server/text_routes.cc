#include "server/text_routes.h"

#include <fmt/format.h>

#include <functional>
#include <string>
#include <utility>

#include "api/json_writer.h"
#include "api/text_request.h"
#include "server/admission.h"
#include "server/prepare.h"

namespace tenfold::server {
namespace {

struct Loaded {
  ModelPtr model;
  std::shared_ptr<const chat::ChatTemplate> chat_template;
};
using Work = std::function<api::Parsed<std::string>(const Loaded&, const std::string& body)>;

api::Parsed<std::string> Tokenize(const Loaded& loaded, const std::string& body) {
  const tokenizer::Tokenizer& tokenizer = *loaded.model->tokenizer;
  api::Parsed<api::TokenizeRequest> request = api::ParseTokenizeRequest(body);
  if (!request.ok()) return request.error();
  const std::vector<tokenizer::TokenId> ids = tokenizer.Encode(
      request->content, {.add_special = request->add_special, .parse_special = request->parse_special});
  if (!request->with_pieces) return api::TokenizeAnswer(ids, nullptr);
  std::vector<std::string> pieces;
  pieces.reserve(ids.size());
  for (tokenizer::TokenId id : ids) pieces.push_back(tokenizer.TokenBytes(id, /*render_special=*/true));
  return api::TokenizeAnswer(ids, &pieces);
}

api::Parsed<std::string> Detokenize(const Loaded& loaded, const std::string& body) {
  const tokenizer::Tokenizer& tokenizer = *loaded.model->tokenizer;
  api::Parsed<api::DetokenizeRequest> request = api::ParseDetokenizeRequest(body);
  if (!request.ok()) return request.error();
  for (size_t i = 0; i < request->tokens.size(); ++i) {
    if (request->tokens[i] < tokenizer.vocab_size()) continue;
    return api::InvalidRequest("tokens", fmt::format("'tokens[{}]' is {}, but the vocabulary has {} tokens.", i,
                                                     request->tokens[i], tokenizer.vocab_size()));
  }
  return api::DetokenizeAnswer(tokenizer.Decode(request->tokens, /*render_special=*/true));
}

api::Parsed<std::string> ApplyTemplate(const Loaded& loaded, const std::string& body) {
  api::Parsed<api::ChatRequest> request = api::ParseChatRequest(body);
  if (!request.ok()) return request.error();
  api::Parsed<jinja::MarkedText> prompt = RenderChat(*loaded.model, *loaded.chat_template, *request);
  if (!prompt.ok()) return prompt.error();
  api::JsonWriter w;
  w.BeginObject().Key("prompt").String(prompt->bytes()).EndObject();
  return std::move(w).Take();
}

// Waits for the model, does `work` on the pool, answers. A client that went away is noticed when the answer is written.
void Handle(Service& service, std::shared_ptr<Exchange> exchange, Work work) {
  if (const auto refusal = RefuseWhileDraining(service)) return service.Answer(*exchange, *refusal);
  auto body = std::make_shared<const std::string>(std::move(exchange->request().body));
  service.gate.Enter(body->size(), [&service, exchange, body, work = std::move(work)](api::Parsed<ModelPtr> model) {
    if (exchange->gone()) return;
    if (!model.ok()) return service.Answer(*exchange, model.error());
    const bool posted = service.Prepare<std::string>(
        body->size(), [loaded = Loaded{*model, service.TemplateOf(*model)}, body, work] { return work(loaded, *body); },
        [&service, exchange](api::Parsed<std::string> json) {
          if (json.ok()) {
            exchange->Respond(JsonResponse(200, std::move(*json)));
          } else {
            service.Answer(*exchange, json.error());
          }
        });
    if (!posted) service.Answer(*exchange, PreparationFull(service));
  });
}

}  // namespace

void HandleTokenize(Service& service, std::shared_ptr<Exchange> exchange) {
  Handle(service, std::move(exchange), Tokenize);
}

void HandleDetokenize(Service& service, std::shared_ptr<Exchange> exchange) {
  Handle(service, std::move(exchange), Detokenize);
}

void HandleApplyTemplate(Service& service, std::shared_ptr<Exchange> exchange) {
  Handle(service, std::move(exchange), ApplyTemplate);
}

}  // namespace tenfold::server
