// A request whose client leaves, or whose time is over, stops in whatever phase it is, and everything it held is back.
#include <gtest/gtest.h>

#include "server/test_generation.h"

namespace tenfold::server {
namespace {

std::string Ids(int count, int first) {
  std::string ids = std::to_string(first);
  for (int i = 1; i < count; ++i) ids += "," + std::to_string((first + 7 * i) % 500);
  return "\"prompt\":[" + ids + "]";
}

// One request at a time in small steps, and a pool of pages that two long prompts overflow. Only four requests are let
// in, so that a place that does not come back is noticed by the tests after it.
class CancellationTest : public ::testing::Test {
 protected:
  static constexpr int kContext = 32000;

  void Start(int64_t running, const std::function<void(Config&)>& change = {}) {
    file_.Write();
    server_ = std::make_unique<TestServer>(
        file_.path(),
        [&](Config& c) {
          c.max_requests = 4;
          c.connection.stream_buffer_bytes = 64 << 20;  // most of these clients do not read, and shall not go for that
          if (change) change(c);
        },
        [&](engine::Options& o) {
          o.max_running = running;
          o.max_step_tokens = 16;
          o.max_context = kContext;
          o.kv_bytes = 40 << 20;
        });
    ASSERT_TRUE(server_->AwaitReady()) << server_->engine().snapshot().error;
  }

  engine::Snapshot Now() { return server_->engine().snapshot(); }
  double Cancelled(const std::string& where) {
    return server_->Metric("tenfold_cancelled_total{model_name=\"tiny\",where=\"" + where + "\"}");
  }

  // Nothing runs, waits or holds a page; no slot is taken; the loop sleeps.
  void ExpectAllBack() {
    EXPECT_TRUE(Eventually([&] { return Now().running == 0 && Now().waiting == 0; }));
    EXPECT_TRUE(Eventually([&] { return Now().kv_pages_used == 0; })) << Now().kv_pages_used << " pages are held";
    EXPECT_EQ(server_->Metric("vllm:num_requests_waiting{"), 0);
    EXPECT_EQ(server_->Get("/slots").body.find("\"is_processing\":true"), std::string::npos);
    const uint64_t steps = Now().steps_total;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(Now().steps_total, steps) << "the loop still works";
    for (int i = 0; i < 5; ++i) {  // more than may wait: each has its place back
      const TestResponse answer = server_->Post("/v1/completions", R"({"prompt":[1,2],"max_tokens":1})");
      ASSERT_EQ(answer.status, 200) << answer.body;
    }
  }

  std::unique_ptr<TestClient> Ask(const std::string& fields) {
    auto client = std::make_unique<TestClient>(server_->port());
    client->Request("POST", "/v1/completions", "{" + fields + R"(,"ignore_eos":true})");
    return client;
  }
  std::unique_ptr<TestClient> LongStream(int first) {
    auto client = Ask(Ids(3, first) + R"(,"max_tokens":30000,"stream":true)");
    EXPECT_NE(client->Await("data: "), std::string::npos);
    return client;
  }

