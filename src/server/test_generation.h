// What the tests of the generation routes share: a server with a tiny random model, questions, streams taken apart.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/test_server.h"

namespace tenfold::server {

class GenerationFixture : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    file_ = new TinyModelFile();
    file_->Write();
    server_ = new TestServer(file_->path(), [](Config& c) {
      c.ping_us = 300'000;
      c.max_held_logprobs = 50'000;
    });
    ASSERT_TRUE(server_->AwaitReady());
  }
  static void TearDownTestSuite() {
    delete server_;
    delete file_;
  }

  static std::string Completion(const std::string& fields) {
    return R"({"prompt":"The heron","temperature":0,"ignore_eos":true,)" + fields + "}";
  }
  static boost::json::value Ask(const std::string& body, int status = 200) {
    const TestResponse response = server_->Post("/v1/completions", body);
    EXPECT_EQ(response.status, status) << response.body;
    return Json(response.body);
  }
  static const boost::json::value& Choice(const boost::json::value& answer) { return answer.at("choices").at(0); }

  static inline TinyModelFile* file_ = nullptr;
  static inline TestServer* server_ = nullptr;
};

// The events of a stream as JSON; "[DONE]" and comments are left out but counted.
struct Events {
  std::vector<boost::json::value> json;
  int done = 0;
  int pings = 0;
};

inline Events Parse(const std::string& body) {
  Events events;
  for (size_t at = 0; at < body.size();) {
    const size_t end = body.find("\n\n", at);
    EXPECT_NE(end, std::string::npos) << "an event without its end";
    if (end == std::string::npos) break;
    const std::string event = body.substr(at, end - at);
    at = end + 2;
    if (event == "data: [DONE]") {
      ++events.done;
    } else if (event[0] == ':') {
      ++events.pings;
    } else {
      EXPECT_EQ(event.substr(0, 6), "data: ");
      EXPECT_EQ(events.done, 0) << "an event behind [DONE]";
      events.json.push_back(Json(event.substr(6)));
    }
  }
  return events;
}

}  // namespace tenfold::server
