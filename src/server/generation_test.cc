// Answers over real sockets from a tiny random model: streams, stops, log-probabilities, disconnects, ten and more at
// once.
#include "server/generation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <set>

#include "server/test_server.h"

namespace tenfold::server {
namespace {

class GenerationTest : public ::testing::Test {
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

  static TinyModelFile* file_;
  static TestServer* server_;
};
TinyModelFile* GenerationTest::file_ = nullptr;
TestServer* GenerationTest::server_ = nullptr;

// The events of a stream as JSON; "[DONE]" and comments are left out but counted.
struct Events {
  std::vector<boost::json::value> json;
  int done = 0;
  int pings = 0;
};

Events Parse(const std::string& body) {
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

TEST_F(GenerationTest, WholeAnswer) {
  const boost::json::value answer = Ask(Completion(R"("max_tokens":5)"));
  EXPECT_EQ(Text(answer.at("object")), "text_completion");
  EXPECT_EQ(Text(answer.at("model")), "tiny");
  EXPECT_EQ(Text(Choice(answer).at("finish_reason")), "length");
  EXPECT_EQ(answer.at("usage").at("completion_tokens"), 5);
  EXPECT_EQ(answer.at("usage").at("total_tokens"), answer.at("usage").at("prompt_tokens").as_int64() + 5);
  EXPECT_EQ(answer.at("timings").at("predicted_n"), 5);
  EXPECT_TRUE(answer.at("timings").as_object().contains("queue_ms"));
}

TEST_F(GenerationTest, ChatStreamHasItsOrder) {
  const TestResponse response = server_->Post(
      "/v1/chat/completions",
      R"({"model":"tiny","messages":[{"role":"user","content":"hi"}],"temperature":0,"max_tokens":6,"ignore_eos":true,)"
      R"("stream":true,"stream_options":{"include_usage":true}})");
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.Header("Content-Type"), "text/event-stream");
  EXPECT_EQ(response.Header("Cache-Control"), "no-cache");
  EXPECT_EQ(response.Header("X-Accel-Buffering"), "no");
  const Events events = Parse(response.body);
  EXPECT_EQ(events.done, 1);
  ASSERT_GE(events.json.size(), 3u);
  const auto delta = [&](size_t i) { return Choice(events.json[i]).at("delta").as_object(); };
  EXPECT_EQ(Text(delta(0).at("role")), "assistant");
  EXPECT_EQ(Text(delta(0).at("content")), "");
  const size_t n = events.json.size();
  for (size_t i = 1; i + 2 < n; ++i) {
    EXPECT_NE(Text(delta(i).at("content")), "");
    EXPECT_TRUE(Choice(events.json[i]).at("finish_reason").is_null());
  }
  EXPECT_TRUE(delta(n - 2).empty());
  EXPECT_EQ(Text(Choice(events.json[n - 2]).at("finish_reason")), "length");
  EXPECT_TRUE(events.json[n - 1].at("choices").as_array().empty());
  EXPECT_EQ(events.json[n - 1].at("usage").at("completion_tokens"), 6);
  for (const boost::json::value& event : events.json) EXPECT_EQ(event.at("id"), events.json[0].at("id"));
}

TEST_F(GenerationTest, StreamAndWholeSayTheSame) {
  const std::string whole = Text(Choice(Ask(Completion(R"("max_tokens":60)"))).at("text"));
  const TestResponse response = server_->Post("/v1/completions", Completion(R"("max_tokens":60,"stream":true)"));
  std::string streamed;
  for (const boost::json::value& event : Parse(response.body).json) {
    streamed += Text(Choice(event).at("text"));
  }
  EXPECT_EQ(streamed, whole);
  EXPECT_FALSE(whole.empty());
}

TEST_F(GenerationTest, StopStringsAcrossTokensCutTheText) {
  const std::string whole = Text(Choice(Ask(Completion(R"("max_tokens":60)"))).at("text"));
  // Two ASCII neighbours somewhere in the middle of the text, which no token boundary respects for sure.
  size_t at = 10;
  while (at + 4 < whole.size() &&
         !(std::isalnum(static_cast<unsigned char>(whole[at])) &&
           std::isalnum(static_cast<unsigned char>(whole[at + 1])) && whole.find(whole.substr(at, 2)) == at)) {
    ++at;
  }
  ASSERT_LT(at + 4, whole.size()) << whole;
  const std::string stop = whole.substr(at, 2);
  const std::string fields = R"("max_tokens":60,"stop":[")" + stop + R"("])";
  const boost::json::value answer = Ask(Completion(fields));
  EXPECT_EQ(Text(Choice(answer).at("text")), whole.substr(0, at));
  EXPECT_EQ(Text(Choice(answer).at("finish_reason")), "stop");
  EXPECT_LT(answer.at("usage").at("completion_tokens").as_int64(), 60);
  const Events events = Parse(server_->Post("/v1/completions", Completion(fields + R"(,"stream":true)")).body);
  std::string streamed;
  for (const boost::json::value& event : events.json) streamed += Text(Choice(event).at("text"));
  EXPECT_EQ(streamed, whole.substr(0, at));
  EXPECT_EQ(events.done, 1);
}

TEST_F(GenerationTest, EndOfGenerationStops) {
  // Without ignore_eos a random model draws its end token sooner or later; with it, never.
  const boost::json::value answer = Ask(R"({"prompt":"x","temperature":2,"seed":3,"max_tokens":16000})");
  EXPECT_EQ(Text(Choice(answer).at("finish_reason")), "stop");
}

TEST_F(GenerationTest, SeedsRepeat) {
  const auto text = [&](const char* seed) {
    return Text(
        Choice(Ask(R"({"prompt":"x","max_tokens":30,"ignore_eos":true,"seed":)" + std::string(seed) + "}")).at("text"));
  };
  EXPECT_EQ(text("5"), text("5"));
  EXPECT_NE(text("5"), text("6"));
}

TEST_F(GenerationTest, LogprobsOfEveryToken) {
  const boost::json::value answer = Ask(Completion(R"("max_tokens":8,"logprobs":3)"));
  const boost::json::object& logprobs = Choice(answer).at("logprobs").as_object();
  EXPECT_EQ(logprobs.at("tokens").as_array().size(), 8u);
  EXPECT_EQ(logprobs.at("text_offset").as_array().size(), 8u);
  const boost::json::array& content = logprobs.at("content").as_array();
  ASSERT_EQ(content.size(), 8u);
  for (const boost::json::value& token : content) {
    ASSERT_EQ(token.at("top_logprobs").as_array().size(), 3u);
    // Greedy: the drawn token is the likeliest.
    EXPECT_EQ(token.at("top_logprobs").at(0).at("id"), token.at("id"));
    EXPECT_EQ(token.at("top_logprobs").at(0).at("logprob"), token.at("logprob"));
    EXPECT_LE(token.at("logprob").to_number<double>(), 0);
  }
  size_t streamed = 0;
  const Events events =
      Parse(server_->Post("/v1/completions", Completion(R"("max_tokens":8,"logprobs":0,"stream":true)")).body);
  for (const boost::json::value& event : events.json) {
    if (Choice(event).at("logprobs").is_object()) {
      streamed += Choice(event).at("logprobs").at("content").as_array().size();
    }
  }
  EXPECT_EQ(streamed, 8u);
}

TEST_F(GenerationTest, ErrorsBeforeTheFirstTokenArePlainHttp) {
  const TestResponse bad = server_->Post("/v1/completions", R"({"prompt":[1,99999],"stream":true})");
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(bad.Header("Content-Type"), "application/json");
  EXPECT_EQ(Text(Json(bad.body).at("error").at("param")), "prompt");
  const boost::json::value long_one = Ask(R"({"prompt":[1,2,3],"max_tokens":16382,"stream":true})", 400);
  EXPECT_EQ(Text(long_one.at("error").at("type")), "exceed_context_size_error");
  EXPECT_EQ(long_one.at("error").at("n_prompt_tokens"), 3);
  EXPECT_EQ(long_one.at("error").at("n_ctx"), 16384);
  EXPECT_EQ(Text(Ask(R"({"prompt":"a","model":"gpt-4"})", 404).at("error").at("code")), "model_not_found");
  Ask(R"({"prompt":[]})", 400);
  Ask(R"({"prompt":""})", 400);  // this vocabulary has no BOS to begin with
  Ask("{", 400);
}

TEST_F(GenerationTest, TokenizeRoundTrip) {
  const std::string text = "Gr\xC3\xBC\xC3\x9F dich, <|im_start|>heron";
  const TestResponse tokens = server_->Post("/tokenize", "{\"content\":\"" + text + "\"}");
  ASSERT_EQ(tokens.status, 200);
  const TestResponse back = server_->Post("/detokenize", tokens.body);
  EXPECT_EQ(Text(Json(back.body).at("content")), text);
  EXPECT_EQ(server_->Post("/detokenize", R"({"tokens":[512]})").status, 400);
}

// The engine's work must stop when the client hangs up: the request ends as cancelled, not as complete.
void ExpectCancelled(TestServer* server, const std::string& body, const std::string& await) {
  const auto decode = [&] { return server->Metric("tenfold_cancelled_total{model_name=\"tiny\",where=\"decode\"}"); };
  const double before = decode();
  const uint64_t cancelled = server->engine().snapshot().cancelled_total;
  {
    TestClient client(server->port());
    client.Request("POST", "/v1/completions", body);
    if (await.empty()) {
      ASSERT_TRUE(Eventually([&] { return server->engine().snapshot().running > 0; }));
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    } else {
      ASSERT_NE(client.Await(await), std::string::npos);
    }
  }
  EXPECT_TRUE(Eventually([&] { return decode() == before + 1; }));
  EXPECT_TRUE(Eventually([&] { return server->engine().snapshot().running == 0; }));
  EXPECT_EQ(server->engine().snapshot().cancelled_total, cancelled + 1);
  const uint64_t steps = server->engine().snapshot().steps_total;
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_EQ(server->engine().snapshot().steps_total, steps) << "the loop still works";
}

TEST_F(GenerationTest, DisconnectStopsAStream) {
  ExpectCancelled(server_, R"({"prompt":[1,2,3],"max_tokens":16000,"ignore_eos":true,"stream":true})", "data: ");
}

TEST_F(GenerationTest, DisconnectStopsAWholeAnswer) {
  ExpectCancelled(server_, R"({"prompt":[1,2,3],"max_tokens":16000,"ignore_eos":true})", "");
}

TEST_F(GenerationTest, AClientThatReadsNothingIsDropped) {
  const uint64_t cancelled = server_->engine().snapshot().cancelled_total;
  TestClient client(server_->port());
  client.Request("POST", "/v1/completions",
                 R"({"prompt":[1,2,3],"max_tokens":16000,"ignore_eos":true,"stream":true,"logprobs":100})");
  // 16,000 tokens with a hundred alternatives each are far more than all buffers between us hold.
  EXPECT_TRUE(Eventually([&] { return server_->engine().snapshot().cancelled_total == cancelled + 1; }));
  EXPECT_EQ(server_->Get("/livez").status, 200);
  const TestResponse rest = client.Read();
  EXPECT_EQ(rest.body.find("[DONE]"), std::string::npos);
}

// 32 different requests, streaming and not, chat and completion: each gets what it gets alone.
TEST_F(GenerationTest, ManyAtOnceGetWhatEachGetsAlone) {
  constexpr int kUsers = 32;
  const auto ask = [&](int user) {
    const bool chat = user % 2 == 0;
    const bool stream = user % 3 == 0;
    const std::string content = "user " + std::to_string(user) + std::string(static_cast<size_t>(user) * 3, 'z');
    const std::string prompt =
        chat ? R"("messages":[{"role":"user","content":")" + content + R"("}])" : R"("prompt":")" + content + "\"";
    const std::string body = "{" + prompt + R"(,"max_tokens":)" + std::to_string(20 + user) +
                             R"(,"temperature":0.7,"seed":)" + std::to_string(user) +
                             R"(,"ignore_eos":true,"stream":)" + (stream ? "true" : "false") + "}";
    const TestResponse response = server_->Post(chat ? "/v1/chat/completions" : "/v1/completions", body);
    EXPECT_EQ(response.status, 200) << response.body;
    const char* whole_key = chat ? "message" : "text";
    std::string text;
    if (!stream) {
      const boost::json::value answer = Json(response.body);
      return chat ? Text(Choice(answer).at(whole_key).at("content")) : Text(Choice(answer).at(whole_key));
    }
    for (const boost::json::value& event : Parse(response.body).json) {
      if (!chat) {
        text += Text(Choice(event).at("text"));
      } else if (const auto* content_json = Choice(event).at("delta").as_object().if_contains("content")) {
        text += Text(*content_json);
      }
    }
    return text;
  };
  std::vector<std::string> alone(kUsers);
  for (int user = 0; user < kUsers; ++user) alone[static_cast<size_t>(user)] = ask(user);
  std::vector<std::string> together(kUsers);
  std::vector<std::thread> threads;
  for (int user = 0; user < kUsers; ++user) {
    threads.emplace_back([&, user] { together[static_cast<size_t>(user)] = ask(user); });
  }
  for (std::thread& thread : threads) thread.join();
  for (int user = 0; user < kUsers; ++user) {
    EXPECT_EQ(together[static_cast<size_t>(user)], alone[static_cast<size_t>(user)]) << "user " << user;
    EXPECT_FALSE(alone[static_cast<size_t>(user)].empty());
  }
}

TEST_F(GenerationTest, ChoicesDifferAndCanBeHadAlone) {
  const auto fields = [](const std::string& more) {
    return R"({"prompt":[1,2,3],"max_tokens":20,"ignore_eos":true,)" + more + "}";
  };
  const boost::json::value answer = Ask(fields(R"("n":3,"seed":40)"));
  ASSERT_EQ(answer.at("choices").as_array().size(), 3u);
  EXPECT_EQ(answer.at("usage").at("prompt_tokens"), 3);
  EXPECT_EQ(answer.at("usage").at("completion_tokens"), 60);
  std::set<std::string> texts;
  for (int i = 0; i < 3; ++i) {
    const boost::json::value& choice = answer.at("choices").as_array()[static_cast<size_t>(i)];
    EXPECT_EQ(choice.at("index"), i);
    const boost::json::value alone = Ask(fields("\"seed\":" + std::to_string(40 + i)));
    EXPECT_EQ(Text(choice.at("text")), Text(Choice(alone).at("text")));
    texts.insert(Text(choice.at("text")));
  }
  EXPECT_EQ(texts.size(), 3u);
}

TEST_F(GenerationTest, PromptsOfOneRequestAnswerAsEachAlone) {
  const std::string more = R"(,"max_tokens":12,"ignore_eos":true,"seed":5,"n":2})";
  const boost::json::value answer = Ask(R"({"prompt":["The heron",[7,8,9],"x"])" + more);
  const char* const prompts[] = {R"("The heron")", "[7,8,9]", R"("x")"};
  ASSERT_EQ(answer.at("choices").as_array().size(), 6u);
  int64_t prompt_tokens = 0;
  for (size_t p = 0; p < 3; ++p) {
    const boost::json::value alone = Ask(R"({"prompt":)" + std::string(prompts[p]) + more);
    prompt_tokens += alone.at("usage").at("prompt_tokens").as_int64();
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(answer.at("choices").as_array()[2 * p + i].at("index"), 2 * p + i);
      EXPECT_EQ(Text(answer.at("choices").as_array()[2 * p + i].at("text")),
                Text(alone.at("choices").as_array()[i].at("text")));
    }
  }
  EXPECT_EQ(answer.at("usage").at("prompt_tokens"), prompt_tokens);
  EXPECT_EQ(answer.at("usage").at("completion_tokens"), 72);
}

