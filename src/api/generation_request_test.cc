// Every field of both routes: taken, refused by type, refused by range, refused by name.
#include "api/generation_request.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace tenfold::api {
namespace {

std::string Chat(const std::string& fields) {
  return R"({"messages":[{"role":"user","content":"hi"}])" + (fields.empty() ? "" : "," + fields) + "}";
}

GenerationOptions Options(const std::string& fields) {
  Parsed<ChatRequest> request = ParseChatRequest(Chat(fields));
  EXPECT_TRUE(request.ok()) << fields << ": " << request.error().message;
  return request.ok() ? request->options : GenerationOptions{};
}

TEST(GenerationRequest, DefaultsAreOpenAis) {
  const GenerationOptions o = Options("");
  EXPECT_EQ(o.model, "");
  EXPECT_EQ(o.temperature, 1.0);
  EXPECT_EQ(o.top_p, 1.0);
  EXPECT_EQ(o.top_k, 0);
  EXPECT_EQ(o.min_p, 0.0);
  EXPECT_FALSE(o.seed.has_value());
  EXPECT_TRUE(o.stop.empty());
  EXPECT_EQ(o.max_tokens, -1);
  EXPECT_FALSE(o.ignore_eos);
  EXPECT_FALSE(o.stream);
  EXPECT_FALSE(o.include_usage);
  EXPECT_EQ(o.n_top, -1);
}

TEST(GenerationRequest, TakesEveryField) {
  const GenerationOptions o = Options(
      R"("model":"m","temperature":0.5,"top_p":0.25,"top_k":40,"min_p":0.05,"seed":7,"stop":["a","b"],"max_tokens":9,)"
      R"("ignore_eos":true,"stream":true,"stream_options":{"include_usage":true},"logprobs":true,"top_logprobs":3)");
  EXPECT_EQ(o.model, "m");
  EXPECT_EQ(o.temperature, 0.5);
  EXPECT_EQ(o.top_p, 0.25);
  EXPECT_EQ(o.top_k, 40);
  EXPECT_EQ(o.min_p, 0.05);
  EXPECT_EQ(o.seed, 7u);
  EXPECT_EQ(o.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(o.max_tokens, 9);
  EXPECT_TRUE(o.ignore_eos);
  EXPECT_TRUE(o.stream);
  EXPECT_TRUE(o.include_usage);
  EXPECT_EQ(o.n_top, 3);
}

TEST(GenerationRequest, SpellingsOfTheSame) {
  EXPECT_EQ(Options(R"("max_completion_tokens":5)").max_tokens, 5);
  EXPECT_EQ(Options(R"("n_predict":6)").max_tokens, 6);
  EXPECT_EQ(Options(R"("n_predict":-1)").max_tokens, -1);
  EXPECT_EQ(Options(R"("max_tokens":7,"max_completion_tokens":7)").max_tokens, 7);
  EXPECT_EQ(Options(R"("max_tokens":8.0)").max_tokens, 8);
  EXPECT_EQ(Options(R"("stop":"x")").stop, std::vector<std::string>{"x"});
  EXPECT_EQ(Options(R"("top_k":-1)").top_k, 0);
  EXPECT_EQ(Options(R"("logprobs":true)").n_top, 0);
  EXPECT_EQ(Options(R"("logprobs":false)").n_top, -1);
  EXPECT_FALSE(Options(R"("seed":-1)").seed.has_value());
  EXPECT_EQ(Options(R"("seed":18446744073709551615)").seed, ~uint64_t{0});
}

TEST(GenerationRequest, NullIsAbsent) {
  EXPECT_EQ(Options(R"("temperature":null,"stop":null,"max_tokens":null,"tools":null,"stream":null,"seed":null,)"
                    R"("stream_options":null,"response_format":null,"logit_bias":null,"user":null,"audio":null)")
                .temperature,
            1.0);
}

TEST(GenerationRequest, NeutralValuesOfUnimplementedFieldsPass) {
  Options(
      R"("n":1,"presence_penalty":0,"frequency_penalty":0.0,"logit_bias":{},"user":"u","metadata":{"a":"b"},)"
      R"("store":false,"tools":[],"tool_choice":"none","parallel_tool_calls":true,"cache_prompt":true,)"
      R"("response_format":{"type":"text"},"repeat_penalty":1.0,"mirostat_tau":5,"dry_base":1.75,)"
      R"("dry_sequence_breakers":["\n"],"id_slot":-1,"n_keep":0,"skip_special_tokens":true,"min_tokens":0,"service_tier":"auto","modalities":["text"],)"
      R"("chat_template_kwargs":{},"functions":[],"function_call":"auto")");
}

struct Refused {
  std::string fields;
  int status;
  std::string param;
};

TEST(GenerationRequest, RefusesByName) {
  const Refused cases[] = {
      {R"("model":1)", 400, "model"},
      {R"("temperature":"hot")", 400, "temperature"},
      {R"("temperature":2.1)", 400, "temperature"},
      {R"("temperature":-0.1)", 400, "temperature"},
      {R"("temperature":1e999)", 400, "temperature"},
      {R"("top_p":1.1)", 400, "top_p"},
      {R"("top_p":true)", 400, "top_p"},
      {R"("top_k":1.5)", 400, "top_k"},
      {R"("top_k":-2)", 400, "top_k"},
      {R"("top_k":3000000000)", 400, "top_k"},
      {R"("min_p":2)", 400, "min_p"},
      {R"("min_p":[])", 400, "min_p"},
      {R"("seed":"x")", 400, "seed"},
      {R"("seed":1.5)", 400, "seed"},
      {R"("stop":5)", 400, "stop"},
      {R"("stop":[5])", 400, "stop"},
      {R"("stop":"")", 400, "stop"},
      {R"("stop":["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p","q"])", 400, "stop"},
      {R"("max_tokens":0)", 400, "max_tokens"},
      {R"("max_tokens":-2)", 400, "max_tokens"},
      {R"("max_tokens":"5")", 400, "max_tokens"},
      {R"("max_tokens":5,"max_completion_tokens":6)", 400, "max_tokens"},
      {R"("max_tokens":99999999999999999999)", 400, "max_tokens"},
      {R"("n_predict":0)", 400, "n_predict"},
      {R"("ignore_eos":1)", 400, "ignore_eos"},
      {R"("stream":"true")", 400, "stream"},
      {R"("stream_options":{"include_usage":true})", 400, "stream_options"},
      {R"("stream":true,"stream_options":5)", 400, "stream_options"},
      {R"("stream":true,"stream_options":{"include_usage":1})", 400, "stream_options.include_usage"},
      {R"("stream":true,"stream_options":{"x":1})", 400, "stream_options.x"},
      {R"("logprobs":5)", 400, "logprobs"},
      {R"("logprobs":true,"top_logprobs":21)", 400, "top_logprobs"},
      {R"("top_logprobs":2)", 400, "top_logprobs"},
      {R"("n":0)", 400, "n"},
      {R"("n":129)", 400, "n"},
      {R"("n":1.5)", 400, "n"},
      {R"("presence_penalty":2.5)", 400, "presence_penalty"},
      {R"("presence_penalty":"x")", 400, "presence_penalty"},
      {R"("frequency_penalty":-3)", 400, "frequency_penalty"},
      {R"("repeat_penalty":0)", 400, "repeat_penalty"},
      {R"("repeat_penalty":11)", 400, "repeat_penalty"},
      {R"("repeat_last_n":-2)", 400, "repeat_last_n"},
      {R"("repeat_last_n":1.5)", 400, "repeat_last_n"},
      {R"("repeat_penalty":1.1,"repetition_penalty":1.2)", 400, "repetition_penalty"},
      {R"("typical_p":1.5)", 400, "typical_p"},
      {R"("logit_bias":{"1":101})", 400, "logit_bias"},
      {R"("logit_bias":{"1":"5"})", 400, "logit_bias"},
      {R"("logit_bias":{"1":true})", 400, "logit_bias"},
      {R"("logit_bias":{"a":1})", 400, "logit_bias"},
      {R"("logit_bias":{"-1":1})", 400, "logit_bias"},
      {R"("logit_bias":{"1x":1})", 400, "logit_bias"},
      {R"("logit_bias":{"":1})", 400, "logit_bias"},
      {R"("logit_bias":{"4294967296":1})", 400, "logit_bias"},
      {R"("logit_bias":{"99999999999999999999":1})", 400, "logit_bias"},
      {R"("logit_bias":5)", 400, "logit_bias"},
      {R"("logit_bias":[5])", 400, "logit_bias"},
      {R"("logit_bias":[[5]])", 400, "logit_bias"},
      {R"("logit_bias":[[5,1,2]])", 400, "logit_bias"},
      {R"("logit_bias":[[1.5,1]])", 400, "logit_bias"},
      {R"("logit_bias":[["the",1]])", 501, "logit_bias"},
      {R"("store":true)", 501, "store"},
      {R"("samplers":["top_k"])", 501, "samplers"},
      {R"("dry_multiplier":0.8)", 501, "dry_multiplier"},
      {R"("dry_base":"x")", 400, "dry_base"},
      {R"("user":5)", 400, "user"},
      {R"("chat_template_kwargs":{"tools":[]})", 400, "chat_template_kwargs.tools"},
      {R"("cache_prompt":"x")", 400, "cache_prompt"},
      {R"("cache_salt":"")", 400, "cache_salt"},
      {R"("cache_salt":7)", 400, "cache_salt"},
      {R"("metadata":{"a":1})", 400, "metadata"},
      {R"("mirostat":2)", 501, "mirostat"},
      {R"("id_slot":0)", 501, "id_slot"},
      {R"("min_tokens":1)", 501, "min_tokens"},
      {R"("stop_token_ids":[1])", 501, "stop_token_ids"},
      {R"("guided_json":{})", 501, "guided_json"},
      {R"("echo":true)", 501, "echo"},
      {R"("chat_template_kwargs":[])", 400, "chat_template_kwargs"},
      {R"("documents":{})", 400, "documents"},
      {R"("add_generation_prompt":1)", 400, "add_generation_prompt"},
      {R"("reasoning_effort":"low")", 501, "reasoning_effort"},
      {R"("prompt":"hi")", 501, "prompt"},
      {R"("reasoning_format":"deepseek-legacy")", 501, "reasoning_format"},
      {R"("reasoning_format":"some")", 400, "reasoning_format"},
      {R"("tempreature":1)", 400, "tempreature"},
      {R"("best_of":2)", 400, "best_of"},
  };
  for (const Refused& c : cases) {
    const Parsed<ChatRequest> request = ParseChatRequest(Chat(c.fields));
    ASSERT_FALSE(request.ok()) << c.fields;
    EXPECT_EQ(request.error().status, c.status) << c.fields << ": " << request.error().message;
    EXPECT_EQ(request.error().param, c.param) << c.fields << ": " << request.error().message;
    EXPECT_NE(request.error().message.find(c.param), std::string::npos) << request.error().message;
  }
}

TEST(GenerationRequest, RefusalSaysWhatWasExpected) {
  EXPECT_EQ(ParseChatRequest(Chat(R"("temperature":"hot")")).error().message,
            "'temperature' must be a number from 0 to 2, not a string.");
  EXPECT_EQ(ParseChatRequest(Chat(R"("max_tokens":2.5)")).error().message,
            "'max_tokens' must be an integer from -1 to 1073741824, not 2.5.");
}

TEST(GenerationRequest, ReasoningFormat) {
  EXPECT_TRUE(ParseChatRequest(Chat(R"("n":1)"))->separate_reasoning);
  EXPECT_TRUE(ParseChatRequest(Chat(R"("reasoning_format":"auto")"))->separate_reasoning);
  EXPECT_TRUE(ParseChatRequest(Chat(R"("reasoning_format":"deepseek")"))->separate_reasoning);
  EXPECT_FALSE(ParseChatRequest(Chat(R"("reasoning_format":"none")"))->separate_reasoning);
}

TEST(GenerationRequest, UnknownFieldsSuggestTheNearestName) {
  EXPECT_EQ(ParseChatRequest(Chat(R"("tempreature":1)")).error().message,
            "Unknown field 'tempreature'; did you mean 'temperature'?");
  EXPECT_EQ(ParseChatRequest(Chat(R"("max_token":1)")).error().message,
            "Unknown field 'max_token'; did you mean 'max_tokens'?");
  EXPECT_EQ(ParseChatRequest(Chat(R"("stream":true,"stream_options":{"usage":true})")).error().message,
            "Unknown field 'stream_options.usage'; remove it.");
  EXPECT_EQ(ParseChatRequest(Chat(R"("colour of the sky":1)")).error().message,
            "Unknown field 'colour of the sky'; remove it.");
}

TEST(GenerationRequest, CachingIsAllowedUnlessForbiddenAndSaltedOnRequest) {
  EXPECT_TRUE(Options("").cache_prompt);
  EXPECT_EQ(Options("").cache_salt, "");
  EXPECT_FALSE(Options(R"("cache_prompt":false)").cache_prompt);
  EXPECT_EQ(Options(R"("cache_salt":"anna\u0000b")").cache_salt, std::string("anna\0b", 6));
}

TEST(GenerationRequest, Penalties) {
  const GenerationOptions o = Options(
      R"("presence_penalty":-1.5,"frequency_penalty":0.5,"repeat_penalty":1.1,"repeat_last_n":-1,"typical_p":0.9)");
  EXPECT_EQ(o.presence_penalty, -1.5);
  EXPECT_EQ(o.frequency_penalty, 0.5);
  EXPECT_EQ(o.repeat_penalty, 1.1);
  EXPECT_EQ(o.repeat_last_n, -1);
  EXPECT_EQ(o.typical_p, 0.9);
  const GenerationOptions vllm = Options(R"("repetition_penalty":1.3)");
  EXPECT_EQ(vllm.repeat_penalty, 1.3);
  EXPECT_EQ(vllm.repeat_last_n, -1);
  EXPECT_EQ(Options(R"("repetition_penalty":1.0,"repeat_penalty":1.2)").repeat_last_n, 64);
}

TEST(GenerationRequest, LogitBiasInBothForms) {
  const float never = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(Options(R"("logit_bias":{"5":1.5,"70":-100})").logit_bias, (std::vector<LogitBias>{{5, 1.5F}, {70, -100}}));
  EXPECT_EQ(Options(R"("logit_bias":[[5,2],[6,false],[5,1]])").logit_bias,
            (std::vector<LogitBias>{{5, 2}, {6, never}, {5, 1}}));
  EXPECT_TRUE(Options(R"("logit_bias":{})").logit_bias.empty());
  std::string many;
  for (size_t i = 0; i <= kMaxBiases; ++i) many += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":1";
  EXPECT_EQ(ParseChatRequest(Chat("\"logit_bias\":{" + many + "}")).error().param, "logit_bias");
}

TEST(GenerationRequest, EchoAndBestOf) {
  const auto parse = [](const std::string& fields) {
    return ParseCompletionRequest("{\"prompt\":\"a\"," + fields + "}");
  };
  ASSERT_TRUE(parse(R"("echo":true,"max_tokens":0,"logprobs":1)").ok());
  EXPECT_TRUE(parse(R"("echo":true)")->options.echo);
  EXPECT_EQ(parse(R"("echo":true,"max_tokens":0)")->options.max_tokens, 0);
  EXPECT_EQ(parse(R"("max_tokens":0)").error().param, "max_tokens");
  EXPECT_TRUE(parse(R"("n":3,"best_of":3)").ok());
  EXPECT_EQ(parse(R"("n":3,"best_of":2)").error().status, 400);
  EXPECT_EQ(parse(R"("n":3,"best_of":4)").error().status, 501);
  EXPECT_EQ(parse(R"("best_of":4)").error().param, "best_of");
}

TEST(GenerationRequest, MessagesAndTheirParts) {
  const Parsed<ChatRequest> request = ParseChatRequest(
      R"({"messages":[{"role":"developer","content":"be brief"},{"role":"user","content":[{"type":"text","text":"a"},)"
      R"({"type":"text","text":"b\u00e9"}]},{"role":"assistant","content":"","refusal":null,"tool_calls":[]}]})");
  ASSERT_TRUE(request.ok()) << request.error().message;
  ASSERT_EQ(request->messages.size(), 3u);
  EXPECT_EQ(request->messages[0].role, "system");
  EXPECT_EQ(request->messages[1].content, "ab\xC3\xA9");
  EXPECT_EQ(request->messages[2].content, "");
}

TEST(GenerationRequest, RefusesMessagesByPlace) {
  const auto refused = [](const std::string& messages, int status, const std::string& param) {
    const Parsed<ChatRequest> request = ParseChatRequest("{\"messages\":" + messages + "}");
    ASSERT_FALSE(request.ok()) << messages;
    EXPECT_EQ(request.error().status, status) << request.error().message;
    EXPECT_EQ(request.error().param, param) << request.error().message;
  };
  refused("[]", 400, "messages");
  refused("5", 400, "messages");
  refused("null", 400, "messages");
  refused("[5]", 400, "messages");
  refused(R"([{}])", 400, "messages[0].role");
  refused(R"([{"role":5}])", 400, "messages[0].role");
  refused(R"([{"role":"king","content":"x"}])", 400, "messages[0].role");
  refused(R"([{"role":"user"}])", 400, "messages[0].content");
  refused(R"([{"role":"user","content":5}])", 400, "messages[0].content");
  refused(R"([{"role":"user","content":[5]}])", 400, "messages[0].content");
  refused(R"([{"role":"user","content":[{"type":"image_url"}]}])", 501, "messages[0].content[0].type");
  refused(R"([{"role":"user","content":[{"type":"text"}]}])", 400, "messages[0].content[0].text");
  refused(R"([{"role":"user","content":"a"},{"role":"user","content":"b","colour":1}])", 400, "messages[1].colour");
  refused(R"([{"role":"user","content":"a","name":7}])", 400, "messages[0].name");
}

TEST(GenerationRequest, CompletionPrompts) {
  Parsed<CompletionRequest> text =
      ParseCompletionRequest(R"({"prompt":"Once","logprobs":100,"echo":false,"best_of":1})");
  ASSERT_TRUE(text.ok()) << text.error().message;
  EXPECT_EQ(text->prompts, std::vector<Prompt>{"Once"});
  EXPECT_EQ(text->options.n_top, 100);
  Parsed<CompletionRequest> ids = ParseCompletionRequest(R"({"prompt":[1,2,3]})");
  ASSERT_TRUE(ids.ok()) << ids.error().message;
  EXPECT_EQ(ids->prompts, std::vector<Prompt>{std::vector<int32_t>({1, 2, 3})});
  Parsed<CompletionRequest> several = ParseCompletionRequest(R"({"prompt":["a",[4,5],"b"],"n":2})");
  ASSERT_TRUE(several.ok()) << several.error().message;
  EXPECT_EQ(several->prompts, (std::vector<Prompt>{"a", std::vector<int32_t>({4, 5}), "b"}));
  EXPECT_EQ(several->options.n, 2);
  EXPECT_EQ(ParseCompletionRequest(R"({"prompt":["a","b"],"n":65})").error().param, "n");
  EXPECT_EQ(ParseCompletionRequest(R"({"prompt":["a",[1,-1]]})").error().message,
            "'prompt[1][1]' is not a token id (an integer >= 0).");

  for (const char* prompt : {"[]", "[1,\"a\"]", "[\"a\",1]", "[[1],{}]", "[[1.5]]", "[-1]", "[1.5]", "[4294967296]",
                             "{}", "null", "[true]"}) {
    const Parsed<CompletionRequest> refused = ParseCompletionRequest("{\"prompt\":" + std::string(prompt) + "}");
    ASSERT_FALSE(refused.ok()) << prompt;
    EXPECT_EQ(refused.error().status, 400) << prompt;
    EXPECT_EQ(refused.error().param, "prompt") << prompt;
  }
  EXPECT_EQ(ParseCompletionRequest(R"({"prompt":"a","logprobs":101})").error().param, "logprobs");
  EXPECT_EQ(ParseCompletionRequest(R"({"prompt":"a","suffix":"b"})").error().param, "suffix");
  EXPECT_EQ(ParseCompletionRequest(R"({"prompt":"a","messages":[]})").error().param, "messages");
  EXPECT_EQ(ParseCompletionRequest(R"({})").error().param, "prompt");
}

TEST(GenerationRequest, BodiesThatAreNoObject) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "[";
  for (const std::string& body :
       {std::string(), std::string("{"), std::string("[]"), std::string("5"), std::string("{} {}"),
        std::string("{\"prompt\":\"\xff\"}"), std::string("{\"prompt\":\"\xed\xa0\x80\"}"), std::string("\0", 1),
        std::string("{\"prompt\":\"a\",}"), deep, "{\"a\":" + deep + "}", std::string("nul")}) {
    const Parsed<CompletionRequest> request = ParseCompletionRequest(body);
    ASSERT_FALSE(request.ok()) << body;
    EXPECT_EQ(request.error().status, 400) << body;
    EXPECT_FALSE(request.error().message.empty());
  }
  EXPECT_TRUE(ParseCompletionRequest(" {\"prompt\":\"a\"} \n").ok());
}

}  // namespace
}  // namespace tenfold::api
