#include "server/text_routes.h"

#include <fmt/format.h>

#include <functional>
#include <string>
#include <utility>

#include "api/text_request.h"

namespace tenfold::server {
namespace {

using Work = std::function<api::Parsed<std::string>(const tokenizer::Tokenizer&, const std::string& body)>;

api::Parsed<std::string> Tokenize(const tokenizer::Tokenizer& tokenizer, const std::string& body) {
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

api::Parsed<std::string> Detokenize(const tokenizer::Tokenizer& tokenizer, const std::string& body) {
  api::Parsed<api::DetokenizeRequest> request = api::ParseDetokenizeRequest(body);
  if (!request.ok()) return request.error();
  for (size_t i = 0; i < request->tokens.size(); ++i) {
    if (request->tokens[i] < tokenizer.vocab_size()) continue;
    return api::InvalidRequest("tokens", fmt::format("'tokens[{}]' is {}, but the vocabulary has {} tokens.", i,
                                                     request->tokens[i], tokenizer.vocab_size()));
  }
  return api::DetokenizeAnswer(tokenizer.Decode(request->tokens, /*render_special=*/true));
}

// Waits for the model, does `work` on the pool, answers. A client that went away is noticed when the answer is written.
void Handle(Service& service, std::shared_ptr<Exchange> exchange, Work work) {
  auto body = std::make_shared<const std::string>(std::move(exchange->request().body));
  service.gate.Enter(body->size(), [&service, exchange, body, work = std::move(work)](api::Parsed<ModelPtr> model) {
    if (exchange->gone()) return;
    if (!model.ok()) return service.Answer(*exchange, model.error());
    const bool posted = service.Prepare<std::string>(
        body->size(), [model = *model, body, work] { return work(*model->tokenizer, *body); },
        [&service, exchange](api::Parsed<std::string> json) {
          if (json.ok()) {
            exchange->Respond(JsonResponse(200, std::move(*json)));
          } else {
            service.Answer(*exchange, json.error());
          }
        });
    if (!posted) {
      service.Answer(*exchange, api::Overloaded("Too many requests are being prepared.", service.RetryAfterSeconds()));
    }
  });
}

}  // namespace

void HandleTokenize(Service& service, std::shared_ptr<Exchange> exchange) {
  Handle(service, std::move(exchange), Tokenize);
}

void HandleDetokenize(Service& service, std::shared_ptr<Exchange> exchange) {
  Handle(service, std::move(exchange), Detokenize);
}

}  // namespace tenfold::server