TEST_F(GenerationTest, StreamedChoicesCarryTheirIndex) {
  const std::string fields =
      R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":15,"ignore_eos":true,"seed":9,"n":3)";
  const TestResponse whole = server_->Post("/v1/chat/completions", fields + "}");
  ASSERT_EQ(whole.status, 200) << whole.body;
  const Events events = Parse(server_->Post("/v1/chat/completions", fields + R"(,"stream":true})").body);
  EXPECT_EQ(events.done, 1);
  std::string texts[3];
  int roles[3] = {};
  int finished[3] = {};
  for (const boost::json::value& event : events.json) {
    const auto index = static_cast<size_t>(Choice(event).at("index").as_int64());
    ASSERT_LT(index, 3u);
    EXPECT_EQ(finished[index], 0) << "a chunk behind its choice's last";
    const boost::json::object& delta = Choice(event).at("delta").as_object();
    roles[index] += delta.contains("role");
    if (delta.contains("content")) texts[index] += Text(delta.at("content"));
    finished[index] += Choice(event).at("finish_reason").is_string();
  }
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(roles[i], 1);
    EXPECT_EQ(finished[i], 1);
    EXPECT_EQ(texts[i], Text(Json(whole.body).at("choices").as_array()[i].at("message").at("content")));
  }
  // Timings belong to the very last chunk.
  for (size_t i = 0; i < events.json.size(); ++i) {
    EXPECT_EQ(events.json[i].as_object().contains("timings"), i + 1 == events.json.size());
  }
}

