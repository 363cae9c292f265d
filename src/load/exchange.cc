#include "load/exchange.h"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "base/clock.h"
#include "load/token_count.h"

namespace tenfold::load {
namespace {

namespace json = boost::json;
using results::Outcome;

constexpr size_t kMaxErrorBodyBytes = 16384;

double Seconds(int64_t us) { return static_cast<double>(us) / 1e6; }

// Seconds that the server asks to wait, whether it wrote a number or a date.
std::optional<double> RetryAfter(CURL* easy) {
  curl_header* header = nullptr;
  if (curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &header) != CURLHE_OK) return std::nullopt;
  curl_off_t seconds = 0;
  curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
  return static_cast<double>(seconds);
}

}  // namespace

std::string RequestBody(const Asking& asking, const std::string& model, const std::string& prompt) {
  json::array messages;
  if (!asking.system_prompt.empty()) {
    messages.push_back(json::object{{"role", "system"}, {"content", asking.system_prompt}});
  }
  messages.push_back(json::object{{"role", "user"}, {"content", prompt}});
  json::object body;
  if (!model.empty()) body["model"] = model;
  body["messages"] = std::move(messages);
  body["max_tokens"] = asking.max_tokens;
  body["temperature"] = 0;
  body["stream"] = true;
  body["stream_options"] = json::object{{"include_usage", true}};
  if (asking.ignore_eos) body["ignore_eos"] = true;
  return json::serialize(body);
}

Exchange::Exchange(Spec spec) : spec_(std::move(spec)), easy_(curl_easy_init()) {
  CURL* easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_URL, spec_.url.c_str());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, spec_.body.data());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(spec_.body.size()));
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, spec_.headers);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<int64_t>(1, spec_.timeout_us / 1000)));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Exchange::OnWrite);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, curl_message_);
}

size_t Exchange::OnWrite(char* bytes, size_t size, size_t count, void* self) {
  static_cast<Exchange*>(self)->OnBytes(std::string_view(bytes, size * count));
  return size * count;
}

void Exchange::OnBytes(std::string_view bytes) {
  long status = 0;
  curl_easy_getinfo(easy(), CURLINFO_RESPONSE_CODE, &status);
  if (status == 200) {
    answer_.OnBytes(bytes, NowUs());
  } else {
    error_body_.append(bytes.substr(0, kMaxErrorBodyBytes - std::min(kMaxErrorBodyBytes, error_body_.size())));
  }
}

void Exchange::End(CURLcode code, int64_t now_us) {
  code_ = code;
  end_us_ = now_us;
  ended_ = true;
}

Outcome Exchange::Classify(int64_t status, std::string* detail) const {
  if (status != 0 && status != 200) {
    *detail = ErrorMessageOf(error_body_);
    return Outcome::kHttpStatus;
  }
  if (!answer_.error().empty()) {
    *detail = answer_.error();
    return answer_.error_is_from_server() ? Outcome::kErrorEvent : Outcome::kNotAStream;
  }
  if (!answer_.done()) return ClassifyCut(detail);
  if (answer_.text_events() == 0) return Outcome::kEmpty;
  if (answer_.content().find(spec_.expect) == std::string::npos) {
    *detail = "the answer lacks '" + ErrorMessageOf(spec_.expect) + "'";
    return Outcome::kWrong;
  }
  return Outcome::kOk;
}

// Why there is no end of the stream.
Outcome Exchange::ClassifyCut(std::string* detail) const {
  *detail = curl_message_[0] != '\0' ? curl_message_ : curl_easy_strerror(code_);
  switch (code_) {
    case CURLE_OPERATION_TIMEDOUT:
      // libcurl's message has the milliseconds in it, which would make every timeout a kind of its own.
      *detail = answer_.text_events() == 0 ? "no token came" : "the answer had begun";
      return Outcome::kTimeout;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
      *detail = curl_easy_strerror(code_);  // libcurl's message has milliseconds here too
      return Outcome::kNoConnection;
    case CURLE_OK:
      if (answer_.ends_in_rubbish()) {
        *detail = "the answer is not an event stream";
        return Outcome::kNotAStream;
      }
      *detail = "the stream ended without [DONE]";
      return Outcome::kClosedEarly;
    default:
      return Outcome::kClosedEarly;
  }
}

void Exchange::TakeTimes(results::Request& record) const {
  const std::vector<int64_t>& times = answer_.token_times_us();
  if (times.empty()) return;
  record.first_token_s = Seconds(times.front() - start_us_);
  for (size_t i = 1; i < times.size(); ++i)
    record.gaps_ms.push_back(static_cast<double>(times[i] - times[i - 1]) / 1e3);
  if (answer_.prompt_ms() < 0) return;
  const double prefill_s = std::min(answer_.prompt_ms() / 1e3, record.first_token_s);
  record.prefill_s = prefill_s;
  // llama-server does not say how long a request waited for its slot; what is neither prompt nor answer was waiting.
  const double rest_s = record.first_token_s - prefill_s;
  record.queued_s = answer_.queue_ms() < 0 ? rest_s : std::min(answer_.queue_ms() / 1e3, rest_s);
}

results::Request Exchange::Conclude(int64_t now_us) {
  results::Request record = spec_.record;
  long status = 0;
  curl_easy_getinfo(easy(), CURLINFO_RESPONSE_CODE, &status);
  record.http_status = status;
  record.outcome = Classify(status, &record.detail);
  record.retry_after_s = RetryAfter(easy());
  record.waited_s = Seconds((answer_.done() ? answer_.done_us() : ended_ ? end_us_ : now_us) - start_us_);
  TakeTimes(record);
  if (!record.ok()) return record;
  const TokenCount count =
      CountTokens(answer_.has_usage() ? answer_.completion_tokens() : -1,
                  {.events = answer_.text_events(), .bytes = answer_.text_bytes(), .most = spec_.max_tokens});
  record.prompt_tokens = std::max<int64_t>(0, answer_.prompt_tokens());
  record.tokens = count.tokens;
  record.tokens_estimated = count.estimated;
  record.tokens_doubt = count.doubt;
  return record;
}

Transfers::~Transfers() {
  for (const auto& exchange : exchanges_) curl_multi_remove_handle(multi_.get(), exchange->easy());
}

void Transfers::Start(std::unique_ptr<Exchange> exchange) {
  exchange->Start(NowUs());
  curl_multi_add_handle(multi_.get(), exchange->easy());
  exchanges_.push_back(std::move(exchange));
}

std::vector<std::unique_ptr<Exchange>> Transfers::Step(int wait_ms) {
  int running = 0;
  curl_multi_perform(multi_.get(), &running);
  int queued = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &queued)) {
    if (message->msg != CURLMSG_DONE) continue;
    Exchange* exchange = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
    exchange->End(message->data.result, NowUs());
  }
  std::vector<std::unique_ptr<Exchange>> finished;
  for (auto& exchange : exchanges_) {
    if (!exchange->finished()) continue;
    curl_multi_remove_handle(multi_.get(), exchange->easy());
    finished.push_back(std::move(exchange));
  }
  std::erase(exchanges_, nullptr);
  if (finished.empty()) curl_multi_poll(multi_.get(), nullptr, 0, wait_ms, nullptr);
  return finished;
}

int64_t Transfers::text_events() const {
  int64_t events = 0;
  for (const auto& exchange : exchanges_) events += exchange->text_events();
  return events;
}

}  // namespace tenfold::load
