// Deadlines over real sockets, with a tiny model; the policy itself is tested in sched/ and engine/.
#include "server/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "server/test_generation.h"

namespace tenfold::server {
namespace {

TEST(Tenant, TheKeyElseTheUserElseTheAddress) {
  HttpRequest request;
  request.peer = "10.0.0.1";
  api::GenerationOptions options;
  const uint64_t address = TenantOf(request, options);
  options.user = "10.0.0.1";
  EXPECT_NE(TenantOf(request, options), address) << "a user may not take an address's share";
  const uint64_t user = TenantOf(request, options);
  request.key_name = "1f00aa22";
  EXPECT_NE(TenantOf(request, options), user);
  options.user = "somebody else";
  const uint64_t key = TenantOf(request, options);
  request.peer = "10.0.0.2";
  EXPECT_EQ(TenantOf(request, options), key);
}

TEST(Deadline, TheFieldElseTheHeaderElseTheServers) {
  HttpRequest request;
  request.received_us = 1000;
  api::GenerationOptions options;
  EXPECT_EQ(*DeadlineOf(request, options, 0), -1);
  EXPECT_EQ(*DeadlineOf(request, options, 2'000'000), 2'001'000);
  request.headers = {{"X-Deadline-Ms", "30"}};
  EXPECT_EQ(*DeadlineOf(request, options, 2'000'000), 31'000);
  options.deadline_ms = 7;
  EXPECT_EQ(*DeadlineOf(request, options, 2'000'000), 8'000);
  options.deadline_ms = -1;
  for (const char* wrong : {"0", "-1", "soon", "5s", "99999999999"}) {
    request.headers = {{"X-Deadline-Ms", wrong}};
    const auto deadline = DeadlineOf(request, options, 0);
    ASSERT_FALSE(deadline.ok()) << wrong;
    EXPECT_EQ(deadline.error().status, 400);
  }
}

class DeadlineTest : public GenerationFixture {
 protected:
  // Steps enough that the engine knows what they cost.
  void Teach() {
    for (int i = 0; i < 3; ++i) Ask(Completion(R"("max_tokens":30)"));
  }
  std::string Metric(const std::string& line) {
    const std::string text = server_->Get("/metrics").body;
    const size_t at = text.find(line);
    return at == std::string::npos ? "" : text.substr(at + line.size() + 1, text.find('\n', at) - at - line.size() - 1);
  }
};

TEST_F(DeadlineTest, WhatIsInTimeIsAnswered) {
  Teach();
  const TestResponse response = server_->Post("/v1/completions", Completion(R"("max_tokens":5,"deadline_ms":60000)"));
  EXPECT_EQ(response.status, 200) << response.body;
  const std::string predicted = response.Header("x-predicted-ms");
  ASSERT_FALSE(predicted.empty()) << "the head says when the answer was predicted to be there";
  EXPECT_LT(std::stoi(predicted), 60000);
  EXPECT_EQ(Metric(R"(tenfold_slo_met_total{model_name="tiny",met="true"})"), "1");
}

TEST_F(DeadlineTest, WhatWouldBeLateIsRefusedAtOnceWithItsPrediction) {
  Teach();
  const auto begin = std::chrono::steady_clock::now();
  const TestResponse response = server_->Post("/v1/completions", Completion(R"("max_tokens":16000,"deadline_ms":50)"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  ASSERT_EQ(response.status, 503) << response.body;
  const boost::json::value error = Json(response.body).at("error");
  EXPECT_EQ(Text(error.at("code")), "deadline_not_met");
  EXPECT_GT(error.at("predicted_seconds").to_number<double>(), 0.05);
  EXPECT_EQ(response.Header("x-should-retry"), "false") << "it would be late on an idle machine too";
  EXPECT_EQ(Metric(R"(tenfold_rejected_total{model_name="tiny",reason="deadline"})"), "1");
}

// Before any step was timed nothing can be predicted; the deadline itself holds all the same.
class LateTest : public DeadlineTest {
 protected:
  void SetUp() override {
    fresh_ = std::make_unique<TestServer>(file_->path());
    ASSERT_TRUE(fresh_->AwaitReady());
  }
  std::unique_ptr<TestServer> fresh_;
};

TEST_F(LateTest, WhatIsLateIsEndedAndItsWorkStops) {
  const TestResponse whole = fresh_->Post("/v1/completions", Completion(R"("max_tokens":16000,"deadline_ms":30)"));
  ASSERT_EQ(whole.status, 504) << whole.body;
  EXPECT_EQ(Text(Json(whole.body).at("error").at("code")), "deadline_exceeded");
  EXPECT_TRUE(Eventually([&] { return fresh_->engine().snapshot().running == 0; }));
  EXPECT_EQ(fresh_->engine().snapshot().kv_pages_used, 0);
  EXPECT_THAT(fresh_->Get("/metrics").body,
              testing::HasSubstr(R"(tenfold_slo_met_total{model_name="tiny",met="false"} 1)"));
}

TEST_F(LateTest, AStreamThatIsLateEndsWithAnErrorEvent) {
  const TestResponse stream =
      fresh_->Post("/v1/completions", Completion(R"("max_tokens":16000,"stream":true,"deadline_ms":1000)"));
  ASSERT_EQ(stream.status, 200) << stream.body;
  EXPECT_THAT(stream.body, testing::HasSubstr("deadline_exceeded"));
  EXPECT_THAT(stream.body, testing::Not(testing::HasSubstr("[DONE]")));
}

TEST_F(DeadlineTest, TheFieldIsChecked) {
  for (const char* wrong : {"0", "-5", "\"soon\"", "1.5", "86400001"}) {
    const TestResponse response =
        server_->Post("/v1/completions", Completion(std::string(R"("deadline_ms":)") + wrong));
    EXPECT_EQ(response.status, 400) << wrong;
    EXPECT_EQ(Text(Json(response.body).at("error").at("param")), "deadline_ms") << wrong;
  }
}

}  // namespace
}  // namespace tenfold::server