  TinyModelFile file_;
  std::unique_ptr<TestServer> server_;
};

TEST_F(CancellationTest, WhileItsBodyIsPrepared) {
  Start(1);
  { auto client = Ask("\"prompt\":\"" + std::string(12 << 20, 'a') + "\",\"max_tokens\":1"); }
  EXPECT_TRUE(Eventually([&] { return Cancelled("preparing") == 1; }));
  ExpectAllBack();
}

TEST_F(CancellationTest, WhileQueued) {
  Start(1);
  // A long prompt, not a long answer: the I/O thread has nothing to do with it, however slow the machine makes it.
  auto running = Ask(Ids(30000, 1) + R"(,"max_tokens":1000)");
  ASSERT_TRUE(Eventually([&] { return Now().running == 1; }));
  auto queued = Ask(Ids(3, 2) + R"(,"max_tokens":10)");
  ASSERT_TRUE(Eventually([&] { return Now().waiting == 1; }));
  queued.reset();
  EXPECT_TRUE(Eventually([&] { return Cancelled("queued") == 1; }));
  EXPECT_EQ(Now().waiting, 0);
  EXPECT_EQ(Now().cancelled_total, 1u) << "the other goes on";
  running.reset();
  EXPECT_TRUE(Eventually([&] { return Now().cancelled_total == 2; }));
  ExpectAllBack();
}

TEST_F(CancellationTest, WhilePrefilling) {
  Start(1);
  const uint64_t before = Now().prompt_tokens_total;
  {
    auto client = Ask(Ids(30000, 5) + R"(,"max_tokens":100)");
    ASSERT_TRUE(Eventually([&] { return Now().prompt_tokens_total > before; }));
  }
  EXPECT_TRUE(Eventually([&] { return Cancelled("prefill") == 1; })) << Cancelled("decode");
  EXPECT_LT(Now().prompt_tokens_total, before + 30000) << "the prompt was computed to its end";
  ExpectAllBack();
}

TEST_F(CancellationTest, WhileWaitingForPages) {
  Start(4);
  auto first = LongStream(1);
  auto second = Ask(Ids(28000, 2) + R"(,"max_tokens":1000,"stream":true)");
  auto third = Ask(Ids(28000, 3) + R"(,"max_tokens":1000,"stream":true)");
  ASSERT_TRUE(Eventually([&] { return Now().waiting == 1 && Now().running == 2; }))
      << Now().waiting << " wait, " << Now().running << " run, " << Now().kv_pages_total << " pages";
  third.reset();
  EXPECT_TRUE(Eventually([&] { return Now().waiting == 0 && Now().cancelled_total == 1; }));
  second.reset();
  first.reset();
  ExpectAllBack();
}

TEST_F(CancellationTest, WhileDecodingAndSeveralChoices) {
  Start(4);
  {
    auto client = Ask(Ids(3, 4) + R"(,"max_tokens":30000,"n":4,"temperature":1,"stream":true)");
    ASSERT_NE(client->Await("\"index\":3"), std::string::npos);
  }
  EXPECT_TRUE(Eventually([&] { return Cancelled("decode") == 1; }));
  ExpectAllBack();
}

TEST_F(CancellationTest, WhileItsClientDoesNotRead) {
  Start(4, [](Config& c) { c.connection.stream_buffer_bytes = 64 << 10; });
  auto other = LongStream(9);
  auto slow = Ask(Ids(3, 4) + R"(,"max_tokens":30000,"stream":true,"logprobs":20)");
  EXPECT_TRUE(Eventually([&] { return Cancelled("send_buffer") == 1; }));
  EXPECT_EQ(Cancelled("decode"), 0) << "the other goes on";
  EXPECT_EQ(slow->Read().body.find("[DONE]"), std::string::npos);
  other.reset();
  ExpectAllBack();
}

TEST_F(CancellationTest, WhenMuchIsPipelinedBehindIt) {
  Start(1);
  {
    auto client = LongStream(1);
    client->Send(std::string(200'000, 'x'));  // more than is read ahead: the end of file hides behind it
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_TRUE(Eventually([&] { return Cancelled("decode") == 1; }));
  ExpectAllBack();
}

TEST_F(CancellationTest, AtTheServersOwnDeadline) {
  Start(1, [](Config& c) { c.request_us = 300'000; });
  auto running = LongStream(1);
  auto queued = Ask(Ids(3, 2) + R"(,"max_tokens":30000)");
  const TestResponse stream = running->Read();
  EXPECT_NE(stream.body.find("\"code\":\"deadline_exceeded\""), std::string::npos);
  EXPECT_NE(stream.body.find("\"request_id\":\"" + stream.Header("x-request-id") + "\""), std::string::npos);
  EXPECT_EQ(stream.body.find("[DONE]"), std::string::npos);
  const TestResponse whole = queued->Read();
  EXPECT_EQ(whole.status, 503);
  EXPECT_EQ(Text(Json(whole.body).at("error").at("code")), "deadline_exceeded");
  EXPECT_NE(whole.Header("Retry-After"), "");
  EXPECT_TRUE(Eventually([&] { return Now().cancelled_total == 2; }));
  EXPECT_EQ(server_->Metric("tenfold_rejected_total{model_name=\"tiny\",reason=\"deadline\"}"), 1);
  ExpectAllBack();
}

}  // namespace
}  // namespace tenfold::server
