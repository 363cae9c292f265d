// Tools, choices among them, earlier calls and their answers: what is read, and what is refused by which name.
#include "api/tools_request.h"

#include <gtest/gtest.h>

#include <string>

#include "api/generation_request.h"

namespace tenfold::api {
namespace {

Parsed<ChatRequest> Ask(const std::string& fields,
                        const std::string& messages = R"([{"role":"user","content":"hi"}])") {
  return ParseChatRequest(R"({"messages":)" + messages + "," + fields + "}");
}

std::string Function(const std::string& fields) { return R"([{"type":"function","function":{)" + fields + "}}]"; }

const std::string kTwo =
    R"("tools":[{"type":"function","function":{"name":"get_weather","description":"Weather.","strict":true,)"
    R"("parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}},)"
    R"({"type":"function","function":{"name":"now"}}])";

TEST(ToolsRequest, ReadsTools) {
  const Parsed<ChatRequest> request = Ask(kTwo);
  ASSERT_TRUE(request.ok()) << request.error().message;
  ASSERT_EQ(request->tools.tools.size(), 2u);
  EXPECT_EQ(request->tools.tools[0].name, "get_weather");
  EXPECT_TRUE(request->tools.tools[0].strict);
  EXPECT_EQ(request->tools.tools[0].parameters_json,
            R"({"type":"object","properties":{"city":{"type":"string"}},"required":["city"]})");
  EXPECT_EQ(request->tools.tools[1].parameters_json, "");
  EXPECT_FALSE(request->tools.tools[1].strict);
  EXPECT_EQ(request->tools.choice, ToolChoice::kAuto);
  EXPECT_TRUE(request->tools.parallel);
  // The template gets what the client sent, in its order.
  EXPECT_EQ("\"tools\":" + request->tools_json, kTwo);
}

TEST(ToolsRequest, ReadsChoices) {
  EXPECT_EQ(Ask(kTwo + R"(,"tool_choice":"auto")")->tools.choice, ToolChoice::kAuto);
  EXPECT_EQ(Ask(kTwo + R"(,"tool_choice":"required")")->tools.choice, ToolChoice::kRequired);
  const Parsed<ChatRequest> named = Ask(kTwo + R"(,"tool_choice":{"type":"function","function":{"name":"now"}})");
  ASSERT_TRUE(named.ok()) << named.error().message;
  EXPECT_EQ(named->tools.choice, ToolChoice::kNamed);
  EXPECT_EQ(named->tools.named, "now");
  EXPECT_FALSE(Ask(kTwo + R"(,"parallel_tool_calls":false)")->tools.parallel);
  const Parsed<ChatRequest> none = Ask(kTwo + R"(,"tool_choice":"none")");
  EXPECT_EQ(none->tools.choice, ToolChoice::kNone);
  EXPECT_EQ(none->tools_json, "");
}

TEST(ToolsRequest, WhatSaysNothingIsAccepted) {
  const Parsed<ChatRequest> request =
      Ask(R"("tools":[],"tool_choice":"auto","parallel_tool_calls":true,"functions":[],"function_call":"none")");
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_TRUE(request->tools.tools.empty());
  EXPECT_EQ(request->tools_json, "");
  EXPECT_TRUE(Ask(R"("tools":null,"tool_choice":null,"functions":null)").ok());
  EXPECT_TRUE(Ask("\"tools\":" + Function(R"("name":"f","description":null,"parameters":null,"strict":null)")).ok());
}

