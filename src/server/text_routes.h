// /tokenize and /detokenize: held like generations until the model is there, then done on a preparation thread.
#pragma once

#include <memory>

#include "server/exchange.h"
#include "server/service.h"

namespace tenfold::server {

void HandleTokenize(Service& service, std::shared_ptr<Exchange> exchange);
void HandleDetokenize(Service& service, std::shared_ptr<Exchange> exchange);
// A chat request's body in, {"prompt": "..."} out: what the chat template makes of it.
void HandleApplyTemplate(Service& service, std::shared_ptr<Exchange> exchange);

}  // namespace tenfold::server