TEST_F(GenerationTest, DisconnectStopsEveryChoice) {
  const uint64_t cancelled = server_->engine().snapshot().cancelled_total;
  {
    TestClient client(server_->port());
    client.Request("POST", "/v1/completions",
                   R"({"prompt":[[1,2],[3,4]],"n":2,"max_tokens":16000,"ignore_eos":true,"stream":true})");
    ASSERT_NE(client.Await("\"index\":3"), std::string::npos);
  }
  EXPECT_TRUE(Eventually([&] { return server_->engine().snapshot().cancelled_total == cancelled + 4; }));
  EXPECT_TRUE(Eventually([&] { return server_->engine().snapshot().running == 0; }));
}

TEST_F(GenerationTest, AStopStringEndsOnlyItsChoice) {
  const std::string fields = R"({"prompt":[1,2,3],"max_tokens":30,"ignore_eos":true,"seed":1,"n":4)";
  const boost::json::value whole = Ask(fields + "}");
  const auto text = [](const boost::json::value& answer, size_t i) {
    return Text(answer.at("choices").as_array()[i].at("text"));
  };
  // Two letters of the second choice's text that no other choice has.
  std::string stop;
  for (size_t at = 0; at + 2 <= text(whole, 1).size() && stop.empty(); ++at) {
    const std::string pair = text(whole, 1).substr(at, 2);
    bool unique =
        std::isalnum(static_cast<unsigned char>(pair[0])) && std::isalnum(static_cast<unsigned char>(pair[1]));
    for (size_t i : {0u, 2u, 3u}) unique = unique && text(whole, i).find(pair) == std::string::npos;
    if (unique) stop = pair;
  }
  ASSERT_FALSE(stop.empty());
  const boost::json::value cut = Ask(fields + R"(,"stop":")" + stop + "\"}");
  for (size_t i = 0; i < 4; ++i) {
    const boost::json::value& choice = cut.at("choices").as_array()[i];
    EXPECT_EQ(Text(choice.at("finish_reason")), i == 1 ? "stop" : "length");
    EXPECT_EQ(Text(choice.at("text")), i == 1 ? text(whole, 1).substr(0, text(whole, 1).find(stop)) : text(whole, i));
  }
}