TEST(ToolsRequest, RefusesByName) {
  struct Refused {
    std::string fields;
    int status;
    std::string param;
  };
  const std::string tools = "\"tools\":";
  const Refused cases[] = {
      {tools + "{}", 400, "tools"},
      {tools + "[5]", 400, "tools[0]"},
      {tools + "[{}]", 400, "tools[0].type"},
      {tools + R"([{"type":"web_search"}])", 501, "tools[0].type"},
      {tools + R"([{"type":"function"}])", 400, "tools[0].function"},
      {tools + R"([{"type":"function","function":"f"}])", 400, "tools[0].function"},
      {tools + R"([{"type":"function","function":{"name":"f"},"x":1}])", 400, "tools[0].x"},
      {tools + Function(R"("description":"d")"), 400, "tools[0].function.name"},
      {tools + Function(R"("name":"a b")"), 400, "tools[0].function.name"},
      {tools + Function(R"("name":"")"), 400, "tools[0].function.name"},
      {tools + Function("\"name\":\"" + std::string(65, 'a') + '"'), 400, "tools[0].function.name"},
      {tools + Function(R"("name":"f","description":5)"), 400, "tools[0].function.description"},
      {tools + Function(R"("name":"f","parameters":"{}")"), 400, "tools[0].function.parameters"},
      {tools + Function(R"("name":"f","parameters":{"type":"string"})"), 400, "tools[0].function.parameters.type"},
      {tools + Function(R"("name":"f","strict":"yes")"), 400, "tools[0].function.strict"},
      {tools + Function(R"("name":"f","colour":"red")"), 400, "tools[0].function.colour"},
      {R"("tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"f"}}])", 400,
       "tools[1].function.name"},
      {R"("tool_choice":"required")", 400, "tool_choice"},
      {R"("tool_choice":"any")", 400, "tool_choice"},
      {R"("tool_choice":5)", 400, "tool_choice"},
      {R"("tool_choice":{"type":"function","function":{"name":"f"}})", 400, "tool_choice.function.name"},
      {kTwo + R"(,"tool_choice":{"type":"function","function":{"name":"f"}})", 400, "tool_choice.function.name"},
      {kTwo + R"(,"tool_choice":{"type":"function"})", 400, "tool_choice.function"},
      {kTwo + R"(,"tool_choice":{"type":"allowed_tools"})", 501, "tool_choice.type"},
      {kTwo + R"(,"tool_choice":{"type":"function","function":{"name":"now"},"mode":"x"})", 400, "tool_choice.mode"},
      {kTwo + R"(,"parallel_tool_calls":1)", 400, "parallel_tool_calls"},
      {R"("functions":[{"name":"f"}])", 400, "functions"},
      {R"("function_call":{"name":"f"})", 400, "function_call"},
  };
  for (const Refused& c : cases) {
    const Parsed<ChatRequest> request = Ask(c.fields);
    ASSERT_FALSE(request.ok()) << c.fields;
    EXPECT_EQ(request.error().status, c.status) << c.fields << ": " << request.error().message;
    EXPECT_EQ(request.error().param, c.param) << c.fields << ": " << request.error().message;
    EXPECT_NE(request.error().message.find(c.param), std::string::npos) << request.error().message;
  }
  EXPECT_NE(Ask(R"("functions":[{"name":"f"}])").error().message.find("'tools'"), std::string::npos);
}

TEST(ToolsRequest, TooManyTools) {
  std::string fields = "\"tools\":[";
  for (int i = 0; i < 129; ++i) {
    fields += (i > 0 ? "," : "") + (R"({"type":"function","function":{"name":"f)" + std::to_string(i) + "\"}}");
  }
  EXPECT_EQ(Ask(fields + "]").error().param, "tools");
}

constexpr char kCall[] =
    R"({"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","index":0,"function":)"
    R"({"name":"now","arguments":"{\"a\": 1}"}}]})";

