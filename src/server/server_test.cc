// The server over real sockets and a real engine: HTTP itself, status routes, access, load life, drain.
#include "server/server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "server/test_server.h"

namespace tenfold::server {
namespace {

constexpr char kLongStream[] = R"({"prompt":[1,2,3],"max_tokens":16000,"ignore_eos":true,"stream":true})";

class ServerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    file_ = new TinyModelFile();
    file_->Write();
    server_ = new TestServer(file_->path());
    ASSERT_TRUE(server_->AwaitReady());
  }
  static void TearDownTestSuite() {
    delete server_;
    delete file_;
  }
  static TinyModelFile* file_;
  static TestServer* server_;
};
TinyModelFile* ServerTest::file_ = nullptr;
TestServer* ServerTest::server_ = nullptr;

TEST_F(ServerTest, HealthSaysWhatTheEngineGot) {
  for (const char* path : {"/health", "/v1/health"}) {
    const TestResponse response = server_->Get(path);
    EXPECT_EQ(response.status, 200);
    const boost::json::value health = Json(response.body);
    EXPECT_EQ(Text(health.at("status")), "ready");
    EXPECT_EQ(Text(health.at("model")), "tiny");
    const boost::json::object& optimization = health.at("optimization").as_object();
    for (const char* key : {"isa", "threads", "cpus", "n_ctx", "n_batch", "parallel", "mmap", "n_gpu_layers", "mlock",
                            "huge_pages", "repacked", "cache_type_k", "cache_type_v", "prefix_cache", "tuned_from"}) {
      EXPECT_TRUE(optimization.contains(key)) << key;
    }
    EXPECT_EQ(optimization.at("n_ctx"), 16384);
    for (const char* key : {"asked", "got", "locked_bytes"}) {
      EXPECT_TRUE(optimization.at("mlock").as_object().contains(key)) << key;
    }
    for (const char* key : {"queue_depth", "running", "kv_use", "last_step_age_s"}) {
      EXPECT_TRUE(health.as_object().contains(key)) << key;
    }
  }
}

TEST_F(ServerTest, StatusRoutes) {
  EXPECT_EQ(server_->Get("/livez").status, 200);
  EXPECT_EQ(server_->Get("/readyz").status, 200);
  const TestResponse models = server_->Get("/v1/models");
  EXPECT_EQ(models.status, 200);
  EXPECT_EQ(Text(Json(models.body).at("data").at(0).at("id")), "tiny");
  EXPECT_EQ(Text(Json(server_->Get("/v1/models/tiny").body).at("id")), "tiny");
  EXPECT_EQ(server_->Get("/v1/models/other").status, 404);
  EXPECT_EQ(Json(server_->Get("/props").body).at("default_generation_settings").at("n_ctx"), 16384);
  const auto defaults = Json(server_->Get("/props").body).at("default_generation_settings").at("params");
  EXPECT_EQ(defaults.at("repeat_penalty").to_number<double>(), 1);
  EXPECT_EQ(defaults.at("repeat_last_n"), 64);
  EXPECT_EQ(defaults.at("seed"), -1);
  const boost::json::value slots = Json(server_->Get("/slots").body);
  ASSERT_EQ(slots.as_array().size(), 8u);
  EXPECT_EQ(slots.at(7).at("is_processing"), false);
}

