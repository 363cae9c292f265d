// Several choices of one answer, echoed prompts, and the sampling fields, over real sockets from a tiny random model.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <set>

#include "server/test_generation.h"

namespace tenfold::server {
namespace {

class ChoiceTest : public GenerationFixture {};

TEST_F(ChoiceTest, ChoicesDifferAndCanBeHadAlone) {
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

TEST_F(ChoiceTest, PromptsOfOneRequestAnswerAsEachAlone) {
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

TEST_F(ChoiceTest, StreamedChoicesCarryTheirIndex) {
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

TEST_F(ChoiceTest, DisconnectStopsEveryChoice) {
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

TEST_F(ChoiceTest, AStopStringEndsOnlyItsChoice) {
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

TEST_F(ChoiceTest, EchoPutsThePromptInFront) {
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
TEST_F(ChoiceTest, EchoedLogprobsAreThoseOfTheGeneration) {
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
      // Few and many tokens round differently.
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

TEST_F(ChoiceTest, PenaltiesAndBiasesReachTheSampler) {
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

TEST_F(ChoiceTest, MoreLogprobsThanAnAnswerMayHoldFailTheRequest) {
  const boost::json::value answer =
      Ask(R"({"prompt":[1],"n":8,"max_tokens":16000,"ignore_eos":true,"logprobs":100})", 400);
  EXPECT_EQ(Text(answer.at("error").at("param")), "logprobs");
  EXPECT_TRUE(Eventually([&] { return server_->engine().snapshot().running == 0; }));
}

}  // namespace
}  // namespace tenfold::server