TEST_F(GenerationTest, EchoPutsThePromptInFront) {
  const std::string fields = R"("prompt":"The heron","temperature":0,"ignore_eos":true,"max_tokens":9)";
  const std::string text = Text(Choice(Ask("{" + fields + "}")).at("text"));
  const boost::json::value echoed = Ask("{" + fields + R"(,"echo":true,"n":2})");
  for (size_t i : {0u, 1u}) EXPECT_EQ(Text(echoed.at("choices").as_array()[i].at("text")), "The heron" + text);
  EXPECT_EQ(echoed.at("usage").at("completion_tokens"), 18);
  std::string streamed;
  const Events events = Parse(server_->Post("/v1/completions", "{" + fields + R"(,"echo":true,"stream":true})").body);
  for (const boost::json::value& event : events.json) streamed += Text(Choice(event).at("text"));
  EXPECT_EQ(streamed, "The heron" + text);
  // A prompt of ids comes back as their text, control tokens included.
  const std::string tokens = server_->Post("/tokenize", R"({"content":"<|im_start|>He"})").body;
  const std::string ids = boost::json::serialize(Json(tokens).at("tokens"));
  const boost::json::value none = Ask(R"({"prompt":)" + ids + R"(,"echo":true,"max_tokens":0})");
  EXPECT_EQ(Text(Choice(none).at("text")), "<|im_start|>He");
  EXPECT_EQ(Text(Choice(none).at("finish_reason")), "length");
  EXPECT_EQ(none.at("usage").at("completion_tokens"), 0);
}