TEST_F(ServerTest, MetricsOfBothFamilies) {
  ASSERT_EQ(server_->Post("/v1/completions", R"({"prompt":[1,2,3],"max_tokens":4,"ignore_eos":true})").status, 200);
  // The loop publishes its counters after the callbacks of a step: the answer may be here a moment before them.
  for (int i = 0; i < 5000 && server_->Metric("vllm:generation_tokens_total") < 4; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const TestResponse metrics = server_->Get("/metrics");
  EXPECT_EQ(metrics.Header("Content-Type").substr(0, 10), "text/plain");
  const auto has = [&](const std::string& name) { return metrics.body.find("\n" + name + "{") != std::string::npos; };
  for (const char* name :
       {"prompt_tokens_total", "tokens_predicted_total", "prompt_seconds_total", "tokens_predicted_seconds_total",
        "n_decode_total", "prompt_tokens_seconds", "predicted_tokens_seconds", "requests_processing",
        "requests_deferred", "n_busy_slots_per_decode", "kv_cache_usage_ratio"}) {
    EXPECT_TRUE(has("llamacpp:" + std::string(name))) << name;
  }
  for (const char* name : {"num_requests_running", "num_requests_waiting", "kv_cache_usage_perc",
                           "prefix_cache_queries_total", "prefix_cache_hits_total", "num_preemptions_total",
                           "prompt_tokens_total", "generation_tokens_total", "request_success_total"}) {
    EXPECT_TRUE(has("vllm:" + std::string(name))) << name;
  }
  for (const char* name :
       {"vllm:time_to_first_token_seconds", "vllm:inter_token_latency_seconds", "vllm:e2e_request_latency_seconds",
        "vllm:request_queue_time_seconds", "vllm:request_prefill_time_seconds", "vllm:request_decode_time_seconds",
        "vllm:request_prompt_tokens", "vllm:request_generation_tokens", "vllm:iteration_tokens_total",
        "tenfold_predicted_vs_actual_seconds", "tenfold_step_seconds"}) {
    for (const char* part : {"_bucket", "_sum", "_count"}) EXPECT_TRUE(has(name + std::string(part))) << name << part;
  }
  for (const char* name : {"tenfold_load_state", "tenfold_load_progress", "tenfold_rejected_total",
                           "tenfold_cancelled_total", "tenfold_slo_met_total"}) {
    EXPECT_TRUE(has(name)) << name;
  }
  for (const char* bound : {"le=\"8\"", "le=\"12\""}) EXPECT_NE(metrics.body.find(bound), std::string::npos) << bound;
  EXPECT_EQ(server_->Metric("tenfold_load_state{model_name=\"tiny\",state=\"ready\"}"), 1);
  EXPECT_GE(server_->Metric("vllm:generation_tokens_total"), 4);
  EXPECT_GE(server_->Metric("vllm:request_success_total{model_name=\"tiny\",finished_reason=\"length\"}"), 1);
}

TEST_F(ServerTest, AGrammarTooAmbiguousIsTheRequestsFaultAndNotWorthARetry) {
  std::string properties;
  for (int i = 0; i < 3000; ++i) properties += "\"p" + std::to_string(i) + "\":{\"type\":\"boolean\"},";
  const std::string schema = "{\"type\":\"object\",\"properties\":{" + properties +
                             "\"z\":{\"type\":\"null\"}},\"required\":[\"z\"],\"additionalProperties\":false}";
  const TestResponse answer =
      server_->Post("/v1/completions", "{\"prompt\":[1,2],\"max_tokens\":40,\"json_schema\":" + schema + "}");
  EXPECT_EQ(answer.status, 400) << answer.body.substr(0, 300);
  EXPECT_NE(answer.body.find("too ambiguous"), std::string::npos) << answer.body.substr(0, 300);
  EXPECT_EQ(answer.Header("Retry-After"), "");
}

TEST_F(ServerTest, UnknownRoutesAndMethods) {
  const TestResponse missing = server_->Get("/v2/nothing");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(Text(Json(missing.body).at("error").at("type")), "not_found_error");
  for (const char* method : {"PUT", "GET", "DELETE", "PATCH", "HEAD"}) {
    const TestResponse wrong = TestClient(server_->port()).Ask(method, "/v1/chat/completions");
    EXPECT_EQ(wrong.status, 405) << method;
    EXPECT_EQ(wrong.Header("Allow"), "POST, OPTIONS") << method;
  }
  EXPECT_EQ(TestClient(server_->port()).Ask("POST", "/health").Header("Allow"), "GET, HEAD, OPTIONS");
  const TestResponse options = TestClient(server_->port()).Ask("OPTIONS", "/health");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.Header("Allow"), "GET, HEAD, OPTIONS");
  const TestResponse head = TestClient(server_->port()).Ask("HEAD", "/health");
  EXPECT_EQ(head.status, 200);
  EXPECT_GT(std::stoi(head.Header("Content-Length")), 0);
}

