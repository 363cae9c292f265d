// Clients that do not behave: too many, too slow, too large. Each is bounded, and the others do not notice.
#include <gtest/gtest.h>

#include "server/test_generation.h"

namespace tenfold::server {
namespace {

using Clients = std::vector<std::unique_ptr<TestClient>>;

TEST(HostileClients, TheLongestIdleConnectionMakesRoom) {
  TestServer server("", [](Config& c) { c.connection.max_connections = 3; });
  Clients clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<TestClient>(server.port()));
    ASSERT_EQ(clients.back()->Ask("GET", "/livez").status, 200);
  }
  ASSERT_EQ(clients[0]->Ask("GET", "/livez").status, 200);  // now the second is the longest idle
  TestClient more(server.port());
  EXPECT_EQ(more.Ask("GET", "/livez").status, 200);
  EXPECT_TRUE(clients[1]->AwaitEnd());
  EXPECT_EQ(clients[0]->Ask("GET", "/livez").status, 200);
  EXPECT_EQ(clients[2]->Ask("GET", "/livez").status, 200);
}

TEST(HostileClients, WhereNoneIsIdleTheNewOneHearsSo) {
  TestServer server("", [](Config& c) { c.connection.max_connections = 3; });
  Clients clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<TestClient>(server.port()));
    clients.back()->Send("GET /livez HTTP/1.1\r\nHo");  // busy: its head is under way
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  TestClient more(server.port());
  const TestResponse answer = more.Ask("GET", "/livez");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(Text(Json(answer.body).at("error").at("code")), "server_is_overloaded");
  EXPECT_NE(answer.Header("Retry-After"), "");
  EXPECT_TRUE(more.AwaitEnd());
  clients[0]->Send("st: a\r\n\r\n");
  EXPECT_EQ(clients[0]->Read().status, 200) << "those inside are served";
  EXPECT_EQ(TestClient(server.port()).Ask("GET", "/livez").status, 200) << "and now one is idle";
  EXPECT_EQ(server.Metric("tenfold_rejected_total{model_name=\"\",reason=\"connections\"}"), 1);
}

TEST(HostileClients, HeadsAndBodiesThatDripTimeOutAndOthersAreServed) {
  TestServer server("", [](Config& c) {
    c.connection.head_us = 200'000;
    c.connection.body_us = 400'000;
  });
  const auto drip = [&](const std::string& begin) {
    TestClient client(server.port());
    client.Send(begin);
    for (int i = 0; i < 20; ++i) {  // never silent for long, never done
      std::this_thread::sleep_for(std::chrono::milliseconds(40));
      client.Send("a");
    }
    return client.Read().status;
  };
  int head = 0;
  int body = 0;
  std::thread slow_head([&] { head = drip("GET /health HTTP/1.1\r\nX-Slow: "); });
  std::thread slow_body([&] { body = drip("POST /tokenize HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"); });
  for (int i = 0; i < 20; ++i) EXPECT_EQ(server.Get("/health").status, 200);
  slow_head.join();
  slow_body.join();
  EXPECT_EQ(head, 408);
  EXPECT_EQ(body, 408);
}

TEST(HostileClients, BodiesBeingReceivedAreBoundedTogether) {
  TestServer server("", [](Config& c) {
    c.connection.max_bodies_bytes = 3 << 20;
    c.connection.body_us = 20'000'000;
  });
  Clients clients;
  for (int i = 0; i < 3; ++i) {  // each sends a megabyte of two, and then waits
    clients.push_back(std::make_unique<TestClient>(server.port()));
    clients.back()->Send("POST /tokenize HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" +
                         std::string(1'000'000, 'a'));
  }
  const auto refused = [&](TestClient& client) {
    return client.Read().body.find("Too many large requests are being received") != std::string::npos;
  };
  EXPECT_TRUE(Eventually([&] { return server.Metric("tenfold_receiving_bytes") == 3'000'000; }));
  TestClient more(server.port());
  more.Request("POST", "/tokenize", std::string(1'000'000, 'a'));
  EXPECT_TRUE(refused(more));
  TestClient small(server.port());
  small.Request("POST", "/tokenize", "{}");
  EXPECT_FALSE(refused(small)) << "it needs next to nothing";
  for (const auto& client : clients) client->Send(std::string(1'000'000, 'a'));
  EXPECT_TRUE(refused(*clients[0]) || refused(*clients[1]) || refused(*clients[2])) << "together they are too much";
  clients.clear();
  EXPECT_TRUE(Eventually([&] {  // and all of it is given back
    TestClient again(server.port());
    again.Request("POST", "/tokenize", std::string(2'900'000, 'a'));
    return !refused(again);
  }));
}

TEST(HostileClients, OneThatDoesNotReadDoesNotChangeTheOthers) {
  TinyModelFile file;
  file.Write();
  TestServer server(
      file.path(), [](Config& c) { c.connection.stream_buffer_bytes = 64 << 10; },
      [](engine::Options& o) {
        o.max_running = 10;
        o.exact = true;
      });
  ASSERT_TRUE(server.AwaitReady());
  const auto body = [](int user) {
    return R"({"prompt":[)" + std::to_string(user + 1) + ",5,9" +
           R"(],"max_tokens":400,"temperature":0,"ignore_eos":true,"stream":true})";
  };
  std::vector<std::string> alone;
  for (int user = 0; user < 9; ++user) alone.push_back(server.Post("/v1/completions", body(user)).body);
  TestClient deaf(server.port());
  deaf.Request("POST", "/v1/completions",
               R"({"prompt":[1,2,3],"max_tokens":16000,"ignore_eos":true,"stream":true,"logprobs":20})");
  std::vector<std::string> together(9);
  std::vector<std::thread> threads;
  for (int user = 0; user < 9; ++user) {
    threads.emplace_back(
        [&, user] { together[static_cast<size_t>(user)] = server.Post("/v1/completions", body(user)).body; });
  }
  for (std::thread& thread : threads) thread.join();
  const auto text = [](const std::string& stream) {
    std::string all;
    for (const boost::json::value& event : Parse(stream).json) all += Text(event.at("choices").at(0).at("text"));
    return all;
  };
  for (size_t user = 0; user < 9; ++user) EXPECT_EQ(text(together[user]), text(alone[user])) << "user " << user;
  EXPECT_TRUE(Eventually(
      [&] { return server.Metric("tenfold_cancelled_total{model_name=\"tiny\",where=\"send_buffer\"}") == 1; }));
}

TEST(HostileClients, AWriteWithoutProgressEndsEvenASmallStream) {
  TinyModelFile file;
  file.Write();
  TestServer server(file.path(), [](Config& c) {
    c.connection.write_us = 300'000;
    c.connection.kernel_send_bytes = 4096;
    c.connection.stream_buffer_bytes = 64 << 20;
  });
  ASSERT_TRUE(server.AwaitReady());
  TestClient deaf(server.port());
  deaf.Request("POST", "/v1/completions",
               R"({"prompt":[1,2,3],"max_tokens":16000,"ignore_eos":true,"stream":true,"logprobs":100})");
  EXPECT_TRUE(Eventually(
      [&] { return server.Metric("tenfold_cancelled_total{model_name=\"tiny\",where=\"send_buffer\"}") == 1; }));
  EXPECT_TRUE(Eventually([&] { return server.engine().snapshot().running == 0; }));
}

}  // namespace
}  // namespace tenfold::server
