// Which path and method is answered by whom, under which access rule.
#pragma once

#include <memory>

#include "server/exchange.h"
#include "server/service.h"

namespace tenfold::server {

// Answers every request there is, if only with 404 or 405. I/O thread only.
void Dispatch(Service& service, std::shared_ptr<Exchange> exchange);

}  // namespace tenfold::server