TEST_F(ServerTest, KeepAliveAndRequestIds) {
  TestClient client(server_->port());
  const TestResponse one = client.Ask("GET", "/health", "", "X-Request-Id: mine-1\r\n");
  EXPECT_EQ(one.Header("x-request-id"), "mine-1");
  const TestResponse wrong = client.Ask("POST", "/v1/completions", "{}", "X-Request-Id: mine-2\r\n");
  EXPECT_EQ(wrong.Header("x-request-id"), "mine-2");
  EXPECT_EQ(Text(Json(wrong.body).at("error").at("request_id")), "mine-2");
  const TestResponse nowhere = client.Ask("GET", "/nowhere");
  EXPECT_EQ(Text(Json(nowhere.body).at("error").at("request_id")), nowhere.Header("x-request-id"));
  EXPECT_EQ(one.Header("Connection"), "keep-alive");
  const TestResponse two = client.Ask("GET", "/health", "", "X-Request-Id: no good\r\n");
  EXPECT_EQ(two.status, 200);
  EXPECT_EQ(two.Header("x-request-id").substr(0, 4), "req-");
  client.Request("GET", "/livez", "", "Connection: close\r\n");
  EXPECT_EQ(client.Read().Header("Connection"), "close");
  EXPECT_TRUE(client.AwaitEnd());
}

