#include "load/target.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <optional>

#include "load/curl_handles.h"

namespace tenfold::load {
namespace {

namespace json = boost::json;

constexpr long kAskTimeoutMs = 3000;
constexpr size_t kMaxFactBytes = size_t{1} << 16;  // in a result file
constexpr size_t kMaxBodyBytes = size_t{1} << 22;  // chat templates included

size_t AppendTo(char* bytes, size_t size, size_t count, void* text) {
  auto* body = static_cast<std::string*>(text);
  if (body->size() + size * count > kMaxBodyBytes) return 0;  // ends the transfer
  body->append(bytes, size * count);
  return size * count;
}

std::optional<json::object> GetObject(const std::string& url, const std::string& api_key) {
  if (!CurlReady()) return std::nullopt;
  const Easy easy(curl_easy_init());
  const Headers headers = MakeHeaders(api_key);
  std::string body;
  curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, kAskTimeoutMs);
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, &AppendTo);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &body);
  if (curl_easy_perform(easy.get()) != CURLE_OK) return std::nullopt;
  boost::system::error_code error;
  const json::value parsed = json::parse(body, error);
  if (error || !parsed.is_object()) return std::nullopt;
  return parsed.get_object();
}

const json::value* FirstOf(const json::object& models) {
  const json::value* data = models.if_contains("data");
  if (data == nullptr || !data->is_array() || data->get_array().empty()) return nullptr;
  return &data->get_array().front();
}

// Neither an error body nor pages of template belong into every result file.
void Keep(json::object& facts, std::string_view name, json::object fact) {
  for (const char* key : {"chat_template", "chat_template_tool_use", "chat_template_caps", "bos_token", "eos_token"}) {
    fact.erase(key);
  }
  if (fact.contains("error") || json::serialize(fact).size() > kMaxFactBytes) return;
  facts[name] = std::move(fact);
}

}  // namespace

std::optional<json::object> AskJson(const std::string& url) { return GetObject(url, ""); }

bool CurlReady() {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return ready;
}

Headers MakeHeaders(const std::string& api_key) {
  Headers headers(curl_slist_append(nullptr, "Content-Type: application/json"));
  if (!api_key.empty()) {
    const std::string line = "Authorization: Bearer " + api_key;
    curl_slist_append(headers.get(), line.c_str());
  }
  return headers;
}

Result<std::string> BaseUrl(const std::string& url) {
  std::string base = url;
  const auto strip = [&base] {
    while (base.ends_with('/')) base.pop_back();
  };
  strip();
  if (base.ends_with("/v1")) base.resize(base.size() - 3);
  strip();
  const size_t host = base.starts_with("http://") ? 7 : base.starts_with("https://") ? 8 : 0;
  if (host == 0 || base.size() <= host) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("URL: '{}' is not like http://127.0.0.1:8080", url)};
  }
  return base;
}

std::string FirstModel(const std::string& base, const std::string& api_key) {
  const std::optional<json::object> models = GetObject(base + "/v1/models", api_key);
  const json::value* first = models ? FirstOf(*models) : nullptr;
  const json::object* model = first == nullptr ? nullptr : first->if_object();
  const json::value* id = model == nullptr ? nullptr : model->if_contains("id");
  return id != nullptr && id->is_string() ? std::string(id->get_string()) : "";
}

json::object FactsOf(const std::string& base, const std::string& api_key) {
  json::object facts;
  if (auto props = GetObject(base + "/props", api_key)) Keep(facts, "props", std::move(*props));
  if (auto health = GetObject(base + "/health", api_key)) Keep(facts, "health", std::move(*health));
  if (auto models = GetObject(base + "/v1/models", api_key)) {
    const json::value* first = FirstOf(*models);
    if (first != nullptr && first->is_object()) Keep(facts, "model", first->get_object());
  }
  return facts;
}

}  // namespace tenfold::load
