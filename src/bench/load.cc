#include "bench/load.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <memory>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "bench/answer_reader.h"

namespace tenfold::bench {
namespace {

namespace json = boost::json;

constexpr size_t kMaxErrorBodyBytes = 16384;
constexpr long kModelsTimeoutMs = 5000;

struct EasyClose {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct HeadersFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct MultiClose {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
using Easy = std::unique_ptr<CURL, EasyClose>;
using Headers = std::unique_ptr<curl_slist, HeadersFree>;
using Multi = std::unique_ptr<CURLM, MultiClose>;

// libcurl's process-wide state, made once and kept.
bool CurlReady() {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return ready;
}

Headers MakeHeaders(const LoadOptions& options) {
  Headers headers(curl_slist_append(nullptr, "Content-Type: application/json"));
  if (!options.api_key.empty()) {
    const std::string line = "Authorization: Bearer " + options.api_key;
    curl_slist_append(headers.get(), line.c_str());
  }
  return headers;
}

// One user's request and what came of it. Its address is given to libcurl: not moved once started.
class User {
 public:
  User(const std::string& url, std::string body, curl_slist* headers, int64_t timeout_us) : body_(std::move(body)) {
    easy_.reset(curl_easy_init());
    CURL* easy = easy_.get();
    curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body_.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body_.size()));
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<int64_t>(1, timeout_us / 1000)));
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &User::OnWrite);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, curl_message_);
  }
  User(const User&) = delete;
  User& operator=(const User&) = delete;

  CURL* easy() { return easy_.get(); }
  // Nothing more to wait for: the stream said [DONE] or was found broken, or libcurl has ended the transfer.
  bool finished() const { return ended_ || answer_.done() || !answer_.error().empty(); }
  void Start(int64_t now_us) { start_us_ = now_us; }
  void End(CURLcode code) {
    code_ = code;
    ended_ = true;
  }

  UserResult Conclude() {
    UserResult result;
    long status = 0;
    curl_easy_getinfo(easy(), CURLINFO_RESPONSE_CODE, &status);
    result.http_status = static_cast<int>(status);
    result.outcome = Classify(result.http_status, &result.detail);
    if (result.outcome != Outcome::kOk) return result;
    const std::vector<int64_t>& times = answer_.token_times_us();
    result.response_us = answer_.done_us() - start_us_;
    result.first_token_us = times.front() - start_us_;
    for (size_t i = 1; i < times.size(); ++i) result.gaps_us.push_back(times[i] - times[i - 1]);
    result.prompt_tokens = answer_.prompt_tokens();
    result.tokens = answer_.completion_tokens();
    result.tokens_estimated = !answer_.has_usage();
    return result;
  }

 private:
  static size_t OnWrite(char* bytes, size_t size, size_t count, void* self) {
    static_cast<User*>(self)->OnBytes(std::string_view(bytes, size * count));
    return size * count;
  }

  void OnBytes(std::string_view bytes) {
    long status = 0;
    curl_easy_getinfo(easy(), CURLINFO_RESPONSE_CODE, &status);
    if (status == 200) {
      answer_.OnBytes(bytes, NowUs());
    } else {
      error_body_.append(bytes.substr(0, kMaxErrorBodyBytes - std::min(kMaxErrorBodyBytes, error_body_.size())));
    }
  }

  Outcome Classify(int status, std::string* detail) const {
    if (status != 0 && status != 200) {
      *detail = ErrorMessageOf(error_body_);
      return Outcome::kHttpStatus;
    }
    if (!answer_.error().empty()) {
      *detail = answer_.error();
      return answer_.error_is_from_server() ? Outcome::kErrorEvent : Outcome::kNotAStream;
    }
    if (answer_.done()) return answer_.token_times_us().empty() ? Outcome::kEmpty : Outcome::kOk;
    *detail = curl_message_[0] != '\0' ? curl_message_ : curl_easy_strerror(code_);
    switch (code_) {
      case CURLE_OPERATION_TIMEDOUT:
        // libcurl's message has the milliseconds in it, which would make every timeout a kind of its own.
        *detail = answer_.token_times_us().empty() ? "no token came" : "the answer had begun";
        return Outcome::kTimeout;
      case CURLE_COULDNT_CONNECT:
      case CURLE_COULDNT_RESOLVE_HOST:
      case CURLE_COULDNT_RESOLVE_PROXY:
      case CURLE_SSL_CONNECT_ERROR:
      case CURLE_PEER_FAILED_VERIFICATION:
        return Outcome::kNoConnection;
      case CURLE_OK:
        *detail = "the stream ended without [DONE]";
        return Outcome::kClosedEarly;
      default:
        return Outcome::kClosedEarly;
    }
  }

  std::string body_;
  Easy easy_;
  char curl_message_[CURL_ERROR_SIZE] = {};
  AnswerReader answer_;
  std::string error_body_;
  int64_t start_us_ = 0;
  CURLcode code_ = CURLE_OK;
  bool ended_ = false;
};