TEST_F(ServerTest, Http10ClosesAndStreamsWithoutChunks) {
  TestClient client(server_->port());
  const std::string body = R"({"prompt":[1,2],"max_tokens":2,"ignore_eos":true,"stream":true})";
  client.Send("POST /v1/completions HTTP/1.0\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  const TestResponse response = client.Read();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.Header("Transfer-Encoding"), "");
  EXPECT_NE(response.body.find("data: [DONE]\n\n"), std::string::npos);
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  TestClient client(server_->port());
  const std::string slow = R"({"prompt":[1,2,3],"max_tokens":40,"ignore_eos":true})";
  client.Send("POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(slow.size()) +
              "\r\n\r\n" + slow + "GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /nope HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_NE(client.Read().body.find("text_completion"), std::string::npos);
  EXPECT_NE(client.Read().body.find("alive"), std::string::npos);
  EXPECT_EQ(client.Read().status, 404);
  EXPECT_EQ(client.Ask("GET", "/livez").status, 200);
}

TEST_F(ServerTest, GarbageGetsA400AndTheServerLives) {
  for (const std::string& bytes :
       {std::string("hello\r\n\r\n"), std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 13),
        std::string("GET / HTTP/9.9\r\n\r\n"), std::string("GET / HTTP/1.1\r\nno colon\r\n\r\n"),
        std::string("POST /tokenize HTTP/1.1\r\nContent-Length: -5\r\n\r\n"),
        std::string("POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        std::string("GET /\0 HTTP/1.1\r\n\r\n", 19)}) {
    TestClient client(server_->port());
    client.Send(bytes);
    const TestResponse response = client.Read();
    EXPECT_EQ(response.status, 400) << bytes;
    EXPECT_EQ(Text(Json(response.body).at("error").at("type")), "invalid_request_error");
    EXPECT_EQ(response.Header("Connection"), "close");
  }
  EXPECT_EQ(server_->Get("/livez").status, 200);
}

TEST_F(ServerTest, OversizedHeadAndBody) {
  TestClient head(server_->port());
  head.Send("GET /health HTTP/1.1\r\nX-Long: " + std::string(40000, 'a') + "\r\n\r\n");
  EXPECT_EQ(head.Read().status, 431);
  TestClient body(server_->port());
  body.Send("POST /tokenize HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n");
  const TestResponse large = body.Read();
  EXPECT_EQ(large.status, 413);
  EXPECT_EQ(Text(Json(large.body).at("error").at("code")), "request_too_large");
  TestClient sent(server_->port());  // all of it sent before reading: the answer must still arrive
  sent.Request("POST", "/tokenize", "{\"content\":\"" + std::string(17 << 20, 'a') + "\"}");
  EXPECT_EQ(sent.Read().status, 413);
  TestClient part(server_->port());
  part.Send("POST /tokenize HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n" + std::string(200'000, 'a'));
  EXPECT_EQ(part.Read().status, 413);
  EXPECT_TRUE(part.AwaitEnd()) << "an orderly end, not a reset, which could take the answer away on a slower network";
}

TEST_F(ServerTest, ExpectContinue) {
  TestClient client(server_->port());
  const std::string body = R"({"content":"a"})";
  client.Send("POST /tokenize HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n");
  EXPECT_EQ(client.Read().status, 100);
  client.Send(body);
  EXPECT_EQ(client.Read().status, 200);
}

TEST_F(ServerTest, ChunkedBodiesAreRead) {
  TestClient client(server_->port());
  client.Send(
      "POST /tokenize HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\n{\"con\r\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  client.Send("a\r\ntent\":\"a\"}\r\n0\r\n\r\n");
  EXPECT_EQ(client.Read().status, 200);
}

TEST(ServerLimits, SlowHeadsTimeOut) {
  TestServer server("", [](Config& c) {
    c.connection.head_us = 100'000;
    c.connection.idle_us = 200'000;
  });
  TestClient slow(server.port());
  slow.Send("GET /health HT");
  EXPECT_EQ(slow.Read().status, 408);
  TestClient idle(server.port());
  EXPECT_TRUE(idle.AwaitEnd());
}

TEST(ServerLimits, RequestsBeyondTheBoundAreRefused) {
  TinyModelFile file;
  file.Write();
  TestServer server(file.path(), [](Config& c) { c.max_requests = 1; });
  ASSERT_TRUE(server.AwaitReady());
  TestClient first(server.port());
  first.Request("POST", "/v1/completions", kLongStream);
  ASSERT_NE(first.Await("data: "), std::string::npos);
  const TestResponse second = server.Post("/v1/completions", R"({"prompt":[1],"max_tokens":1})");
  EXPECT_EQ(second.status, 503);
  EXPECT_EQ(Text(Json(second.body).at("error").at("code")), "server_is_overloaded");
  EXPECT_GE(std::stoi(second.Header("Retry-After")), 1);
  const TestResponse never = server.Post("/v1/completions", R"({"prompt":[1],"max_tokens":1,"n":2})");
  EXPECT_EQ(never.status, 503) << "the server is full, whatever the request is";
}

TEST(ServerLimits, MoreAnswersThanTheServerTakesAtOnceAreRefusedForGood) {
  TinyModelFile file;
  file.Write();
  TestServer server(file.path(), [](Config& c) { c.max_requests = 3; });
  ASSERT_TRUE(server.AwaitReady());
  EXPECT_EQ(server.Post("/v1/completions", R"({"prompt":[1],"max_tokens":1,"n":3})").status, 200);
  const TestResponse never = server.Post("/v1/completions", R"({"prompt":[[1],[2]],"max_tokens":1,"n":2})");
  EXPECT_EQ(never.status, 400) << never.body;
  EXPECT_NE(never.body.find("asks for 4 answers"), std::string::npos) << never.body;
}

TEST(ServerAccess, ApiKey) {
  TestServer server("", [](Config& c) { c.api_keys = {"secret"}; });
  for (const char* path : {"/health", "/livez", "/metrics"}) EXPECT_EQ(server.Get(path).status, 200) << path;
  EXPECT_EQ(server.Get("/readyz").status, 503);
  const TestResponse refused = server.Get("/v1/models");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(Text(Json(refused.body).at("error").at("type")), "authentication_error");
  TestClient client(server.port());
  EXPECT_EQ(client.Ask("GET", "/v1/models", "", "Authorization: Bearer wrong!\r\n").status, 401);
  EXPECT_EQ(client.Ask("GET", "/v1/models", "", "Authorization: Bearer secre\r\n").status, 401);
  EXPECT_EQ(client.Ask("GET", "/v1/models", "", "Authorization: bearer secret\r\n").status, 200);
  EXPECT_EQ(client.Ask("GET", "/v1/models", "", "X-Api-Key: secret\r\n").status, 200);
  EXPECT_EQ(client.Ask("POST", "/v1/completions", R"({"prompt":"a"})").status, 401);
  EXPECT_EQ(client.Ask("POST", "/admin/load").status, 401);
  EXPECT_EQ(client.Ask("POST", "/admin/unload", "", "X-Api-Key: secret\r\n").status, 202);
}

TEST(ServerAccess, AdminIsLocal) {
  TestServer server("");
  const auto unload = [&](const std::string& host, const std::string& origin) {
    TestClient client(server.port());
    client.Send("POST /admin/unload HTTP/1.1\r\nHost: " + host + "\r\n" +
                (origin.empty() ? "" : "Origin: " + origin + "\r\n") + "Content-Length: 0\r\n\r\n");
    return client.Read().status;
  };
  EXPECT_EQ(unload("localhost:8080", ""), 202);
  EXPECT_EQ(unload("127.0.0.1", "http://localhost:3000"), 202);
  EXPECT_EQ(unload("[::1]:80", "http://[::1]"), 202);
  EXPECT_EQ(unload("evil.example", ""), 403);
  EXPECT_EQ(unload("localhost.evil.example", ""), 403);
  EXPECT_EQ(unload("localhost", "https://evil.example"), 403);
  EXPECT_EQ(unload("localhost", "null"), 403);
}

TEST(ServerLoad, WithoutAModelItSaysSo) {
  TestServer server("");
  EXPECT_EQ(server.Get("/health").status, 200);
  EXPECT_EQ(Text(Json(server.Get("/health").body).at("status")), "not_loaded");
  EXPECT_EQ(server.Get("/v1/models").body, R"({"object":"list","data":[]})");
  EXPECT_EQ(server.Get("/readyz").status, 503);
  const TestResponse chat = server.Post("/v1/chat/completions", R"({"messages":[{"role":"user","content":"a"}]})");
  EXPECT_EQ(chat.status, 503);
  EXPECT_EQ(Text(Json(chat.body).at("error").at("type")), "service_unavailable_error");
  EXPECT_EQ(server.Post("/admin/load", "").status, 503);
}

TEST(ServerLoad, LazyLoadsOnTheFirstRequestAndServesWhatWasHeld) {
  TinyModelFile file;
  file.Write();
  TestServer server(file.path(), [](Config& c) { c.load_in_background = false; });
  EXPECT_EQ(Text(Json(server.Get("/health").body).at("status")), "not_loaded");
  EXPECT_EQ(server.Get("/readyz").status, 200);
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<TestClient>(server.port()));
    clients.back()->Request("POST", "/v1/completions", R"({"prompt":"hello","max_tokens":2,"ignore_eos":true})");
  }
  double longest_ms = 0;
  for (const auto& client : clients) {
    const TestResponse response = client->Read();
    ASSERT_EQ(response.status, 200) << response.body;
    longest_ms = std::max(longest_ms, Json(response.body).at("timings").at("load_ms").to_number<double>());
  }
  EXPECT_GT(longest_ms, 0);
  EXPECT_EQ(Text(Json(server.Get("/health").body).at("status")), "ready");
}

TEST(ServerLoad, TokenizeWaitsForTheModelToo) {
  TinyModelFile file;
  file.Write();
  TestServer server(file.path(), [](Config& c) { c.load_in_background = false; });
  EXPECT_EQ(server.Post("/tokenize", R"({"content":"hello"})").status, 200);
}

TEST(ServerLoad, AFailedLoadStaysUpAndCanBeTriedAgain) {
  TinyModelFile file;  // not written yet
  TestServer server(file.path());
  ASSERT_TRUE(Eventually([&] { return server.engine().snapshot().state == engine::LoadState::kError; }));
  const TestResponse health = server.Get("/health");
  EXPECT_EQ(health.status, 503);
  EXPECT_NE(health.Header("Retry-After"), "");
  EXPECT_EQ(Text(Json(health.body).at("status")), "error");
  EXPECT_NE(Text(Json(health.body).at("error").at("message")).find(file.path()), std::string::npos) << health.body;
  const TestResponse chat = server.Post("/v1/completions", R"({"prompt":"a"})");
  EXPECT_EQ(chat.status, 503);
  EXPECT_NE(chat.Header("Retry-After"), "");
  EXPECT_NE(chat.body.find(file.path()), std::string::npos);

  file.Write();
  EXPECT_EQ(server.Post("/admin/load", R"({"model":"other"})").status, 404);
  EXPECT_EQ(server.Post("/admin/load", "").status, 202);
  ASSERT_TRUE(server.AwaitReady());
  EXPECT_EQ(server.Post("/admin/load", "{}").status, 200);
  EXPECT_EQ(server.Post("/v1/completions", R"({"prompt":"a","max_tokens":1,"ignore_eos":true})").status, 200);

  EXPECT_EQ(server.Post("/admin/unload", "").status, 202);
  ASSERT_TRUE(Eventually([&] { return server.engine().snapshot().state == engine::LoadState::kNotLoaded; }));
  EXPECT_EQ(server.Get("/health").status, 200);
}

TEST(ServerDrain, FinishesWhatRunsAndRefusesTheRest) {
  TinyModelFile file;
  file.Write();
  TestServer server(file.path(), [](Config& c) { c.drain_us = 60'000'000; });
  ASSERT_TRUE(server.AwaitReady());
  TestClient running(server.port());
  running.Request("POST", "/v1/completions", R"({"prompt":[1,2,3],"max_tokens":4000,"ignore_eos":true,"stream":true})");
  ASSERT_NE(running.Await("data: "), std::string::npos);
  TestClient idle(server.port());
  EXPECT_EQ(idle.Ask("GET", "/livez").status, 200);
  server.server().Shutdown();
  EXPECT_TRUE(idle.AwaitEnd());
  const TestResponse refused = TestClient(server.port()).Ask("POST", "/v1/completions", R"({"prompt":[1]})");
  EXPECT_EQ(refused.status, 503);
  EXPECT_NE(refused.Header("Retry-After"), "");
  EXPECT_EQ(refused.Header("Connection"), "close");
  const TestResponse rest = running.Read();
  EXPECT_NE(rest.body.find("\"finish_reason\":\"length\""), std::string::npos);
  EXPECT_NE(rest.body.find("data: [DONE]\n\n"), std::string::npos);
  EXPECT_TRUE(Eventually([&] { return server.finished(); }));
}

TEST(ServerDrain, TheLimitEndsStreamsWithAnError) {
  TinyModelFile file;
  file.Write();
  TestServer server(file.path(), [](Config& c) { c.drain_us = 50'000; });
  ASSERT_TRUE(server.AwaitReady());
  TestClient running(server.port());
  running.Request("POST", "/v1/completions", kLongStream);
  ASSERT_NE(running.Await("data: "), std::string::npos);
  server.server().Shutdown();
  const TestResponse rest = running.Read();
  EXPECT_NE(rest.body.find("data: {\"error\":{"), std::string::npos);
  EXPECT_EQ(rest.body.find("[DONE]"), std::string::npos);
  EXPECT_TRUE(Eventually([&] { return server.finished(); }));
}

TEST(ServerDrain, TheSecondCallEndsAtOnce) {
  TinyModelFile file;
  file.Write();
  TestServer server(file.path(), [](Config& c) { c.drain_us = 3'600'000'000; });
  ASSERT_TRUE(server.AwaitReady());
  TestClient running(server.port());
  running.Request("POST", "/v1/completions", kLongStream);
  ASSERT_NE(running.Await("data: "), std::string::npos);
  server.server().Shutdown();
  server.server().Shutdown();
  const TestResponse rest = running.Read();
  EXPECT_NE(rest.body.find("data: {\"error\":{"), std::string::npos);
  EXPECT_EQ(rest.body.find("[DONE]"), std::string::npos);
  EXPECT_TRUE(Eventually([&] { return server.finished(); }));
}

TEST(ServerBind, APortInUseIsNamed) {
  TestServer first("");
  Config config;
  config.port = first.port();
  Server second(config);
  const Status bound = second.Bind();
  ASSERT_FALSE(bound.ok());
  EXPECT_NE(bound.error().message.find(std::to_string(first.port())), std::string::npos) << bound.error().message;
  config.host = "not an address";
  Server third(config);
  ASSERT_FALSE(third.Bind().ok());
}

}  // namespace
}  // namespace tenfold::server
