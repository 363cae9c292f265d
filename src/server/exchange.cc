#include "server/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/check.h"

namespace tenfold::server {

api::ApiError WithId(api::ApiError error, const Exchange& exchange) {
  error.request_id = exchange.request().id;
  return error;
}

Exchange::Exchange(HttpRequest request, bool http11, bool keep_alive, size_t stream_buffer_bytes)
    : request_(std::move(request)),
      http11_(http11),
      keep_alive_(keep_alive),
      head_only_(request_.method == "HEAD"),
      stream_buffer_bytes_(stream_buffer_bytes) {}

void Exchange::AddHeaders(std::vector<std::pair<std::string, std::string>> headers) {
  TENFOLD_CHECK(!answered_, "a header came after the head");
  std::move(headers.begin(), headers.end(), std::back_inserter(headers_));
}

void Exchange::Respond(HttpResponse response) {
  TENFOLD_CHECK(!answered_, "a request was answered twice");
  answered_ = true;
  ended_ = true;
  status_ = response.status;
  if (gone_) return;
  if (response.close) keep_alive_ = false;
  response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
  output_ = SerializeHead(response, request_.id, static_cast<int64_t>(response.body.size()), false, keep_alive_);
  if (!head_only_) output_ += response.body;
  if (on_output) on_output();
}

void Exchange::BeginStream(HttpResponse head) {
  TENFOLD_CHECK(!answered_, "a request was answered twice");
  answered_ = true;
  status_ = head.status;
  if (gone_) return;
  chunked_ = http11_;
  if (!http11_ || head.close) keep_alive_ = false;
  head.headers.insert(head.headers.end(), headers_.begin(), headers_.end());
  output_ = SerializeHead(head, request_.id, -1, chunked_, keep_alive_);
  if (on_output) on_output();
}

void Exchange::Write(std::string_view bytes) {
  TENFOLD_CHECK(answered_ && !ended_, "Write outside a stream");
  if (gone_ || bytes.empty() || head_only_) return;
  if (chunked_) {
    fmt::format_to(std::back_inserter(output_), "{:x}\r\n", bytes.size());
    output_.append(bytes).append("\r\n");
  } else {
    output_ += bytes;
  }
  if (output_.size() + unsent_bytes_ > stream_buffer_bytes_) {
    FallBehind();
    MarkGone();
  }
  if (on_output) on_output();
}

void Exchange::End() {
  TENFOLD_CHECK(answered_ && !ended_, "End outside a stream");
  ended_ = true;
  if (gone_) return;
  if (chunked_ && !head_only_) output_ += "0\r\n\r\n";
  if (on_output) on_output();
}

std::string Exchange::TakeOutput() {
  unsent_bytes_ += output_.size();
  return std::exchange(output_, {});
}

void Exchange::MarkSent(size_t bytes) { unsent_bytes_ -= bytes; }

void Exchange::MarkGone() {
  if (gone_) return;
  gone_ = true;
  keep_alive_ = false;
  output_.clear();
  // Moved out first: the callback may drop what it captures, and must not run twice.
  if (auto callback = std::exchange(on_gone, nullptr); callback && !ended_) callback();
}

}  // namespace tenfold::server
