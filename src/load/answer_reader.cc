#include "load/answer_reader.h"

#include <algorithm>
#include <boost/json.hpp>

namespace tenfold::load {
namespace {

namespace json = boost::json;

constexpr size_t kMaxMessageBytes = 160;
constexpr size_t kMaxContentBytes = size_t{1} << 20;

const json::value* Find(const json::value& value, std::string_view key) {
  const json::object* object = value.if_object();
  return object == nullptr ? nullptr : object->if_contains(key);
}

bool IsText(const json::value* value) { return value != nullptr && value->is_string() && !value->get_string().empty(); }

int64_t CountOf(const json::value& usage, std::string_view key) {
  const json::value* count = Find(usage, key);
  boost::system::error_code error;
  const int64_t number = count == nullptr ? -1 : count->to_number<int64_t>(error);
  return error ? -1 : number;
}

double MsOf(const json::value& timings, std::string_view key) {
  const json::value* value = Find(timings, key);
  boost::system::error_code error;
  const double ms = value == nullptr || !value->is_number() ? -1 : value->to_number<double>(error);
  return error ? -1 : ms;
}

}  // namespace

std::string ErrorMessageOf(std::string_view body) {
  boost::system::error_code parse_error;
  const json::value parsed = json::parse(body, parse_error);
  std::string text(body.substr(0, body.find_first_of("\r\n")));
  if (!parse_error) {
    const json::value* error = Find(parsed, "error");
    const json::value* message = error == nullptr ? nullptr : Find(*error, "message");
    if (IsText(message)) text = message->get_string();
  }
  // A terminal shows this: whatever is not plain text must not reach it.
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c > 0x7e; }, '?');
  if (text.size() > kMaxMessageBytes) text = text.substr(0, kMaxMessageBytes) + "...";
  return text;
}

void AnswerReader::OnBytes(std::string_view bytes, int64_t now_us) {
  if (done_ || !error_.empty()) return;
  std::vector<std::string> events;
  const bool bounded = sse_.Feed(bytes, &events);
  for (const std::string& event : events) {
    OnEvent(event, now_us);
    if (done_ || !error_.empty()) return;
  }
  if (!bounded) error_ = "an event of more than a megabyte";
  if (sse_.unknown_lines() > 0) error_ = "the answer is not an event stream";
}

void AnswerReader::OnEvent(const std::string& data, int64_t now_us) {
  if (data == "[DONE]") {
    done_ = true;
    done_us_ = now_us;
    return;
  }
  boost::system::error_code parse_error;
  const json::value chunk = json::parse(data, parse_error);
  if (parse_error || !chunk.is_object()) {
    error_ = "an event that is not JSON: " + ErrorMessageOf(data);
    return;
  }
  if (Find(chunk, "error") != nullptr) {
    error_ = ErrorMessageOf(data);
    error_is_from_server_ = true;
    return;
  }
  if (TakeText(chunk)) token_times_us_.push_back(now_us);
  if (const json::value* usage = Find(chunk, "usage"); usage != nullptr && usage->is_object()) {
    completion_tokens_ = std::max(completion_tokens_, CountOf(*usage, "completion_tokens"));
    prompt_tokens_ = std::max(prompt_tokens_, CountOf(*usage, "prompt_tokens"));
  }
  if (const json::value* timings = Find(chunk, "timings"); timings != nullptr) {
    queue_ms_ = MsOf(*timings, "queue_ms");
    prompt_ms_ = MsOf(*timings, "prompt_ms");
  }
}

// Whether the chunk has text a reader sees, reasoning and tool calls included: all of it is generated tokens.
bool AnswerReader::TakeText(const json::value& chunk) {
  const json::value* choices = Find(chunk, "choices");
  if (choices == nullptr || !choices->is_array()) return false;
  bool text = false;
  for (const json::value& choice : choices->get_array()) {
    const json::value* delta = Find(choice, "delta");
    if (delta == nullptr) continue;
    for (const std::string_view field : {"content", "reasoning_content", "reasoning"}) {
      const json::value* piece = Find(*delta, field);
      if (!IsText(piece)) continue;
      text = true;
      const std::string_view bytes = piece->get_string();
      text_bytes_ += bytes.size();
      if (field == "content" && content_.size() < kMaxContentBytes) content_.append(bytes);
    }
    const json::value* calls = Find(*delta, "tool_calls");
    if (calls == nullptr || !calls->is_array() || calls->get_array().empty()) continue;
    text = true;
    text_bytes_ += json::serialize(*calls).size();
  }
  return text;
}

int64_t AnswerReader::completion_tokens() const {
  return has_usage() ? completion_tokens_ : static_cast<int64_t>(token_times_us_.size());
}

}  // namespace tenfold::load
