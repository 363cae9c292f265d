// One streamed chat answer as its reader sees it: when the first token came, the gaps, how it ended.
//
// What it does: turns timed bytes of a /v1/chat/completions stream into measurements, and says what is wrong with a
// stream that is not one. What it does not: sockets and clocks; the caller hands over both bytes and time.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "load/sse_reader.h"

namespace tenfold::load {

class AnswerReader {
 public:
  // `now_us` on any clock that only goes forward. One thread.
  void OnBytes(std::string_view bytes, int64_t now_us);

  // The stream ended as it should: data: [DONE].
  bool done() const { return done_; }
  // Why this is no answer ("" as long as it may be one): an error event, or bytes that are no stream of chunks.
  const std::string& error() const { return error_; }
  // Ends in the middle of a line that belongs to no stream: a page or a JSON object without a newline.
  bool ends_in_rubbish() const { return sse_.rest_is_unknown(); }
  bool error_is_from_server() const { return error_is_from_server_; }

  // Times of the events that carried text, on the caller's clock.
  const std::vector<int64_t>& token_times_us() const { return token_times_us_; }
  int64_t done_us() const { return done_us_; }

  // What the server says it made and read; without usage the number of text events stands in for the first, 0 for the
  // second.
  int64_t completion_tokens() const;
  int64_t prompt_tokens() const { return prompt_tokens_; }
  bool has_usage() const { return completion_tokens_ >= 0; }

  // Events that carried text; the content of the answer, cut off after a megabyte; bytes of all text, reasoning and
  // arguments of calls included.
  int64_t text_events() const { return static_cast<int64_t>(token_times_us_.size()); }
  const std::string& content() const { return content_; }
  uint64_t text_bytes() const { return text_bytes_; }

  // What llama-server's `timings` say, where the server sends them; -1: it does not.
  double queue_ms() const { return queue_ms_; }
  double prompt_ms() const { return prompt_ms_; }

 private:
  void OnEvent(const std::string& data, int64_t now_us);
  bool TakeText(const boost::json::value& chunk);

  SseReader sse_;
  std::vector<int64_t> token_times_us_;
  int64_t done_us_ = 0;
  int64_t completion_tokens_ = -1;
  int64_t prompt_tokens_ = 0;
  std::string content_;
  uint64_t text_bytes_ = 0;
  double queue_ms_ = -1;
  double prompt_ms_ = -1;
  bool done_ = false;
  bool error_is_from_server_ = false;
  std::string error_;
};

// The message of an OpenAI-style error body, or the first line of whatever it is, cut to a readable length.
std::string ErrorMessageOf(std::string_view body);

}  // namespace tenfold::load