// The log-probabilities of an echoed text are those that it had when it was generated, and lie where its text does.
TEST_F(GenerationTest, EchoedLogprobsAreThoseOfTheGeneration) {
  const boost::json::value first =
      Ask(R"({"prompt":[5,6,7],"temperature":0,"max_tokens":40,"ignore_eos":true,"logprobs":2})");
  boost::json::array ids = {5, 6, 7};
  const boost::json::array& told = Choice(first).at("logprobs").at("content").as_array();
  for (const boost::json::value& token : told) ids.push_back(token.at("id"));
  const std::string prompt = boost::json::serialize(ids);
  for (const char* more : {R"("max_tokens":0)", R"("max_tokens":4,"ignore_eos":true,"temperature":0)"}) {
    const boost::json::value echo = Ask(R"({"prompt":)" + prompt + R"(,"echo":true,"logprobs":2,)" + more + "}");
    const boost::json::object& logprobs = Choice(echo).at("logprobs").as_object();
    const boost::json::array& content = logprobs.at("content").as_array();
    const size_t generated = echo.at("usage").at("completion_tokens").as_int64();
    ASSERT_EQ(content.size(), ids.size() + generated);
    EXPECT_TRUE(content[0].at("logprob").is_null());
    EXPECT_TRUE(logprobs.at("token_logprobs").at(0).is_null());
    EXPECT_TRUE(logprobs.at("top_logprobs").at(0).is_null());
    for (size_t i = 0; i < told.size(); ++i) {
      EXPECT_EQ(content[3 + i].at("id"), told[i].at("id"));
      // ignore_eos took a token out of the generated ones' distribution, and few and many tokens round differently.
      EXPECT_NEAR(content[3 + i].at("logprob").to_number<double>(), told[i].at("logprob").to_number<double>(), 0.05);
    }
    // text_offset counts characters.
    const std::string text = Text(Choice(echo).at("text"));
    std::vector<size_t> begins;
    for (size_t i = 0; i < text.size(); ++i) {
      if ((text[i] & 0xC0) != 0x80) begins.push_back(i);
    }
    size_t found = 0;
    for (size_t i = 0; i < content.size(); ++i) {
      const std::string token = Text(logprobs.at("tokens").at(i));
      if (token.empty() || token.rfind("bytes:", 0) == 0) continue;
      const auto offset = static_cast<size_t>(logprobs.at("text_offset").at(i).as_int64());
      ASSERT_LT(offset, begins.size());
      EXPECT_EQ(text.substr(begins[offset], token.size()), token) << "token " << i;
      ++found;
    }
    EXPECT_GT(found, 10u);
  }
}