size_t AppendTo(char* bytes, size_t size, size_t count, void* text) {
  static_cast<std::string*>(text)->append(bytes, size * count);
  return size * count;
}

// The first model the server lists; "" when it lists none or cannot be asked (then every user will see why).
std::string FirstModel(const std::string& base, curl_slist* headers) {
  Easy easy(curl_easy_init());
  std::string body;
  const std::string url = base + "/v1/models";
  curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, kModelsTimeoutMs);
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, &AppendTo);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &body);
  if (curl_easy_perform(easy.get()) != CURLE_OK) return "";
  boost::system::error_code error;
  const json::value parsed = json::parse(body, error);
  if (error) return "";
  const json::value* id = parsed.find_pointer("/data/0/id", error);
  return id != nullptr && id->is_string() ? std::string(id->get_string()) : "";
}

// Runs every transfer until each user is finished.
void Drive(CURLM* multi, const std::vector<std::unique_ptr<User>>& users) {
  const auto unfinished = [](const std::unique_ptr<User>& user) { return !user->finished(); };
  while (std::any_of(users.begin(), users.end(), unfinished)) {
    int running = 0;
    if (curl_multi_perform(multi, &running) != CURLM_OK) return;
    int queued = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi, &queued)) {
      if (message->msg != CURLMSG_DONE) continue;
      User* user = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &user);
      user->End(message->data.result);
    }
    if (running > 0) curl_multi_poll(multi, nullptr, 0, 100, nullptr);
  }
}

}  // namespace

std::string NameOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kOk:
      return "ok";
    case Outcome::kNoConnection:
      return "no connection";
    case Outcome::kTimeout:
      return "timeout";
    case Outcome::kHttpStatus:
      return "HTTP status";
    case Outcome::kClosedEarly:
      return "closed early";
    case Outcome::kNotAStream:
      return "not a stream";
    case Outcome::kErrorEvent:
      return "error in the stream";
    case Outcome::kEmpty:
      return "empty answer";
  }
  return "";
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

std::string RequestBody(const LoadOptions& options, const std::string& model, const std::string& prompt) {
  json::object body;
  if (!model.empty()) body["model"] = model;
  body["messages"] = json::array{json::object{{"role", "user"}, {"content", prompt}}};
  body["max_tokens"] = options.max_tokens;
  body["temperature"] = 0;
  body["stream"] = true;
  body["stream_options"] = json::object{{"include_usage", true}};
  if (options.ignore_eos) body["ignore_eos"] = true;
  return json::serialize(body);
}

Result<LoadResult> RunLoad(const LoadOptions& options) {
  TENFOLD_CHECK(!options.prompts.empty(), "RunLoad needs a prompt for each user");
  TENFOLD_TRY(const std::string base, BaseUrl(options.url));
  if (!CurlReady()) return Error{ErrorCode::kInternal, "libcurl could not be initialised"};
  const Headers headers = MakeHeaders(options);
  LoadResult result;
  result.model = options.model.empty() ? FirstModel(base, headers.get()) : options.model;

  std::vector<std::unique_ptr<User>> users;
  const Multi multi(curl_multi_init());
  const std::string url = base + "/v1/chat/completions";
  for (const std::string& prompt : options.prompts) {
    std::string body = RequestBody(options, result.model, prompt);
    users.push_back(std::make_unique<User>(url, std::move(body), headers.get(), options.timeout_us));
  }
  const int64_t start_us = NowUs();
  for (const auto& user : users) {
    user->Start(start_us);
    curl_multi_add_handle(multi.get(), user->easy());
  }
  Drive(multi.get(), users);
  result.wall_us = NowUs() - start_us;
  for (const auto& user : users) {
    result.users.push_back(user->Conclude());
    curl_multi_remove_handle(multi.get(), user->easy());
  }
  return result;
}

}  // namespace tenfold::bench
