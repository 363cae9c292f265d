// Request bodies: any bytes give a struct or an error body that is JSON; nothing else happens.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/generation_request.h"
#include "api/json_body.h"
#include "api/text_request.h"

namespace {

template <class T>
void MustExplain(const tenfold::api::Parsed<T>& parsed) {
  if (parsed.ok()) return;
  if (parsed.error().status < 400 || parsed.error().message.empty()) std::abort();
  if (!tenfold::api::ParseObject(tenfold::api::ErrorBody(parsed.error())).ok()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  MustExplain(tenfold::api::ParseChatRequest(body));
  MustExplain(tenfold::api::ParseCompletionRequest(body));
  MustExplain(tenfold::api::ParseTokenizeRequest(body));
  MustExplain(tenfold::api::ParseDetokenizeRequest(body));
  return 0;
}
