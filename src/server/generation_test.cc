// Answers over real sockets from a tiny random model: streams, stops, log-probabilities, disconnects, ten and more at
// once.
#include "server/generation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <set>
#include <thread>

#include "server/test_generation.h"

namespace tenfold::server {
namespace {

class GenerationTest : public GenerationFixture {};

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

// 32 different requests, streaming and not, chat and completion: each gets what it gets alone. By exact arithmetic: the
// usual kernels round a prompt by the chunks that the load lets it have.
TEST_F(GenerationTest, ManyAtOnceGetWhatEachGetsAlone) {
  TestServer exact(file_->path(), {}, [](engine::Options& options) { options.exact = true; });
  ASSERT_TRUE(exact.AwaitReady());
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
    const TestResponse response = exact.Post(chat ? "/v1/chat/completions" : "/v1/completions", body);
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

TEST(ParseBody, PromptsOfBothShapes) {
  const auto chat = ParseBody(api::Shape::kChat, R"({"messages":[{"role":"user","content":"a"}]})");
  ASSERT_TRUE(chat.ok());
  EXPECT_EQ(std::get<api::ChatRequest>(chat->input).messages.at(0).content, "a");
  EXPECT_EQ(chat->prompts(), 1u);
  const auto ids = ParseBody(api::Shape::kCompletion, R"({"prompt":[[4],"b"]})");
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(ids->prompts(), 2u);
}

std::string TextOf(const boost::json::value& answer) { return Text(answer.at("choices").at(0).at("text")); }

TEST_F(GenerationTest, AnswersFollowTheirGrammar) {
  const boost::json::value answer = Ask(
      R"({"prompt":"The heron","temperature":1.5,"seed":3,"max_tokens":40,"grammar":"root ::= \"[\" [ab]{3,5} \"]\" \"x\""})");
  EXPECT_THAT(TextOf(answer), ::testing::MatchesRegex("\\[[ab]{3,5}\\]x"));
  EXPECT_EQ(Text(Choice(answer).at("finish_reason")), "stop") << "nothing but the end was left";
  const boost::json::value cut = Ask(R"({"prompt":"The heron","max_tokens":2,"grammar":"root ::= [ab]{30}"})");
  EXPECT_EQ(Text(Choice(cut).at("finish_reason")), "length");
  // Nothing to end an answer with is drawn, and still the end of the grammar ends it.
  const boost::json::value forced = Ask(Completion(R"("max_tokens":9,"grammar":"root ::= \"ab\"")"));
  EXPECT_EQ(TextOf(forced), "ab");
}

TEST_F(GenerationTest, AnswersFollowTheirSchema) {
  const char* const kFormats[] = {
      R"("response_format":{"type":"json_schema","json_schema":{"name":"s","strict":true,"schema":{"type":"object","properties":
          {"n":{"type":"integer"},"k":{"enum":["a","b"]}},"required":["n","k"],"additionalProperties":false}}})",
      R"("json_schema":{"type":"object","properties":{"n":{"type":"integer"},"k":{"enum":["a","b"]}},"required":["n","k"]})"};
  for (const char* format : kFormats) {
    for (int seed = 0; seed < 10; ++seed) {
      const boost::json::value answer = Ask(R"({"prompt":"x","temperature":1.5,"max_tokens":400,"seed":)" +
                                            std::to_string(seed) + "," + format + "}");
      EXPECT_EQ(Text(Choice(answer).at("finish_reason")), "stop");
      const boost::json::value value = Json(TextOf(answer));
      EXPECT_TRUE(value.at("n").is_int64()) << TextOf(answer);
      EXPECT_THAT(Text(value.at("k")), ::testing::AnyOf("a", "b"));
    }
  }
}

TEST_F(GenerationTest, WhatAGrammarCannotBeIsA400) {
  const auto error = [&](const std::string& fields) {
    const boost::json::value answer = Ask(R"({"prompt":"x","max_tokens":4,)" + fields + "}", 400);
    return Text(answer.at("error").at("param")) + ": " + Text(answer.at("error").at("message"));
  };
  EXPECT_THAT(error(R"("grammar":"root ::= root")"), ::testing::StartsWith("grammar: 'grammar': left recursion"));
  EXPECT_THAT(error(R"("grammar":"root := 3")"), ::testing::HasSubstr("line 1, column 6"));
  EXPECT_THAT(
      error(R"("json_schema":{"type":"object","properties":{"a":{"not":{}}}})"),
      ::testing::StartsWith("json_schema: 'json_schema': #/properties/a: the schema keyword 'not' is not supported"));
  EXPECT_THAT(
      error(
          R"("response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"array","uniqueItems":true}}})"),
      ::testing::HasSubstr("'uniqueItems'"));
  EXPECT_THAT(error(R"("grammar":"root ::= \"a\"","json_schema":{})"), ::testing::HasSubstr("cannot be combined"));
}

TEST_F(GenerationTest, TenGrammarsAtOnceStayApart) {
  std::vector<std::string> texts(10);
  std::vector<std::thread> users;
  for (size_t i = 0; i < texts.size(); ++i) {
    users.emplace_back([&texts, i] {
      const std::string letter(1, static_cast<char>('a' + i));
      texts[i] = TextOf(Ask(R"({"prompt":"x","temperature":1.5,"max_tokens":60,"grammar":"root ::= \")" + letter +
                            R"(\"{)" + std::to_string(10 + i) + R"(}"})"));
    });
  }
  for (std::thread& user : users) user.join();
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(texts[i], std::string(10 + i, static_cast<char>('a' + i)));
}

}  // namespace
}  // namespace tenfold::server