TEST_F(GenerationTest, PenaltiesAndBiasesReachTheSampler) {
  const auto ids = [&](const std::string& fields) {
    const boost::json::value answer = Ask(Completion(R"("max_tokens":24,"logprobs":0)" + fields));
    std::vector<int64_t> out;
    for (const boost::json::value& token : Choice(answer).at("logprobs").at("content").as_array()) {
      out.push_back(token.at("id").as_int64());
    }
    return out;
  };
  const std::vector<int64_t> plain = ids("");
  const std::string first = std::to_string(plain[0]);
  EXPECT_EQ(ids(R"(,"logit_bias":{")" + std::to_string((plain[0] + 1) % 500) + R"(":100})"),
            std::vector<int64_t>(24, (plain[0] + 1) % 500));
  for (const std::string& ban :
       {R"(,"logit_bias":{")" + first + "\":-100}", ",\"logit_bias\":[[" + first + ",false]]"}) {
    const std::vector<int64_t> banned = ids(ban);
    EXPECT_EQ(std::count(banned.begin(), banned.end(), plain[0]), 0);
  }
  // A logit of this model is a few units wide, so the largest penalties leave no token to come twice.
  const std::vector<int64_t> biased = ids(R"(,"logit_bias":{"20":6},"frequency_penalty":2,"presence_penalty":2)");
  EXPECT_LT(std::count(biased.begin(), biased.end(), 20), 24);
  EXPECT_GT(std::count(biased.begin(), biased.end(), 20), 0);
  EXPECT_NE(ids(R"(,"repeat_penalty":2,"repeat_last_n":-1)"), plain);
  EXPECT_EQ(ids(R"(,"repeat_penalty":2,"repeat_last_n":0)"), plain);
  EXPECT_EQ(Text(Ask(Completion(R"("logit_bias":{"512":1})"), 400).at("error").at("param")), "logit_bias");
}

TEST_F(GenerationTest, MoreLogprobsThanAnAnswerMayHoldFailTheRequest) {
  const boost::json::value answer =
      Ask(R"({"prompt":[1],"n":8,"max_tokens":16000,"ignore_eos":true,"logprobs":100})", 400);
  EXPECT_EQ(Text(answer.at("error").at("param")), "logprobs");
  EXPECT_TRUE(Eventually([&] { return server_->engine().snapshot().running == 0; }));
}

TEST(ParseBody, PromptsOfBothShapes) {
  const auto chat = ParseBody(api::Shape::kChat, R"({"messages":[{"role":"user","content":"a"}]})");
  ASSERT_TRUE(chat.ok());
  EXPECT_EQ(std::get<api::ChatRequest>(chat->input).messages.at(0).content, "a");
  EXPECT_EQ(chat->prompts(), 1u);
  const auto ids = ParseBody(api::Shape::kCompletion, R"({"prompt":[[4],"b"]})");
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(ids->prompts(), 2u);
}

}  // namespace
}  // namespace tenfold::server