TEST(ChatMessages, ACallAndItsAnswer) {
  const Parsed<ChatRequest> request =
      Ask(kTwo, std::string(R"([{"role":"user","content":"When?","name":"Ann"},)") + kCall +
                    R"(,{"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"noon"}]},)"
                    R"({"role":"assistant","content":"Noon.","reasoning_content":"easy"}])");
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto& m = request->messages;
  ASSERT_EQ(m.size(), 4u);
  EXPECT_EQ(m[0].name, "Ann");
  EXPECT_TRUE(m[1].content_is_null);
  ASSERT_EQ(m[1].tool_calls.size(), 1u);
  EXPECT_EQ(m[1].tool_calls[0].id, "c1");
  EXPECT_EQ(m[1].tool_calls[0].name, "now");
  EXPECT_EQ(m[1].tool_calls[0].arguments_json, R"({"a": 1})");
  EXPECT_EQ(m[2].role, "tool");
  EXPECT_EQ(m[2].tool_call_id, "c1");
  EXPECT_EQ(m[2].content, "noon");
  EXPECT_FALSE(m[2].content_is_null);
  EXPECT_EQ(m[3].reasoning_content, "easy");
}

TEST(ChatMessages, RefusesByPlace) {
  const auto refused = [](const std::string& messages, int status, const std::string& param) {
    const Parsed<ChatRequest> request = Ask(kTwo, "[" + messages + "]");
    ASSERT_FALSE(request.ok()) << messages;
    EXPECT_EQ(request.error().status, status) << request.error().message;
    EXPECT_EQ(request.error().param, param) << request.error().message;
    EXPECT_NE(request.error().message.find(param), std::string::npos) << request.error().message;
  };
  const std::string call = kCall;
  const auto with = [](const std::string& calls) { return R"({"role":"assistant","tool_calls":)" + calls + "}"; };
  refused(R"({"role":"tool","content":"x"})", 400, "messages[0].tool_call_id");
  refused(R"({"role":"tool","content":"x","tool_call_id":"c1"})", 400, "messages[0].tool_call_id");
  refused(call + R"(,{"role":"tool","content":"x","tool_call_id":"c2"})", 400, "messages[1].tool_call_id");
  refused(R"({"role":"tool","content":"x","tool_call_id":"c1"},)" + call, 400, "messages[0].tool_call_id");
  refused(call + R"(,{"role":"tool","tool_call_id":"c1"})", 400, "messages[1].content");
  refused(R"({"role":"function","content":"x","name":"f"})", 400, "messages[0].role");
  refused(R"({"role":"user","content":"x","tool_call_id":"c1"})", 501, "messages[0].tool_call_id");
  refused(R"({"role":"user","content":"x","reasoning_content":"r"})", 501, "messages[0].reasoning_content");
  refused(R"({"role":"user","content":"x","tool_calls":[{}]})", 501, "messages[0].tool_calls");
  refused(R"({"role":"assistant","content":null})", 400, "messages[0].content");
  refused(R"({"role":"assistant","content":null,"tool_calls":[]})", 400, "messages[0].content");
  refused(R"({"role":"assistant","content":"x","function_call":{"name":"f"}})", 501, "messages[0].function_call");
  refused(with("5"), 400, "messages[0].tool_calls");
  refused(with("[5]"), 400, "messages[0].tool_calls[0]");
  refused(with(R"([{"type":"function"}])"), 400, "messages[0].tool_calls[0].id");
  refused(with(R"([{"id":"c","type":"custom"}])"), 501, "messages[0].tool_calls[0].type");
  refused(with(R"([{"id":"c"}])"), 400, "messages[0].tool_calls[0].function");
  refused(with(R"([{"id":"c","function":{"arguments":""}}])"), 400, "messages[0].tool_calls[0].function.name");
  refused(with(R"([{"id":"c","function":{"name":"f"}}])"), 400, "messages[0].tool_calls[0].function.arguments");
  refused(with(R"([{"id":"c","function":{"name":"f","arguments":{}}}])"), 400,
          "messages[0].tool_calls[0].function.arguments");
  refused(with(R"([{"id":"c","function":{"name":"f","arguments":""},"x":1}])"), 400, "messages[0].tool_calls[0].x");
}

}  // namespace
}  // namespace tenfold::api
