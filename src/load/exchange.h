// One user's question on its way: the request, its stream, and what came of it. Transfers drives many at once.
//
// One thread, libcurl's multi interface: a thread for each user would compete with the server for the CPUs it is
// measured on. Nothing is retried: a failed request is a failed user.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "load/answer_reader.h"
#include "load/curl_handles.h"
#include "load/prompts.h"
#include "results/record.h"

namespace tenfold::load {

// What is asked for besides the prompt.
struct Asking {
  int64_t max_tokens = 64;
  int64_t timeout_us = 60'000'000;  // of one request, connecting included
  bool ignore_eos = false;          // adds "ignore_eos": true, which not every server knows
  std::string system_prompt;        // before every prompt; empty: none
};

// The JSON body of one request: fields of OpenAI's chat completions only, but for ignore_eos where it was asked for.
std::string RequestBody(const Asking& asking, const std::string& model, const std::string& prompt);

// Its address is given to libcurl: not moved once started.
class Exchange {
 public:
  struct Spec {
    std::string url;  // of the route
    std::string body;
    curl_slist* headers = nullptr;  // outlives the exchange
    std::string expect;             // the content must contain it; empty: any text will do
    int64_t max_tokens = 0;
    int64_t timeout_us = 0;
    results::Request record;  // who asks what and when; the rest is filled in by Conclude
  };
  explicit Exchange(Spec spec);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  CURL* easy() { return easy_.get(); }
  // Nothing more to wait for: the stream said [DONE] or was found broken, or libcurl has ended the transfer.
  bool finished() const { return ended_ || answer_.done() || !answer_.error().empty(); }
  void Start(int64_t now_us) { start_us_ = now_us; }
  void End(CURLcode code, int64_t now_us);
  int64_t text_events() const { return answer_.text_events(); }
  // Once finished.
  results::Request Conclude(int64_t now_us);

 private:
  static size_t OnWrite(char* bytes, size_t size, size_t count, void* self);
  void OnBytes(std::string_view bytes);
  results::Outcome Classify(int64_t status, std::string* detail) const;
  results::Outcome ClassifyCut(std::string* detail) const;
  void TakeTimes(results::Request& record) const;

  Spec spec_;
  Easy easy_;
  char curl_message_[CURL_ERROR_SIZE] = {};
  AnswerReader answer_;
  std::string error_body_;
  int64_t start_us_ = 0;
  int64_t end_us_ = 0;
  CURLcode code_ = CURLE_OK;
  bool ended_ = false;
};

class Transfers {
 public:
  Transfers() : multi_(curl_multi_init()) {}
  ~Transfers();
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;

  void Start(std::unique_ptr<Exchange> exchange);
  // Moves bytes, waits at most so long for more, and hands over what is finished.
  std::vector<std::unique_ptr<Exchange>> Step(int wait_ms);
  size_t running() const { return exchanges_.size(); }
  int64_t text_events() const;  // so far, of the running ones

 private:
  Multi multi_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
};

}  // namespace tenfold::load
